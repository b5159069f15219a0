"""Staying fresh: when the alias is looked at, what is kept when that fails, and that a snapshot never changes."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from obstore.store import MemoryStore

from perennial import keys
from perennial.errors import IntegrityError, NotFoundError, StoreUnavailable
from perennial.registry.entries import MOST_BYTES
from perennial.registry.log import LogEntry
from perennial.registry.manifest import MODEL_FILE, version_of
from perennial.registry.registry import Registry
from perennial.serving.catalog import Catalog
from perennial.serving.refresh import MAX_UNKNOWN, ModelCache
from perennial.store import Store
from tests.support.models import NOW, Built, build, make_spec, promote, register
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
        commit = keys.log_entry("iris", 1)
        assert bucket.reads == [ALIAS, commit, keys.version_manifest("iris", built.version), graph_key(built)]

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

    @pytest.mark.parametrize("key", [ALIAS, keys.log_entry("iris", 2)])
    def test_what_is_too_large_for_an_entry_is_not_read(
        self, bucket: Bucket, clock: Clock, cache: ModelCache, key: str
    ) -> None:
        first = self.served(bucket, cache)
        promote(bucket.writer, build(seed=2))
        bucket.tamper(key, bucket.writer.get(key).data + b" " * MOST_BYTES)
        clock.advance(REFRESH)
        assert cache.get("iris") is first
        state = cache.state("iris")
        assert state is not None and state.failure is not None and "of at most" in str(state.failure.error)

    def test_a_manifest_with_a_number_that_is_none_is_a_failure_like_others(
        self, bucket: Bucket, clock: Clock, cache: ModelCache
    ) -> None:
        first = self.served(bucket, cache)
        data = build(seed=2).manifest.to_bytes().replace(b'"value":0.9', b'"value":NaN')
        bad = version_of(data)
        bucket.writer.put_new(keys.version_manifest("iris", bad), data)
        entry = first.entry.model_copy(update={"generation": 2, "op_id": "by hand", "version": bad})
        bucket.writer.put_new(keys.log_entry("iris", 2), entry.to_bytes())
        bucket.tamper(ALIAS, entry.to_bytes())
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


class TestTheLogDecides:
    """The alias is a copy of a log entry: what it says and the log does not is not served, nor listed."""

    def forged(self, bucket: Bucket, **changes: Any) -> bytes:
        entry = LogEntry.from_bytes(bucket.writer.get(ALIAS).data, ALIAS)
        return entry.model_copy(update=changes).to_bytes()

    def reason(self, cache: ModelCache) -> str | None:
        state = cache.state("iris")
        assert state is not None
        return state.failure.reason if state.failure else None

    @pytest.mark.parametrize("generation", [1, 2, 90_000_000])
    def test_a_forged_alias_is_not_followed_and_the_true_one_is_again(
        self, bucket: Bucket, clock: Clock, cache: ModelCache, generation: int
    ) -> None:
        promote(bucket.writer, build(seed=1))
        catalog = Catalog(bucket.store, refresh_seconds=REFRESH, clock=clock)
        first, listed, true = cache.get("iris"), catalog.models(), bucket.writer.get(ALIAS).data
        other = build(seed=2)
        register(bucket.writer, other)
        bucket.tamper(ALIAS, self.forged(bucket, generation=generation, version=other.version))
        clock.advance(REFRESH)
        assert cache.get("iris") is first
        assert self.reason(cache) == "integrity"
        assert catalog.models() == listed
        bucket.tamper(ALIAS, true)
        clock.advance(REFRESH)
        assert (cache.get("iris").entry, self.reason(cache)) == (first.entry, None)
        assert [model.entry for model in catalog.models()] == [first.entry]
        promote(bucket.writer, other)
        clock.advance(REFRESH)
        assert (cache.get("iris").entry.version, self.reason(cache)) == (other.version, None)
        assert [model.entry for model in catalog.models()] == [cache.get("iris").entry]

    @pytest.mark.parametrize("field", ["actor", "op_id", "reason"])
    def test_nothing_of_the_entry_may_differ(self, bucket: Bucket, cache: ModelCache, field: str) -> None:
        promote(bucket.writer, build(seed=1))
        bucket.tamper(ALIAS, self.forged(bucket, **{field: "somebody else"}))
        with pytest.raises(IntegrityError, match="no copy"):
            cache.get("iris")

    def test_an_alias_that_lags_is_followed_to_where_it_points(
        self, bucket: Bucket, clock: Clock, cache: ModelCache
    ) -> None:
        """A promotion that died before it moved the alias is finished when it is repeated."""
        first = promote(bucket.writer, build(seed=1))
        second = first.model_copy(update={"generation": 2, "op_id": "died", "previous": first.version})
        bucket.writer.put_new(keys.log_entry("iris", 2), second.to_bytes())
        assert cache.get("iris").entry == first
        assert self.reason(cache) is None


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
        assert len(bucket.reads) == len(set(bucket.reads)) == 4

    def test_one_model_does_not_wait_for_another(self, bucket: Bucket, cache: ModelCache) -> None:
        promote(bucket.writer, build())
        promote(bucket.writer, build(make_spec("other")))
        looking, go_on = threading.Event(), threading.Event()

        def hold(key: str) -> None:
            if key.startswith("other/"):
                looking.set()
                assert go_on.wait(10)

        bucket.before = hold
        with ThreadPoolExecutor(2) as pool:
            slow = pool.submit(cache.get, "other")
            assert looking.wait(10)
            try:
                assert pool.submit(cache.get, "iris").result(5).entry.generation == 1
            finally:
                go_on.set()
            assert slow.result(10).entry.generation == 1

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
        assert [model.name for model in self.catalog(bucket, clock).models()] == ["a-model", "b-model"]

    def test_a_damaged_alias_still_says_that_there_is_a_model(self, bucket: Bucket, clock: Clock) -> None:
        promote(bucket.writer, build())
        bucket.writer.put_new("damaged/registry/alias/champion.json", b"{}")
        found = {model.name: model.entry for model in self.catalog(bucket, clock).models()}
        assert list(found) == ["damaged", "iris"]
        assert found["damaged"] is None and found["iris"] is not None

    @pytest.mark.parametrize("damage", ["altered", "gone"])
    def test_a_known_model_is_not_forgotten(self, clock: Clock, damage: str) -> None:
        raw = MemoryStore()
        store = Store(raw)
        promote(store, build())
        catalog = Catalog(store, refresh_seconds=REFRESH, clock=clock)
        known = catalog.models()
        if damage == "altered":
            raw.put(ALIAS, b"{}")
        else:
            raw.delete([entry.key for entry in store.list("")])
        clock.advance(REFRESH)
        assert catalog.models() == known

    def test_what_has_not_changed_costs_one_conditional_read(self, bucket: Bucket, clock: Clock) -> None:
        promote(bucket.writer, build())
        catalog = self.catalog(bucket, clock)
        catalog.models()
        bucket.reads.clear()
        clock.advance(REFRESH)
        catalog.models()
        assert bucket.reads == ["", ALIAS]

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
