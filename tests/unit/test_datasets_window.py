"""The comparison window: the newest of what is new, kept from one version's training and given to the next one's."""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from obstore.store import MemoryStore

from perennial import keys
from perennial.datasets.history import read_manifest, read_manifests
from perennial.datasets.load import load_split
from perennial.datasets.manifest import DatasetManifest, SplitName
from perennial.datasets.placed import kept_apart, placed_holdout, placed_window
from perennial.datasets.snapshot import snapshot
from perennial.errors import IntegrityError, StoreUnavailable
from perennial.registry.registry import Registry
from perennial.spec import ModelSpec, canonical
from perennial.store import Store, memory_store
from tests.support.datasets import FEATURES, DyingStore, make_spec, people_csv
from tests.support.versions import START
from tests.support.versions import spec as spec_of
from tests.support.versions import version as published

SPEC = make_spec(id="id")
TIMED = make_spec(
    task="regression", target={"column": "cost"}, features={"a": {"type": "number"}}, time="when",
    holdout={"fraction": 0.25},
)  # fmt: skip


def timed_csv(first: int, rows: int) -> bytes:
    """One row an hour, counted from 2026."""
    body = (f"{1_767_225_600 + 3600 * i},{i % 7},{i}" for i in range(first, first + rows))
    return "\n".join(["when,a,cost", *body, ""]).encode()


def add(store: Store, name: str, data: bytes) -> None:
    store.put_new(keys.landing("people", name), data)


def having(*files: tuple[str, bytes]) -> Store:
    store = memory_store()
    for name, data in files:
        add(store, name, data)
    return store


def ids(store: Store, manifest: DatasetManifest, split: SplitName, spec: ModelSpec = SPEC) -> set[str]:
    return set(load_split(store, spec, manifest, split).table.column("id").to_pylist())


def costs(store: Store, manifest: DatasetManifest, split: SplitName) -> list[float]:
    return [float(cost) for cost in load_split(store, TIMED, manifest, split).y]


def test_a_first_version_has_no_window() -> None:
    store = having(("a.csv", people_csv(200)), ("feedback/00000001.parquet", people_csv(200, 500)))
    manifest = snapshot(store, SPEC).manifest
    assert manifest.window is None and manifest.rows("window") == 0
    assert load_split(store, SPEC, manifest, "window").x.shape == (0, 4)
    assert {source.kind for source in manifest.sources} == {"landed", "feedback"}


def test_without_time_a_share_of_feedback_is_the_window_until_the_next_version_learns_it() -> None:
    store = having(("a.csv", people_csv(200)))
    first = snapshot(store, SPEC).manifest
    add(store, "feedback/00000001.parquet", people_csv(150, 500))
    second = snapshot(store, SPEC).manifest
    window = ids(store, second, "window")
    assert second.window is not None and not second.window.trusted
    assert second.rows("window") == len(window) == 30
    assert window <= {f"p{i}" for i in range(500, 650)}
    assert not window & ids(store, second, "train")
    assert second.holdout == first.holdout
    add(store, "b.csv", people_csv(40, 900))
    third = snapshot(store, SPEC).manifest
    assert third.window is None  # what an owner lands of a model without time is no newer than what he landed before
    assert window <= ids(store, third, "train")
    blob = next(part for part in second.parts if part.split == "window")
    assert [part.split for part in third.parts if part.digest == blob.digest] == ["train"]
    assert third.rows() == 200 + 150 + 40


def test_labels_of_files_are_trusted_where_no_feedback_is_among_them() -> None:
    for more, trusted in (((), True), ((("feedback/00000001.parquet", people_csv(100, 800)),), False)):
        store = having(("a.csv", people_csv(200)))
        snapshot(store, SPEC)
        for name, data in (("labels/00000001.parquet", people_csv(200, 500)), *more):
            add(store, name, data)
        manifest = snapshot(store, SPEC).manifest
        assert manifest.window is not None and manifest.window.trusted is trusted


def test_with_time_the_window_is_the_last_of_what_landed() -> None:
    store = having(("a.csv", timed_csv(0, 100)))
    first = snapshot(store, TIMED).manifest
    add(store, "b.csv", timed_csv(140, 40))
    add(store, "c.csv", timed_csv(100, 40))
    add(store, "feedback/00000001.parquet", timed_csv(180, 400))
    second = snapshot(store, TIMED).manifest
    assert second.window is not None and second.window.trusted
    assert costs(store, second, "window") == [float(i) for i in range(160, 180)]
    assert costs(store, second, "holdout") == costs(store, first, "holdout") == [float(i) for i in range(75, 100)]
    assert len(costs(store, second, "train")) == 75 + 60 + 400
    add(store, "feedback/00000002.parquet", timed_csv(600, 100))
    third = snapshot(store, TIMED).manifest
    assert third.window is not None and not third.window.trusted
    assert costs(store, third, "window") == [float(i) for i in range(675, 700)]
    assert set(costs(store, second, "window")) <= set(costs(store, third, "train"))


@pytest.mark.parametrize(("rows", "window"), [(80, 20), (76, 0)])
def test_a_window_has_twenty_rows_or_there_is_none(rows: int, window: int) -> None:
    store = having(("a.csv", timed_csv(0, 100)))
    snapshot(store, TIMED)
    add(store, "b.csv", timed_csv(100, rows))
    manifest = snapshot(store, TIMED).manifest
    assert manifest.rows("window") == window
    assert (manifest.window is None) is (window == 0)
    assert manifest.rows() == 100 + rows


def test_new_rows_of_one_moment_give_no_window() -> None:
    store = having(("a.csv", timed_csv(0, 100)))
    snapshot(store, TIMED)
    add(store, "b.csv", b"when,a,cost\n" + b"".join(b"1795000000,%d,%d\n" % (i, i) for i in range(90)))
    assert snapshot(store, TIMED).manifest.window is None


def test_what_training_or_the_holdout_holds_too_is_in_no_window() -> None:
    """A cumulative export: all that came before comes again, and nothing of it may pose as new."""
    store = having(("a.csv", timed_csv(0, 200)))
    first = snapshot(store, TIMED).manifest
    add(store, "b.csv", timed_csv(0, 230))
    second = snapshot(store, TIMED).manifest
    assert second.window is not None
    assert costs(store, second, "window") == [float(i) for i in range(200, 230)]
    assert second.held_back == first.rows("holdout") == 50
    add(store, "c.csv", timed_csv(0, 231))
    third = snapshot(store, TIMED).manifest
    assert third.window is None


def test_copies_of_training_rows_leave_the_window_with_their_id() -> None:
    store = having(("a.csv", people_csv(200)))
    first = snapshot(store, SPEC).manifest
    trained = sorted(ids(store, first, "train"))[:60]
    rows = "".join(f"{one},44,0.1,red,Elsewhere,no\n" for one in trained)
    add(store, "labels/00000001.parquet", people_csv(200, 500) + rows.encode())
    second = snapshot(store, SPEC).manifest
    assert 30 <= second.rows("window") <= 52
    assert not ids(store, second, "window") & ids(store, second, "train")


def test_a_holdout_row_that_comes_back_without_its_id_is_held_back() -> None:
    """Asked of the API, a record may lack its id: sent back with its label it must not teach the holdout."""
    store = having(("a.csv", people_csv(200)))
    first = snapshot(store, SPEC).manifest
    lines = people_csv(200).decode().splitlines()
    nameless = "\n".join([lines[0], *("," + line.split(",", 1)[1] for line in lines[1:])]) + "\n"
    add(store, "feedback/00000001.parquet", nameless.encode())
    second = snapshot(store, SPEC).manifest
    assert second.held_back == first.rows("holdout") == 40
    assert second.window is None  # the others are copies of what was trained on


def test_a_class_that_only_the_window_would_hold_goes_to_training() -> None:
    spec = make_spec(task="multiclass", target={"column": "ill"}, time="when")

    def csv(rows: range, kind: str = "") -> bytes:
        body = (f"{10**9 + 60 * i},{i % 90},0.1,red,Rome,{kind or ('yes', 'no')[i % 2]}" for i in rows)
        return "\n".join(["when,age,score,colour,town,ill", *body, ""]).encode()

    store = having(("a.csv", csv(range(100))))
    snapshot(store, spec)
    add(store, "b.csv", csv(range(100, 280)))
    add(store, "c.csv", csv(range(280, 290), "maybe"))
    manifest = snapshot(store, spec).manifest
    assert manifest.classes == ("maybe", "no", "yes")
    assert set(load_split(store, spec, manifest, "window").table.column("ill").to_pylist()) == {"yes", "no"}
    assert manifest.rows("window") == 28


WIDER: dict[str, Any] = {**FEATURES, "age": {"type": "number", "min": 0, "max": 600, "integer": True}}


def test_under_a_changed_schema_the_window_stays_what_it_was() -> None:
    store = having(("a.csv", people_csv(200)))
    snapshot(store, SPEC)
    add(store, "labels/00000001.parquet", people_csv(200, 500))
    second = snapshot(store, SPEC).manifest
    wider = make_spec(id="id", features=WIDER)
    third = snapshot(store, wider).manifest
    assert third.parent == second.id and third.window == second.window
    assert ids(store, third, "window", wider) == ids(store, second, "window")
    assert ids(store, third, "train", wider) == ids(store, second, "train")
    add(store, "b.csv", people_csv(30, 900))
    widest = make_spec(id="id", features={**WIDER, "score": {"type": "number", "missing": True}})
    fourth = snapshot(store, widest).manifest
    assert fourth.parent in (second.id, third.id) and fourth.window is None
    assert ids(store, second, "window") <= ids(store, fourth, "train", widest)
    assert snapshot(store, SPEC).manifest.id != second.id and read_manifest(store, "people", second.id) == second


def test_a_window_is_read_as_another_spec_reads_it() -> None:
    store = having(("a.csv", people_csv(200)))
    first = snapshot(store, SPEC).manifest
    add(store, "labels/00000001.parquet", people_csv(200, 500) + b"old,130,0.1,red,Rome,no\n")
    fewer = make_spec(id="id", features={"age": WIDER["age"]})
    second = snapshot(store, fewer).manifest
    ours = placed_window(store, fewer, second, second.classes)
    theirs = placed_window(store, SPEC, second, ("yes", "no"))
    assert ours is not None and theirs is not None
    assert set(theirs.places) <= set(ours.places) and len(theirs.places) >= len(ours.places) - 1
    where = {place: i for i, place in enumerate(ours.places)}
    same = [where[place] for place in theirs.places]
    assert theirs.rows.table.column("id").to_pylist() == [ours.rows.table.column("id").to_pylist()[i] for i in same]
    assert theirs.rows.x.shape[1] == 4 and ours.rows.x.shape[1] == 1
    assert (theirs.rows.y == 1 - ours.rows.y[same]).all()
    assert placed_window(store, SPEC, first, first.classes) is None


def test_what_a_model_has_not_learnt_from_is_told_by_its_version() -> None:
    store = having(("a.csv", people_csv(200)))
    first = snapshot(store, SPEC).manifest
    add(store, "labels/00000001.parquet", people_csv(200, 500))
    second = snapshot(store, SPEC).manifest
    window = placed_window(store, SPEC, second, second.classes)
    assert window is not None
    assert all(kept_apart(store, first, window.places)) and all(kept_apart(store, second, window.places))
    assert all(kept_apart(store, second, placed_holdout(store, SPEC, second).places))
    (source,) = {source for source, _ in window.places}
    assert sum(kept_apart(store, second, [(source, row) for row in range(1, 201)])) == len(window.places)
    add(store, "b.csv", people_csv(30, 900))
    assert not any(kept_apart(store, snapshot(store, SPEC).manifest, window.places))


def test_what_is_new_is_what_the_champion_lacks_however_many_versions_came_in_between() -> None:
    """Rows that drip in, a version for each drop: the window is not that of the last drop alone."""

    def promote(dataset: DatasetManifest, number: int) -> None:
        manifest, files = published(number, spec=spec_of(name="people"), dataset=dataset.id)
        registry = Registry(store)
        registry.publish(manifest, files)
        registry.promote("people", manifest.version, op_id=str(number), actor="test", reason="", now=START)

    store = having(("a.csv", timed_csv(0, 100)))
    first = snapshot(store, TIMED).manifest
    promote(first, 1)
    for day in range(6):
        add(store, f"day-{day}.csv", timed_csv(100 + 24 * day, 24))
        last = snapshot(store, TIMED).manifest
        assert last.parent == first.id
        assert last.rows("window") == (0 if day < 3 else 6 * (day + 1))
    assert costs(store, last, "window") == [float(i) for i in range(208, 244)]
    assert costs(store, last, "holdout") == costs(store, first, "holdout")
    promote(last, 2)
    add(store, "b.csv", timed_csv(244, 120))
    child = snapshot(store, TIMED).manifest
    assert child.parent == last.id
    assert costs(store, child, "window") == [float(i) for i in range(334, 364)]
    assert set(costs(store, last, "window")) <= set(costs(store, child, "train"))


@pytest.mark.parametrize("landed_too", [False, True])
def test_a_process_may_die_at_any_write_of_a_version_with_a_window(landed_too: bool) -> None:
    def prepared(raw: MemoryStore) -> None:
        add(Store(raw), "a.csv", people_csv(60))
        snapshot(Store(raw), SPEC)
        add(Store(raw), "feedback/00000001.parquet", people_csv(120, 100) + b"bad\n")

    whole = MemoryStore()
    prepared(whole)
    expected = snapshot(Store(whole), SPEC).manifest
    assert expected.rows("window") == 24
    deaths = 0
    for at in range(50):
        raw = MemoryStore()
        prepared(raw)
        try:
            snapshot(DyingStore(raw, at, landed=landed_too), SPEC)
        except StoreUnavailable:
            deaths += 1
        else:
            break
        assert snapshot(Store(raw), SPEC).manifest == expected
        assert len(read_manifests(Store(raw), "people")) == 2
    assert deaths >= 6


def test_two_at_once_make_one_version_with_one_window() -> None:
    store = having(("a.csv", people_csv(200)))
    snapshot(store, SPEC)
    add(store, "feedback/00000001.parquet", people_csv(200, 500))
    with ThreadPoolExecutor(4) as pool:
        found = {one.manifest.id for one in pool.map(lambda _: snapshot(store, SPEC), range(4))}
    assert len(found) == 1


def test_the_same_bytes_landed_by_the_owner_are_trusted() -> None:
    store = having(("a.csv", people_csv(200)))
    snapshot(store, SPEC)
    add(store, "feedback/00000001.parquet", people_csv(200, 500))
    add(store, "z.csv", people_csv(200, 500))
    manifest = snapshot(store, SPEC).manifest
    assert [source.kind for source in manifest.sources] == ["landed", "landed"]


def test_what_was_collected_never_stops_a_version() -> None:
    """Nobody can mend it: after a change of the spec all of its rows may be refused."""
    store = having(("a.csv", people_csv(200)), ("labels/00000001.parquet", people_csv(30, 500)))
    lines = people_csv(30, 900).replace(b"colour", b"color")
    add(store, "feedback/00000001.parquet", lines)
    manifest = snapshot(store, SPEC).manifest
    (refused,) = (source for source in manifest.sources if source.kind == "feedback")
    assert (refused.rows, refused.accepted, refused.refused) == (30, 0, 30)
    quarantine = store.get(keys.quarantine("people", refused.digest, manifest.schema_digest)).data
    assert json.loads(quarantine.splitlines()[0])["column"] == "colour"
    assert manifest.rows() == 230


def old_form(manifest: DatasetManifest) -> bytes:
    """As the release before windows wrote it."""
    said = manifest.model_dump(mode="json", exclude={"window": True, "sources": {"__all__": {"kind"}}})
    return canonical(said)


def test_a_manifest_of_the_earlier_release_keeps_its_id_and_has_children() -> None:
    store = having(("a.csv", people_csv(200)))
    made = snapshot(store, SPEC).manifest
    data = old_form(made)
    assert b'kind":"landed' not in data and b"window" not in data
    name = hashlib.sha256(data).hexdigest()
    assert name != made.id
    old = memory_store()
    add(old, "a.csv", people_csv(200))
    for digest in (made.holdout, *(part.digest for part in made.parts)):
        old.put_new(keys.dataset_blob("people", digest), store.get(keys.dataset_blob("people", digest)).data)
    old.put_new(keys.dataset_manifest("people", name), data)
    read = read_manifest(old, "people", name)
    assert (read.id, read.to_bytes(), read.window) == (name, data, None)
    assert read == read_manifest(old, "people", name)
    assert [source.kind for source in read.sources] == ["landed"]
    assert snapshot(old, SPEC).manifest.id == name
    add(old, "feedback/00000001.parquet", people_csv(200, 500))
    child = snapshot(old, SPEC).manifest
    assert child.parent == name and child.rows("window") == 40
    changed = read.model_copy(update={"parent": "p"})
    assert changed.id == hashlib.sha256(changed.to_bytes()).hexdigest() != name
    with pytest.raises(IntegrityError, match="does not match its name"):
        DatasetManifest.from_bytes(data, made.id)
