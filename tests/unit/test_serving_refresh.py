"""Staying fresh: when the alias is looked at, what is kept when that fails, and that a snapshot never changes."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from perennial import keys
from perennial.errors import IntegrityError, NotFoundError, StoreUnavailable
from perennial.registry.manifest import MODEL_FILE
from perennial.registry.registry import Registry
from perennial.serving.catalog import Catalog
from perennial.serving.refresh import MAX_UNKNOWN, ModelCache
from tests.support.models import NOW, Built, build, make_spec, promote
from tests.support.stores import Bucket, Clock

REFRESH = 15.0
ALIAS = keys.alias("iris", "champion")


@pytest.fixture
def bucket() -> Bucket:
    return Bucket()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cache(bucket: Bucket, clock: Clock) -> ModelCache:
    return ModelCache(bucket.store, refresh_seconds=REFRESH, clock=clock)


def graph_key(built: Built) -> str:
    return keys.registry_blob("iris", built.manifest.files[MODEL_FILE].digest)


class TestWhenItLooks:
    def test_loads_when_first_asked(self, bucket: Bucket, cache: ModelCache) -> None:
        built = build()
        promote(bucket.writer, built)
        assert bucket.reads == []
        snapshot = cache.get("iris")
        assert snapshot.entry.version == built.version
        assert snapshot.entry.generation == 1
        assert bucket.reads == [ALIAS, keys.version_manifest("iris", built.version), graph_key(built)]

    def test_asks_nothing_until_due(self, bucket: Bucket, clock: Clock, cache: ModelCache) -> None:
        promote(bucket.writer, build())
        first = cache.get("iris")
        bucket.reads.clear()
        clock.advance(REFRESH - 0.001)
        assert cache.get("iris") is first
        assert cache.peek("iris") is first
        assert bucket.reads == []

    def test_asks_only_for_the_alias_when_it_has_not_changed(
        self, bucket: Bucket, clock: Clock, cache: ModelCache
    ) -> None:
        promote(bucket.writer, build())
        first = cache.get("iris")
        bucket.reads.clear()
        clock.advance(REFRESH)
        assert cache.peek("iris") is None
        assert cache.get("iris") is first
        assert bucket.reads == [ALIAS]
        assert cache.peek("iris") is first

    def test_takes_up_a_promotion(self, bucket: Bucket, clock: Clock, cache: ModelCache) -> None:
        promote(bucket.writer, build(seed=1))
        cache.get("iris")
        promote(bucket.writer, build(seed=2))
        clock.advance(REFRESH)
        found = cache.get("iris")
        assert (found.entry.generation, found.entry.version) == (2, build(seed=2).version)
        assert found.predictor.manifest.seed == 2

    def test_takes_up_a_rollback(self, bucket: Bucket, clock: Clock, cache: ModelCache) -> None:
        promote(bucket.writer, build(seed=1))
        promote(bucket.writer, build(seed=2))
        cache.get("iris")
        Registry(bucket.writer).rollback("iris", op_id="back", actor="test", reason="", now=NOW)
        clock.advance(REFRESH)
        found = cache.get("iris")
        assert (found.entry.generation, found.entry.kind, found.predictor.manifest.seed) == (3, "rollback", 1)

    def test_a_clock_set_back_does_not_stop_it(self, bucket: Bucket, clock: Clock, cache: ModelCache) -> None:
        promote(bucket.writer, build(seed=1))
        cache.get("iris")
        promote(bucket.writer, build(seed=2))
        clock.advance(-3600)
        assert cache.get("iris").entry.generation == 2

    def test_refresh_seconds_of_zero_looks_each_time(self, bucket: Bucket, clock: Clock) -> None:
        cache = ModelCache(bucket.store, refresh_seconds=0, clock=clock)
        promote(bucket.writer, build(seed=1))
        assert cache.get("iris").entry.generation == 1
        promote(bucket.writer, build(seed=2))
        assert cache.get("iris").entry.generation == 2


class TestWhenItFails:
    """The last good version serves on; what fails is known, and since when."""

    def served(self, bucket: Bucket, cache: ModelCache) -> Any:
        promote(bucket.writer, build(seed=1))
        return cache.get("iris")

    def test_store_down(self, bucket: Bucket, clock: Clock, cache: ModelCache) -> None:
        first = self.served(bucket, cache)
        bucket.down = True
        clock.advance(REFRESH)
        failed_at = clock.now
        assert cache.get("iris") is first
        clock.advance(REFRESH)
        assert cache.get("iris") is first
        state = cache.state("iris")
        assert state is not None and state.failure is not None
        assert (state.failure.reason, state.failure.since) == ("store_unavailable", failed_at)

    def test_store_down_is_asked_once_an_interval(self, bucket: Bucket, clock: Clock, cache: ModelCache) -> None:
        self.served(bucket, cache)
        bucket.down = True
        clock.advance(REFRESH)
        bucket.reads.clear()
        for _ in range(5):
            cache.get("iris")
        assert bucket.reads == [ALIAS]

    def test_recovery_clears_the_failure(self, bucket: Bucket, clock: Clock, cache: ModelCache) -> None:
        self.served(bucket, cache)
        bucket.down = True
        clock.advance(REFRESH)
        cache.get("iris")
        bucket.down = False
        promote(bucket.writer, build(seed=2))
        clock.advance(REFRESH)
        assert cache.get("iris").entry.generation == 2
        state = cache.state("iris")
        assert state is not None and state.failure is None

    def test_altered_graph_is_refused_and_tried_again_each_interval(
        self, bucket: Bucket, clock: Clock, cache: ModelCache
    ) -> None:
        first, bad = self.served(bucket, cache), build(seed=2)
        promote(bucket.writer, bad)
        bucket.tamper(graph_key(bad), b"something else")
        clock.advance(REFRESH)
        bucket.reads.clear()
        for _ in range(5):
            assert cache.get("iris") is first
        assert bucket.reads.count(graph_key(bad)) == 1
        state = cache.state("iris")
        assert state is not None and state.failure is not None and state.failure.reason == "integrity"
        bucket.tamper(graph_key(bad), bad.onnx)
        clock.advance(REFRESH)
        assert cache.get("iris").entry.version == bad.version

    @pytest.mark.parametrize("damage", [b"", b"{}", b"not json", b'{"generation": 1}'])
    def test_damaged_alias(self, bucket: Bucket, clock: Clock, cache: ModelCache, damage: bytes) -> None:
        first = self.served(bucket, cache)
        bucket.tamper(ALIAS, damage)
        clock.advance(REFRESH)
        assert cache.get("iris") is first
        state = cache.state("iris")
        assert state is not None and state.failure is not None and state.failure.reason == "integrity"

    def test_alias_that_goes_back_is_not_followed(self, bucket: Bucket, clock: Clock, cache: ModelCache) -> None:
        promote(bucket.writer, build(seed=1))
        old = bucket.writer.get(ALIAS).data
        promote(bucket.writer, build(seed=2))
        second = cache.get("iris")
        bucket.tamper(ALIAS, old)
        clock.advance(REFRESH)
        assert cache.get("iris") is second
        state = cache.state("iris")
        assert state is not None and state.failure is not None and "went back" in str(state.failure.error)


class TestColdStart:
    def test_store_down(self, bucket: Bucket, clock: Clock, cache: ModelCache) -> None:
        promote(bucket.writer, build())
        bucket.down = True
        for _ in range(3):
            with pytest.raises(StoreUnavailable):
                cache.get("iris")
        assert bucket.reads == [ALIAS]
        assert cache.retry_after("iris") == 1
        bucket.down = False
        clock.advance(1.0)
        assert cache.get("iris").entry.generation == 1

    def test_unverifiable(self, bucket: Bucket, clock: Clock, cache: ModelCache) -> None:
        built = build()
        promote(bucket.writer, built)
        bucket.tamper(graph_key(built), b"something else")
        for _ in range(3):
            with pytest.raises(IntegrityError):
                cache.get("iris")
        assert bucket.reads.count(ALIAS) == 1
        clock.advance(5.0)
        assert cache.retry_after("iris") == 10

    def test_unknown_model_costs_one_look_an_interval(self, bucket: Bucket, clock: Clock, cache: ModelCache) -> None:
        for _ in range(3):
            with pytest.raises(NotFoundError):
                cache.get("iris")
        assert bucket.reads == [ALIAS]
        promote(bucket.writer, build())
        clock.advance(REFRESH)
        assert cache.get("iris").entry.generation == 1

    @pytest.mark.parametrize("name", ["", "Iris", "../iris", "iris/registry", "a" * 41, "é", "a\x00"])
    def test_impossible_names_are_not_looked_up(self, bucket: Bucket, cache: ModelCache, name: str) -> None:
        with pytest.raises(NotFoundError):
            cache.get(name)
        assert bucket.reads == []

    def test_made_up_names_do_not_fill_the_memory(self, bucket: Bucket, cache: ModelCache) -> None:
        promote(bucket.writer, build())
        first = cache.get("iris")
        for i in range(MAX_UNKNOWN + 10):
            with pytest.raises(NotFoundError):
                cache.get(f"m{i}")
        assert len(cache._states) <= MAX_UNKNOWN
        assert cache.peek("iris") is first


class TestThreads:
    def test_cold_requests_share_one_load(self, bucket: Bucket, cache: ModelCache) -> None:
        promote(bucket.writer, build())
        with ThreadPoolExecutor(8) as pool:
            found = {id(snapshot) for snapshot in pool.map(cache.get, ["iris"] * 32)}
        assert len(found) == 1
        assert len(bucket.reads) == 3

    def test_nobody_waits_for_anothers_look(self, bucket: Bucket, clock: Clock, cache: ModelCache) -> None:
        promote(bucket.writer, build(seed=1))
        first = cache.get("iris")
        promote(bucket.writer, build(seed=2))
        looking, go_on = threading.Event(), threading.Event()

        def hold(key: str) -> None:
            looking.set()
            assert go_on.wait(10)

        bucket.before = hold
        clock.advance(REFRESH)
        with ThreadPoolExecutor(1) as pool:
            slow = pool.submit(cache.get, "iris")
            assert looking.wait(10)
            assert cache.get("iris") is first
            go_on.set()
            assert slow.result(10).entry.generation == 2
        assert cache.get("iris").entry.generation == 2


class TestCatalog:
    def catalog(self, bucket: Bucket, clock: Clock) -> Catalog:
        return Catalog(bucket.store, refresh_seconds=REFRESH, clock=clock)

    def test_lists_folders_with_a_champion(self, bucket: Bucket, clock: Clock) -> None:
        promote(bucket.writer, build(make_spec("b-model")))
        promote(bucket.writer, build(make_spec("a-model")))
        bucket.writer.put_new("site/index.html", b"")
        bucket.writer.put_new("Not A Model/registry/alias/champion.json", b"{}")
        bucket.writer.put_new("damaged/registry/alias/champion.json", b"{}")
        assert [model.name for model in self.catalog(bucket, clock).models()] == ["a-model", "b-model"]

    def test_is_read_once_an_interval(self, bucket: Bucket, clock: Clock) -> None:
        catalog = self.catalog(bucket, clock)
        assert catalog.models() == ()
        promote(bucket.writer, build())
        assert catalog.models() == ()
        clock.advance(REFRESH)
        assert [model.name for model in catalog.models()] == ["iris"]

    def test_keeps_the_last_list(self, bucket: Bucket, clock: Clock) -> None:
        promote(bucket.writer, build())
        catalog = self.catalog(bucket, clock)
        known = catalog.models()
        bucket.down = True
        clock.advance(REFRESH)
        assert catalog.models() == known
        bucket.reads.clear()
        assert catalog.models() == known
        assert bucket.reads == []

    def test_without_any_list_the_failure_is_told(self, bucket: Bucket, clock: Clock) -> None:
        bucket.down = True
        with pytest.raises(StoreUnavailable):
            self.catalog(bucket, clock).models()
