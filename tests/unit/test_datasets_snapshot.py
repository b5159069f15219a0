"""Dataset versions: the same from the same input, with a holdout that never changes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from obstore.store import MemoryStore

from perennial import keys
from perennial.datasets.history import read_manifest, read_manifests
from perennial.datasets.landing import landing_entries
from perennial.datasets.load import Rows, load_split
from perennial.datasets.manifest import DatasetManifest
from perennial.datasets.snapshot import snapshot
from perennial.errors import DataError, IntegrityError, NotFoundError, StoreUnavailable
from perennial.spec import ModelSpec
from perennial.store import Store, memory_store
from tests.support.datasets import FEATURES, DyingStore, make_spec, people_csv

SPEC = make_spec(id="id")


def landed(*files: bytes, names: tuple[str, ...] = ("a.csv", "b.csv", "c.csv")) -> Store:
    store = memory_store()
    for name, data in zip(names, files, strict=False):
        store.put_new(keys.landing("people", name), data)
    return store


def add(store: Store, name: str, data: bytes) -> None:
    store.put_new(keys.landing("people", name), data)


def ids(rows: Rows) -> list[str]:
    return sorted(rows.table.column("id").to_pylist())


def holdout(store: Store, spec: ModelSpec, manifest: DatasetManifest) -> list[str]:
    return ids(load_split(store, spec, manifest, "holdout"))


def train(store: Store, spec: ModelSpec, manifest: DatasetManifest) -> list[str]:
    return ids(load_split(store, spec, manifest, "train"))


def test_a_version_accounts_for_every_row() -> None:
    bad = b"id,age,score,colour,town,ill\nq1,500,0,red,Rome,yes\nq2,1\n"
    store = landed(people_csv(60) + bad.split(b"\n", 1)[1], people_csv(40, 100) + people_csv(41, 100).splitlines()[1])
    made = snapshot(store, SPEC)
    manifest = made.manifest
    assert made.new
    assert sorted((one.rows, one.accepted, one.refused, one.duplicates) for one in manifest.sources) == [
        (41, 41, 0, 1),
        (62, 60, 2, 0),
    ]
    assert (manifest.rows(), manifest.refused, manifest.duplicates, manifest.held_back) == (101, 2, 1, 0)
    assert manifest.classes == ("no", "yes")
    kept = train(store, SPEC, manifest) + holdout(store, SPEC, manifest)
    assert sorted(kept) == sorted([f"p{i}" for i in (*range(60), *range(100, 140), 100)])
    assert read_manifest(store, "people", manifest.id) == manifest


def test_the_holdout_is_stratified_and_of_the_share_asked_for() -> None:
    store = landed(people_csv(600))
    manifest = snapshot(store, SPEC).manifest
    rows = load_split(store, SPEC, manifest, "holdout")
    assert (len(rows.y), int(rows.y.sum())) == (120, 40)
    other = snapshot(store, make_spec(id="id", holdout={"fraction": 0.2, "seed": 7})).manifest
    assert other.parent is None
    assert holdout(store, SPEC, manifest) != holdout(store, SPEC, other)


def test_nothing_new_is_the_same_version() -> None:
    store = landed(people_csv(60))
    first = snapshot(store, SPEC)
    again = snapshot(store, SPEC)
    assert (again.manifest, again.new) == (first.manifest, False)
    add(store, "copy of a.csv", people_csv(60))
    assert not snapshot(store, SPEC).new
    renamed = make_spec(id="id", metric="accuracy", candidates={"other": {"estimator": "sklearn.dummy.X"}})
    assert snapshot(store, renamed).manifest.id == first.manifest.id


def test_the_id_depends_on_neither_names_nor_order_of_files() -> None:
    one = landed(people_csv(60), people_csv(60, 60))
    two = landed(people_csv(60, 60), people_csv(60), names=("first.csv", "z/second.csv"))
    assert snapshot(one, SPEC).manifest == snapshot(two, SPEC).manifest


def test_the_draw_depends_on_the_rows_and_not_on_how_they_are_filed() -> None:
    lines = people_csv(120).splitlines()
    whole = landed(people_csv(120))
    turned = landed(b"\n".join([lines[0], *reversed(lines[61:])]) + b"\n", b"\n".join([lines[0], *lines[1:61]]) + b"\n")
    assert holdout(whole, SPEC, snapshot(whole, SPEC).manifest) == holdout(
        turned, SPEC, snapshot(turned, SPEC).manifest
    )


def test_the_holdout_stays_while_files_arrive_and_copies_of_it_are_held_back() -> None:
    store = landed(people_csv(100))
    first = snapshot(store, SPEC).manifest
    frozen = holdout(store, SPEC, first)
    add(store, "b.csv", people_csv(150))  # a cumulative export: the first hundred rows come again
    second = snapshot(store, SPEC).manifest
    assert second.parent == first.id
    assert second.holdout == first.holdout
    assert holdout(store, SPEC, second) == frozen
    assert second.held_back == len(frozen) == 20
    assert not set(train(store, SPEC, second)) & set(frozen)
    assert len(train(store, SPEC, second)) == 80 + 150 - 20
    assert second.duplicates == 80


def test_a_changed_row_of_a_held_out_id_is_held_back_too() -> None:
    store = landed(people_csv(100))
    frozen = holdout(store, SPEC, snapshot(store, SPEC).manifest)
    rows = "".join(f"{one},33,0.5,red,Elsewhere,no\n" for one in frozen[:7])
    add(store, "b.csv", ("id,age,score,colour,town,ill\n" + rows + "new,33,0.5,red,Elsewhere,no\n").encode())
    second = snapshot(store, SPEC).manifest
    assert second.held_back == 7
    assert "new" in train(store, SPEC, second)


def test_without_an_id_identical_rows_stay_on_one_side() -> None:
    spec = make_spec()
    lines = people_csv(90).splitlines()
    store = landed(b"\n".join([lines[0], *lines[1:], *lines[1:], *lines[1:31]]) + b"\n")
    manifest = snapshot(store, spec).manifest
    sides = [
        {tuple(row.items()) for row in load_split(store, spec, manifest, side).table.to_pylist()}
        for side in ("train", "holdout")
    ]
    assert not sides[0] & sides[1]
    assert manifest.rows() == 210
    assert manifest.duplicates == 120


WIDER: dict[str, Any] = {**FEATURES, "age": {"type": "number", "min": 0, "max": 600, "integer": True}}


def test_the_holdout_outlives_a_change_of_the_features() -> None:
    odd = b"q1,500,0,red,Rome,yes\nq2,501,0,red,Rome,no\n"
    store = landed(people_csv(100) + odd)
    first = snapshot(store, SPEC).manifest
    frozen = holdout(store, SPEC, first)
    wider = make_spec(id="id", features=WIDER)
    second = snapshot(store, wider).manifest
    assert second.parent == first.id
    assert holdout(store, wider, second) == frozen
    assert {"q1", "q2"} <= set(train(store, wider, second))
    fewer = make_spec(id="id", features={"age": WIDER["age"]})
    third = snapshot(store, fewer).manifest
    assert holdout(store, fewer, third) == frozen
    assert snapshot(store, SPEC).manifest == first


def test_a_child_that_takes_over_parts_equals_one_computed_anew() -> None:
    files = people_csv(100), people_csv(120, 60), people_csv(30, 300)
    store = landed(*files[:1])
    first = snapshot(store, SPEC).manifest
    for name, data in zip(("b.csv", "c.csv"), files[1:], strict=True):
        add(store, name, data)
    taken_over = snapshot(store, SPEC).manifest

    fresh = landed(*files)
    stranger = replace_schema(first)
    for key in (
        keys.dataset_blob("people", first.holdout),
        *(keys.dataset_blob("people", p.digest) for p in first.parts),
    ):
        fresh.put_new(key, store.get(key).data)
    fresh.put_new(keys.dataset_manifest("people", stranger.id), stranger.to_bytes())
    computed = snapshot(fresh, SPEC).manifest
    assert computed.parent == stranger.id
    assert computed.model_copy(update={"parent": first.id}) == taken_over
    assert taken_over.held_back > 0


def replace_schema(manifest: DatasetManifest) -> DatasetManifest:
    """The same version as if made under another schema: nothing of it but the holdout can be taken over."""
    return manifest.model_copy(update={"schema_digest": "0" * 64})


def test_old_files_are_not_read_again() -> None:
    raw = MemoryStore()

    class Counting(Store):
        read: list[str] = []  # noqa: RUF012  # the test's own notes

        def get(self, key: str, *, most: int | None = None) -> Any:
            self.read.append(key)
            return super().get(key, most=most)

    store = Counting(raw)
    add(store, "a.csv", people_csv(100))
    snapshot(store, SPEC)
    add(store, "b.csv", people_csv(20, 500))
    store.read.clear()
    snapshot(store, SPEC)
    assert keys.landing("people", "b.csv") in store.read
    assert keys.landing("people", "a.csv") not in store.read


@pytest.mark.parametrize("landed_too", [False, True])
def test_a_process_may_die_at_any_write(landed_too: bool) -> None:
    files = people_csv(40) + b"bad,row\n", people_csv(40, 100)
    expected = snapshot(landed(*files), SPEC).manifest
    deaths = 0
    for at in range(50):
        raw = MemoryStore()
        for name, data in zip(("a.csv", "b.csv"), files, strict=True):
            add(Store(raw), name, data)
        try:
            snapshot(DyingStore(raw, at, landed=landed_too), SPEC)
        except StoreUnavailable:
            deaths += 1
        else:
            break
        assert len(read_manifests(Store(raw), "people")) <= int(landed_too)
        assert snapshot(Store(raw), SPEC).manifest == expected
        assert load_split(Store(raw), SPEC, expected, "train").x.shape[0] == expected.rows("train")
    assert deaths >= 8


def test_two_at_once_make_one_version() -> None:
    store = landed(people_csv(200), people_csv(200, 500))
    with ThreadPoolExecutor(4) as pool:
        found = {one.manifest.id for one in pool.map(lambda _: snapshot(store, SPEC), range(4))}
    assert len(found) == 1
    assert len(read_manifests(store, "people")) == 1


def test_progress_names_each_new_file() -> None:
    lines: list[str] = []
    snapshot(landed(people_csv(30)), SPEC, lines.append)
    assert lines == ["people/landing/a.csv: 30 rows accepted, 0 refused"]


@pytest.mark.parametrize(
    ("data", "spec", "says"),
    [
        (b"", SPEC, "a.csv: is empty"),
        (people_csv(9).replace(b",", b";"), SPEC, "semicolons"),
        (people_csv(9).replace(b"red", b"blue").replace(b"green", b"blue").replace(b"1.0", b"blue"), SPEC,
         "every one of its 9 rows is refused: 'colour' is not one of the declared values (9 rows, first row 1)"),
        (people_csv(30).replace(b",no\n", b",yes\n"), SPEC, "column 'ill': holds only the class 'yes'"),
        (people_csv(30).replace(b",no\n", b",maybe\n").replace(b"p1,", b"p1,")
         + b"z,1,0,red,Rome,no\n", SPEC, "3 classes ('maybe', 'no', 'yes') where a binary task has two"),
        (people_csv(30).replace(b"yes", b"si"), SPEC, "never holds the positive class 'yes'"),
        (people_csv(1)[:29] + b"".join(b"r%d,1,,red,Rome,%s\n" % (i, b"yes" if i % 2 else b"no") for i in range(20)),
         SPEC, "column 'score': holds no value at all"),
        (b"id,age,score,colour,town,ill\nr,1,0,red,Rome,yes\ns,1,0,red,Rome,no\n", SPEC, "No row is left for holdout"),
    ],
)  # fmt: skip
def test_data_that_makes_no_version_commits_nothing(data: bytes, spec: ModelSpec, says: str) -> None:
    store = landed(data)
    with pytest.raises(DataError) as caught:
        snapshot(store, spec)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.remedy
    assert read_manifests(store, "people") == ()
    assert not list(store.list("people/datasets/blobs/"))


def test_an_empty_landing_is_an_error_and_folder_markers_are_no_data() -> None:
    store = memory_store()
    for name in ("_SUCCESS", ".keep", "2026/_SUCCESS"):
        add(store, name, b"")
    assert landing_entries(store, "people") == []
    with pytest.raises(DataError, match="Nothing has landed under people/landing/"):
        snapshot(store, SPEC)


def test_refused_rows_are_quarantined_under_the_schema_that_refused_them() -> None:
    store = landed(people_csv(60) + b"q1,500,0,red,Rome,yes\n")
    snapshot(store, SPEC)
    snapshot(store, make_spec(id="id", features={**FEATURES, "age": {"type": "number", "max": 30}}))
    found = [store.get(entry.key).data for entry in store.list("people/datasets/quarantine/")]
    assert sorted(data.count(b"\n") for data in found) == [1, 30]
    assert all(b"people/landing/a.csv" in data for data in found)


def test_an_altered_part_or_manifest_is_noticed() -> None:
    raw = MemoryStore()
    store = Store(raw)
    add(store, "a.csv", people_csv(60))
    manifest = snapshot(store, SPEC).manifest
    part = next(one for one in manifest.parts if one.split == "train")
    raw.put(keys.dataset_blob("people", part.digest), b"other bytes")
    with pytest.raises(IntegrityError, match="does not match its name"):
        load_split(store, SPEC, manifest, "train")
    raw.delete(keys.dataset_blob("people", part.digest))
    with pytest.raises(IntegrityError, match="is gone"):
        load_split(store, SPEC, manifest, "train")
    raw.put(keys.dataset_manifest("people", manifest.id), manifest.to_bytes().replace(b'"yes"', b'"oui"'))
    with pytest.raises(IntegrityError, match="does not match its name"):
        read_manifest(store, "people", manifest.id)
    with pytest.raises(NotFoundError):
        read_manifest(store, "people", "f" * 64)


def test_a_version_is_not_loaded_under_another_schema() -> None:
    store = landed(people_csv(60))
    manifest = snapshot(store, SPEC).manifest
    with pytest.raises(DataError, match="another version of the spec"):
        load_split(store, make_spec(id="id", features=WIDER), manifest, "train")


def timed_csv(days: range, per_day: int = 4) -> bytes:
    lines = ["when,a,cost"]
    for day in days:
        lines += [f"2026-01-{day:02d}T0{i},{day + i},{day * 10 + i}" for i in range(per_day)]
    return ("\n".join(lines) + "\n").encode()


TIMED = make_spec(
    task="regression", target={"column": "cost"}, features={"a": {"type": "number"}}, time="when",
    holdout={"fraction": 0.25},
)  # fmt: skip


def test_a_chronological_holdout_is_the_last_part_and_stays_it() -> None:
    lines = timed_csv(range(1, 21)).splitlines()
    store = landed(b"\n".join([lines[0], *reversed(lines[1:])]) + b"\n")
    manifest = snapshot(store, TIMED).manifest
    assert manifest.split.kind == "chronological"
    early, late = (load_split(store, TIMED, manifest, side).table for side in ("train", "holdout"))
    assert (early.num_rows, late.num_rows) == (60, 20)
    times = early.column("when").to_pylist() + late.column("when").to_pylist()
    assert times == sorted(times)
    add(store, "b.csv", timed_csv(range(21, 26)))
    later = snapshot(store, TIMED).manifest
    assert load_split(store, TIMED, later, "holdout").table.equals(late)
    assert load_split(store, TIMED, later, "train").y[-1] == 253.0


def test_rows_of_one_moment_are_not_divided_and_one_moment_alone_is_an_error() -> None:
    same_day = timed_csv(range(1, 21)).decode()
    for hour in range(4):
        same_day = same_day.replace(f"T0{hour}", "")
    store = landed(same_day.encode())
    table = load_split(store, TIMED, snapshot(store, TIMED).manifest, "holdout").table
    assert sorted({moment.day for moment in table.column("when").to_pylist()}) == [16, 17, 18, 19, 20]
    assert table.num_rows == 20
    with pytest.raises(DataError, match="one single time"):
        snapshot(landed(b"when,a,cost\n5,1,1\n5,2,2\n"), TIMED)


def test_a_row_counter_serves_as_time() -> None:
    store = landed(b"when,a,cost\n" + b"".join(b"%d,%d,%d\n" % (i, i, i) for i in range(40, 0, -1)))
    manifest = snapshot(store, TIMED).manifest
    assert load_split(store, TIMED, manifest, "holdout").y.tolist() == [float(i) for i in range(31, 41)]


def test_a_receipt_is_only_trusted_for_the_very_object_it_was_written_for() -> None:
    raw = MemoryStore()
    store = Store(raw)
    add(store, "a.csv", people_csv(60))
    snapshot(store, SPEC)
    raw.put(keys.landing("people", "a.csv"), people_csv(60, 1000))
    manifest = snapshot(store, SPEC).manifest
    assert "p1000" in train(store, SPEC, manifest) + holdout(store, SPEC, manifest)
