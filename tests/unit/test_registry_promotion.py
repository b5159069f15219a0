"""What publish, promote and rollback mean, seen from one process."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from obstore.store import MemoryStore

from perennial import keys
from perennial.errors import (
    AlreadyExistsError,
    ConflictError,
    IntegrityError,
    NotFoundError,
    PromotionRefused,
    StoreRefused,
)
from perennial.registry.entries import MOST_BYTES
from perennial.registry.log import CHAMPION, LogEntry, ModelLog
from perennial.registry.manifest import MODEL_FILE
from perennial.registry.registry import Registry, models
from perennial.store import Store
from tests.support.seam import Script
from tests.support.versions import MODEL, at, ref, spec, version


@pytest.fixture
def raw() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def store(raw: MemoryStore) -> Store:
    return Store(raw)


@pytest.fixture
def registry(store: Store) -> Registry:
    return Registry(store)


class Ops:
    """Short-hand: publishes what it promotes; every operation has its own op_id unless one is given."""

    def __init__(self, registry: Registry) -> None:
        self.registry, self.count = registry, 0

    def promote(self, number: int, op_id: str | None = None) -> LogEntry:
        manifest, files = version(number)
        self.registry.publish(manifest, files)
        self.count += 1
        return self.registry.promote(
            MODEL, manifest.version, op_id=op_id or f"op-{self.count}", actor="ada", reason="", now=at(self.count)
        )

    def rollback(self, to: int | None = None, op_id: str | None = None) -> LogEntry:
        self.count += 1
        return self.registry.rollback(
            MODEL, op_id=op_id or f"op-{self.count}", actor="ada", reason="", now=at(self.count),
            to=None if to is None else version(to)[0].version,
        )  # fmt: skip

    def numbers(self) -> list[int]:
        by_version = {version(number)[0].version: number for number in range(6)}
        return [by_version[entry.version] for entry in self.registry.log(MODEL)]


@pytest.fixture
def ops(registry: Registry) -> Ops:
    return Ops(registry)


def test_a_published_version_is_read_back_verified(registry: Registry) -> None:
    manifest, files = version()
    assert registry.publish(manifest, files) == manifest.version
    assert registry.publish(manifest, files) == manifest.version
    assert registry.manifest(MODEL, manifest.version) == manifest
    assert {name: registry.file(manifest, name) for name in files} == files
    assert registry.versions(MODEL) == [manifest.version]
    assert registry.head(MODEL) is None
    assert registry.log(MODEL) == []


def test_models_are_those_with_a_published_version(store: Store, registry: Registry) -> None:
    registry.publish(*version())
    store.put_new("site/index.html", b"")
    store.put_new(keys.landing("only-data", "a.csv"), b"")
    with pytest.raises(PromotionRefused):
        registry.promote("only-tried", "0" * 16, op_id="x", actor="", reason="", now=at(0))
    assert models(store) == [MODEL]


@pytest.mark.parametrize("name", ["../evil.onnx", "a/../b", "/etc/passwd", "a//b", "", ".hidden", "a\nb", "c:\\x"])
def test_publish_refuses_names_that_are_no_file_names(registry: Registry, name: str) -> None:
    _, files = version()
    files = files | {name: b"x"}
    manifest, _ = version(files={key: ref(data) for key, data in files.items()})
    with pytest.raises(IntegrityError, match="no file name"):
        registry.publish(manifest, files)


def test_publish_refuses_files_that_are_not_the_manifests(store: Store, registry: Registry) -> None:
    manifest, files = version()
    spoiled = [
        files | {MODEL_FILE: b"another graph"},
        files | {"extra.svg": b""},
        {MODEL_FILE: files[MODEL_FILE]},
        {},
    ]
    for wrong in spoiled:
        with pytest.raises(IntegrityError):
            registry.publish(manifest, wrong)
    assert list(store.list("")) == []
    without_graph, _ = version(files={"charts/roc.svg": ref(b"<svg/>")})
    with pytest.raises(IntegrityError, match=r"disagree on model\.onnx"):
        registry.publish(without_graph, {"charts/roc.svg": b"<svg/>"})


def test_publish_does_not_trust_a_blob_that_is_there_already(store: Store, registry: Registry) -> None:
    manifest, files = version()
    store.put_new(keys.registry_blob(MODEL, manifest.files[MODEL_FILE].digest), b"evil")
    with pytest.raises(IntegrityError, match="tampered"):
        registry.publish(manifest, files)
    assert registry.versions(MODEL) == []


def test_a_promotion_is_an_entry_of_the_log_and_a_copy_at_the_alias(store: Store, ops: Ops) -> None:
    first, second = ops.promote(0), ops.promote(1)
    assert (first.generation, first.previous, first.kind) == (1, None, "promotion")
    assert (second.generation, second.previous) == (2, first.version)
    assert ops.registry.log(MODEL) == [first, second]
    assert ops.registry.log(MODEL, last=1) == [second]
    assert ops.registry.log(MODEL, last=9) == [first, second]
    assert ops.registry.head(MODEL) == second
    alias = store.get(keys.alias(MODEL, CHAMPION)).data
    assert alias == store.get(keys.log_entry(MODEL, 2)).data == second.to_bytes()


def test_times_are_kept_in_utc(registry: Registry) -> None:
    manifest, files = version()
    registry.publish(manifest, files)
    noon_in_tokyo = datetime(2026, 11, 21, 12, tzinfo=timezone(timedelta(hours=9)))
    entry = registry.promote(MODEL, manifest.version, op_id="1", actor="ada", reason="", now=noon_in_tokyo)
    assert entry.time == datetime(2026, 11, 21, 3, tzinfo=UTC)
    assert b'"time":"2026-11-21T03:00:00Z"' in entry.to_bytes()
    assert registry.head(MODEL) == entry


def test_promoting_the_champion_changes_nothing(ops: Ops) -> None:
    first = ops.promote(0)
    assert ops.promote(0) == first
    assert ops.numbers() == [0]


def test_a_promotion_that_changed_nothing_is_not_done_later_by_its_retry(ops: Ops) -> None:
    first = ops.promote(0)
    assert ops.promote(0, op_id="again") == first
    ops.promote(1)
    assert ops.promote(0, op_id="again") == first
    assert ops.numbers() == [0, 1]


def test_a_retry_finds_its_own_commit_however_late(ops: Ops) -> None:
    first = ops.promote(0, op_id="airflow/training__churn/scheduled__2026-11-21T00:00:00+00:00/promote")
    for number in (1, 2, 3):
        ops.promote(number)
    assert ops.promote(0, op_id=first.op_id) == first
    assert ops.numbers() == [0, 1, 2, 3]


def test_an_op_id_names_one_operation(ops: Ops) -> None:
    ops.promote(0, op_id="run-1")
    with pytest.raises(AlreadyExistsError, match="'run-1' of churn was a promotion"):
        ops.promote(1, op_id="run-1")
    with pytest.raises(AlreadyExistsError, match="op_id"):
        ops.rollback(op_id="run-1")


def test_odd_op_ids_do_not_meet(ops: Ops) -> None:
    odd = ["a/b", "a b", "../x", "sha256-" + "0" * 64, "ä", "x" * 101, "a\nb"]
    made = [ops.promote(number % 2, op_id=op_id) for number, op_id in enumerate(odd)]
    assert [entry.op_id for entry in made] == odd
    assert [ops.promote(number % 2, op_id=op_id) for number, op_id in enumerate(odd)] == made


def test_an_unpublished_version_is_refused(registry: Registry, store: Store) -> None:
    for unknown in ("0" * 16, "../../other", "", "latest"):
        with pytest.raises(PromotionRefused, match="has no version"):
            registry.promote(MODEL, unknown, op_id=f"op {unknown}", actor="", reason="", now=at(0))
    assert registry.log(MODEL) == []


def test_a_version_that_does_not_verify_is_refused(registry: Registry, raw: MemoryStore) -> None:
    manifest, files = version()
    registry.publish(manifest, files)
    blob = keys.registry_blob(MODEL, manifest.files[MODEL_FILE].digest)
    stored = keys.version_manifest(MODEL, manifest.version)

    def refused(why: str) -> None:
        with pytest.raises(PromotionRefused, match=why):
            registry.promote(MODEL, manifest.version, op_id="1", actor="", reason="", now=at(0))
        assert registry.head(MODEL) is None

    raw.put(blob, b"evil!!!", mode="overwrite")
    refused("does not match its digest")
    raw.delete(blob)
    refused("is missing")
    raw.put(blob, files[MODEL_FILE])
    raw.put(stored, manifest.to_bytes() + b" ")
    refused("does not match its name")
    raw.put(stored, manifest.to_bytes())
    assert registry.promote(MODEL, manifest.version, op_id="1", actor="", reason="", now=at(0)).generation == 1


def test_a_version_of_another_model_is_refused(registry: Registry, raw: MemoryStore) -> None:
    manifest, files = version(spec=spec(name="other"))
    registry.publish(manifest, files)
    raw.copy(keys.version_manifest("other", manifest.version), keys.version_manifest(MODEL, manifest.version))
    with pytest.raises(PromotionRefused, match="is a version of other"):
        registry.promote(MODEL, manifest.version, op_id="1", actor="", reason="", now=at(0))


@pytest.mark.parametrize("name", ["../churn", "", "Churn", "a/b", "churn\n", "site/.."])
def test_a_name_that_no_model_can_have_is_not_found(registry: Registry, name: str) -> None:
    for use in (registry.head, registry.log, registry.versions, lambda name: registry.manifest(name, "0" * 16)):
        with pytest.raises(NotFoundError, match="There is no model"):
            use(name)


def test_rollbacks_go_back_and_never_to_and_fro(ops: Ops) -> None:
    for number in (0, 1, 2):
        ops.promote(number)
    back = ops.rollback()
    assert (back.kind, back.restores, back.previous) == ("rollback", 2, version(2)[0].version)
    ops.rollback()
    assert ops.numbers() == [0, 1, 2, 1, 0]
    with pytest.raises(PromotionRefused, match="no champion before"):
        ops.rollback()
    assert ops.numbers() == [0, 1, 2, 1, 0]


def test_a_rollback_skips_what_was_rolled_back(ops: Ops) -> None:
    ops.promote(0)
    ops.promote(1)
    ops.rollback()
    ops.promote(2)
    ops.rollback()
    assert ops.numbers() == [0, 1, 0, 2, 0]
    with pytest.raises(PromotionRefused):
        ops.rollback()


def test_a_version_promoted_twice_does_not_make_rollbacks_turn_in_circles(ops: Ops) -> None:
    for number in (0, 1, 0):
        ops.promote(number)
    ops.rollback()
    ops.rollback()
    assert ops.numbers() == [0, 1, 0, 1, 0]
    with pytest.raises(PromotionRefused):
        ops.rollback()


def test_a_rollback_to_a_named_champion(ops: Ops) -> None:
    for number in (0, 1, 2):
        ops.promote(number)
    entry = ops.rollback(to=0)
    assert entry.restores == 1
    assert ops.rollback(to=0) == entry  # champion already
    again = ops.rollback(to=2)
    assert again.restores == 3
    ops.rollback()
    assert ops.numbers() == [0, 1, 2, 0, 2, 1]


def test_a_rollback_to_what_never_was_champion_is_refused(ops: Ops) -> None:
    ops.promote(0)
    ops.registry.publish(*version(1))
    with pytest.raises(PromotionRefused, match="never was champion"):
        ops.rollback(to=1)
    assert ops.numbers() == [0]


def test_a_rollback_before_any_promotion_is_refused(ops: Ops) -> None:
    with pytest.raises(PromotionRefused, match="churn has no champion"):
        ops.rollback()
    with pytest.raises(PromotionRefused, match="never was champion"):
        ops.rollback(to=0)


def test_a_rollback_repeated_is_done_once(ops: Ops) -> None:
    for number in (0, 1, 2):
        ops.promote(number)
    entry = ops.rollback(op_id="smoke failed")
    assert ops.rollback(op_id="smoke failed") == entry
    ops.promote(3)
    assert ops.rollback(op_id="smoke failed") == entry
    assert ops.numbers() == [0, 1, 2, 1, 3]


def test_a_rollback_does_not_undo_a_promotion_it_did_not_know_of(store: Store, ops: Ops) -> None:
    ops.promote(0)
    ops.promote(1)
    ModelLog(store, MODEL).intend("late", "rollback", None)  # asked for, then its process died
    ops.promote(2)
    with pytest.raises(ConflictError, match="promoted meanwhile"):
        ops.rollback(op_id="late")
    assert ops.numbers() == [0, 1, 2]


def test_a_reason_that_nobody_would_read_is_refused_and_a_shorter_one_is_taken(ops: Ops, store: Store) -> None:
    manifest, files = version()
    ops.registry.publish(manifest, files)

    def promote(reason: str) -> LogEntry:
        return ops.registry.promote(MODEL, manifest.version, op_id="one", actor="ada", reason=reason, now=at(0))

    with pytest.raises(PromotionRefused, match="more than the log takes"):
        promote("x" * MOST_BYTES)
    assert ModelLog(store, MODEL).newest() is None
    assert promote("short").generation == 1


def test_an_entry_too_large_to_be_ours_stops_promotions_unread(raw: MemoryStore, ops: Ops) -> None:
    ops.promote(1)
    raw.put(keys.log_entry(MODEL, 2), b" " * (MOST_BYTES + 1))
    with pytest.raises(IntegrityError, match="of at most"):
        ops.promote(2)


def test_a_file_larger_than_its_manifest_says_is_refused_by_name(ops: Ops, raw: MemoryStore) -> None:
    manifest, files = version(1)
    ops.registry.publish(manifest, files)
    raw.put(keys.registry_blob(MODEL, manifest.files[MODEL_FILE].digest), files[MODEL_FILE] + b"more")
    said = f"{manifest.version} of {MODEL} may not serve: {MODEL_FILE} of .* is larger than its manifest says"
    with pytest.raises(PromotionRefused, match=said):
        ops.registry.promote(MODEL, manifest.version, op_id="one", actor="ada", reason="", now=at(0))


def test_a_rollback_verifies_what_it_goes_back_to(ops: Ops, raw: MemoryStore) -> None:
    ops.promote(0)
    ops.promote(1)
    raw.delete(keys.registry_blob(MODEL, version(0)[0].files[MODEL_FILE].digest))
    with pytest.raises(PromotionRefused, match="is missing"):
        ops.rollback()
    assert ops.numbers() == [0, 1]


def test_the_head_is_the_log_even_where_the_alias_lags(raw: MemoryStore, ops: Ops) -> None:
    first, second = ops.promote(0), ops.promote(1)
    raw.put(keys.alias(MODEL, CHAMPION), first.to_bytes(), mode="overwrite")
    assert ops.registry.head(MODEL) == second
    raw.delete(keys.alias(MODEL, CHAMPION))
    assert ops.registry.head(MODEL) == second
    third = ops.promote(2)
    assert third.generation == 3
    assert raw.get(keys.alias(MODEL, CHAMPION)).bytes() == third.to_bytes()


def test_a_damaged_log_stops_promotions(raw: MemoryStore, ops: Ops) -> None:
    ops.promote(0)
    ops.promote(1)
    raw.delete(keys.log_entry(MODEL, 2))
    with pytest.raises(IntegrityError, match=r"00000002\.json is missing"):
        ops.promote(2)
    raw.put(keys.log_entry(MODEL, 2), b'{"generation": 2}')
    with pytest.raises(IntegrityError, match=r"00000002\.json is malformed: op_id: Field required"):
        ops.promote(2)


def test_a_refused_read_is_never_taken_for_the_end_of_the_log(raw: MemoryStore, ops: Ops) -> None:
    entry = ops.promote(0)
    script = Script("pass", "pass", "deny")
    with pytest.raises(StoreRefused):
        Registry(script.store(raw)).head(MODEL)
    assert script.requests == ["get", "get", "get"]
    assert ops.registry.head(MODEL) == entry


def test_cost_does_not_grow_with_the_log(raw: MemoryStore, ops: Ops) -> None:
    def requests(promotions: int) -> tuple[list[str], ...]:
        first = ops.promote(2, op_id=f"long ago {promotions}")
        for _ in range(promotions):
            ops.promote(ops.count % 2)
        head, promote, retry, late, back = Script(), Script(), Script(), Script(), Script()
        Registry(head.store(raw)).head(MODEL)
        entry = Ops(Registry(promote.store(raw))).promote(2, op_id=f"measured {promotions}")
        Ops(Registry(retry.store(raw))).promote(2, op_id=entry.op_id)
        assert Ops(Registry(late.store(raw))).promote(2, op_id=first.op_id) == first
        Ops(Registry(back.store(raw))).rollback(op_id=f"back {promotions}")
        return head.requests, promote.requests, retry.requests, late.requests, back.requests

    ops.promote(0)
    few = requests(2)
    assert requests(40) == few
    assert len(few[0]) == 3
