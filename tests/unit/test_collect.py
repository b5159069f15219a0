"""Collecting labelled predictions: each row once, whoever collects, wherever it is cut off, however late a label."""

from __future__ import annotations

import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from obstore.store import MemoryStore

from perennial import keys
from perennial.datasets.labels import land_labels
from perennial.datasets.landing import land
from perennial.datasets.load import load_split
from perennial.datasets.manifest import DatasetManifest, SplitName
from perennial.datasets.snapshot import snapshot
from perennial.errors import StoreUnavailable
from perennial.jobs.collect import CollectResult, collect
from perennial.jobs.workspace import Workspace
from perennial.spec import ModelSpec
from perennial.store import Store
from tests.support.captures import capture, each_minute, give, line, prediction_id
from tests.support.datasets import DyingStore, make_spec, people_csv

SPEC = make_spec(id="id")
NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
START = NOW - timedelta(days=40)
MOMENTS = each_minute(START, 400)


def record(number: int, **more: Any) -> dict[str, Any]:
    return {"age": number % 90, "score": 0.1, "colour": "red", "town": f"t{number}", **more}


class World:
    """A bucket with landed data and captured predictions; time is set by hand."""

    def __init__(self, folder: Path, spec: ModelSpec = SPEC, records: Callable[[int], dict[str, Any]] = record) -> None:
        self.raw, self.folder, self.spec, self.now = MemoryStore(), folder, spec, NOW
        self.store = Store(self.raw)
        self.runs = 0
        lines = [line("people", moment, i, records(i), "no") for i, moment in enumerate(MOMENTS, 1)]
        capture(self.store, lines, batch=90)

    def id(self, number: int) -> str:
        return prediction_id(MOMENTS[number - 1], number)

    def feedback(self, *numbers: int, truth: str = "yes") -> None:
        for number in numbers:
            give(self.store, "people", self.id(number), truth, self.now - timedelta(minutes=1))

    def file(self, text: str) -> None:
        self.runs += 1
        path = self.folder / f"labels-{self.runs}.csv"
        path.write_text(text)
        land_labels(self.store, self.spec, path)

    def work(self, run: str = "", store: Store | None = None, **changes: Any) -> Workspace:
        self.runs += 1
        return Workspace(
            spec=self.spec, store=store or self.store, run=run or f"run-{self.runs}", code="c", api_url=None,
            progress=lambda line: None, now=lambda: self.now, **changes,
        )  # fmt: skip

    def collect(self, run: str = "") -> CollectResult:
        return collect(self.work(run))

    def rows(self, kind: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for entry in self.store.list(keys.landing("people", f"{kind}/")):
            found += pq.read_table(io.BytesIO(self.store.get(entry.key).data)).to_pylist()
        return found

    def ids(self, kind: str) -> list[str]:
        return sorted(row["prediction_id"] for row in self.rows(kind))

    def snapshot(self) -> DatasetManifest:
        return snapshot(self.store, self.spec).manifest


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_feedback_becomes_rows_with_their_prediction_ids(world: World) -> None:
    world.feedback(*range(1, 61))
    found = world.collect()
    assert found == CollectResult(
        files=("people/landing/feedback/00000001.parquet",), rows_feedback=60, rows_labels=0, waiting=0
    )
    assert world.ids("feedback") == sorted(world.id(i) for i in range(1, 61))
    row = next(row for row in world.rows("feedback") if row["prediction_id"] == world.id(7))
    assert row == {
        "age": 7.0, "score": 0.1, "colour": "red", "town": "t7", "ill": "yes", "id": None,
        "prediction_id": world.id(7),
    }  # fmt: skip
    assert world.collect() == CollectResult(files=(), rows_feedback=0, rows_labels=0, waiting=0)


def test_little_feedback_waits_for_more_and_label_files_do_not(world: World) -> None:
    world.feedback(*range(1, 50))
    world.file(f"prediction_id,ill\n{world.id(100)},no\n")
    found = world.collect()
    assert (found.rows_feedback, found.rows_labels, found.waiting) == (0, 1, 49)
    assert found.files == ("people/landing/labels/00000001.parquet",)
    world.feedback(50)
    found = world.collect()
    assert (found.rows_feedback, found.rows_labels, found.waiting) == (50, 0, 0)


def test_a_label_that_comes_a_month_late_is_collected_once(world: World) -> None:
    world.now = START + timedelta(days=1)
    world.feedback(*range(200, 300))
    assert world.collect().rows_feedback == 100
    world.now = START + timedelta(days=31)
    world.feedback(*range(1, 61))
    world.file(f"prediction_id,ill\n{world.id(150)},no\n")
    found = world.collect()
    assert (found.rows_feedback, found.rows_labels) == (60, 1)
    assert found.files == ("people/landing/labels/00000001.parquet", "people/landing/feedback/00000002.parquet")
    assert len(set(world.ids("feedback"))) == len(world.ids("feedback")) == 160


def test_feedback_waits_however_long_and_however_often_label_files_are_collected(tmp_path: Path) -> None:
    world = World(tmp_path, make_spec(id="id", monitor={"feedback_within": "1d"}))
    world.now = START + timedelta(days=1)
    world.feedback(*range(1, 50))
    for day in (10, 20, 30):
        world.now = START + timedelta(days=day)
        world.file(f"prediction_id,ill\n{world.id(100 + day)},no\n")
        assert (world.collect().rows_labels, world.collect().waiting) == (1, 49)
    world.feedback(50)
    assert world.collect().rows_feedback == 50


def test_the_same_label_a_thousand_times_counts_once(world: World) -> None:
    for _ in range(1000):
        world.feedback(1)
    world.feedback(*range(2, 61))
    assert world.collect().rows_feedback == 60
    assert world.ids("feedback").count(world.id(1)) == 1


def test_feedback_that_is_off_is_left_out_of_landing_and_of_datasets(world: World, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(people_csv(200))
    land(world.store, SPEC, tmp_path / "a.csv")
    root = world.snapshot()
    world.feedback(*range(1, 61))
    world.collect()
    assert len(world.snapshot().sources) == 2
    world.spec = make_spec(id="id", retrain={"feedback": False})
    world.feedback(*range(100, 200))
    assert world.collect() == CollectResult(files=(), rows_feedback=0, rows_labels=0, waiting=0)
    assert world.snapshot() == root


def test_a_label_file_goes_by_the_records_id_too(tmp_path: Path) -> None:
    world = World(tmp_path, records=lambda i: record(i, id=f"p{1000 + i % 200}"))
    world.file("id,ill\np1007,yes\np9999,no\n")
    assert world.collect().rows_labels == 2
    assert [row["id"] for row in world.rows("labels")] == ["p1007", "p1007"]


def training(world: World, manifest: DatasetManifest) -> dict[str, str]:
    """Town -> truth of the rows of training and window, each of which is there once."""
    found: dict[str, str] = {}
    splits: tuple[SplitName, ...] = ("train", "window")
    for split in splits:
        table = load_split(world.store, world.spec, manifest, split).table
        for town, ill in zip(table.column("town").to_pylist(), table.column("ill").to_pylist(), strict=True):
            assert town not in found
            found[town] = ill
    return found


def test_a_label_file_that_tells_otherwise_of_collected_feedback_takes_its_place(world: World, tmp_path: Path) -> None:
    """The row of feedback stays in its file, which is never modified, and leaves every dataset from there on."""
    (tmp_path / "a.csv").write_bytes(people_csv(200))
    land(world.store, SPEC, tmp_path / "a.csv")
    world.snapshot()
    world.feedback(*range(1, 301))
    world.collect()
    before = world.snapshot()
    assert training(world, before)["t3"] == "yes"
    world.file("prediction_id,ill\n" + "".join(f"{world.id(i)},no\n" for i in range(1, 151)))
    found = world.collect()
    assert (found.rows_labels, found.rows_feedback) == (150, 0)
    after = world.snapshot()
    told = training(world, after)
    assert {told[f"t{i}"] for i in range(1, 151)} == {"no"}
    assert {told[f"t{i}"] for i in range(151, 301)} == {"yes"}
    (feedback,) = (source for source in after.sources if source.kind == "feedback")
    assert (feedback.accepted, feedback.superseded) == (300, 150)
    assert after.rows() == before.rows() and after.parent == before.id
    # The champion may have learnt these rows as feedback, so they are no window.
    assert after.rows("window") == 0
    world.file(f"prediction_id,ill\n{world.id(5)},yes\n")  # once collected from a file, a row stays as it is
    assert world.collect().rows_labels == 0
    assert world.snapshot() == after


def test_one_prediction_collected_both_ways_by_two_at_once_counts_once(world: World, tmp_path: Path) -> None:
    """One collector took it as feedback, another, which saw the label file, from there: in either order."""
    (tmp_path / "a.csv").write_bytes(people_csv(200))
    land(world.store, SPEC, tmp_path / "a.csv")
    root = world.snapshot()
    world.feedback(*range(1, 61))
    early = World(tmp_path)
    early.feedback(*range(1, 61))
    early.collect()
    world.file("prediction_id,ill\n" + "".join(f"{world.id(i)},no\n" for i in range(1, 31)))
    world.collect()
    key = "people/landing/feedback/00000001.parquet"
    world.raw.delete(key)
    middle = world.snapshot()
    world.raw.put(key, early.store.get(key).data)
    both = world.snapshot()
    assert both.parent == middle.id and both.rows() == root.rows() + 60
    assert training(world, both)["t3"] == "no"


@pytest.mark.parametrize("landed_too", [False, True])
def test_a_collector_may_die_at_any_write(tmp_path: Path, landed_too: bool) -> None:
    def fresh() -> World:
        world = World(tmp_path)
        world.feedback(*range(1, 61))
        world.file(f"prediction_id,ill\n{world.id(100)},no\n{world.id(3)},no\n")
        return world

    whole = fresh()
    expected = whole.collect("one")
    deaths = 0
    for at in range(20):
        world = fresh()
        try:
            collect(world.work("one", DyingStore(world.raw, at, landed=landed_too)))
        except StoreUnavailable:
            deaths += 1
        else:
            break
        world.now += timedelta(minutes=5)
        assert world.collect("one") == expected
        assert (world.ids("feedback"), world.ids("labels")) == (whole.ids("feedback"), whole.ids("labels"))
    assert deaths == 3  # two files and the result of the step


def test_another_run_takes_up_what_a_dead_one_left(world: World) -> None:
    world.feedback(*range(1, 61))
    world.file(f"prediction_id,ill\n{world.id(100)},no\n")
    with pytest.raises(StoreUnavailable):
        collect(world.work(store=DyingStore(world.raw, 1, landed=False)))
    found = world.collect()
    assert (found.rows_labels, found.rows_feedback) == (0, 60)
    assert world.ids("labels") == [world.id(100)]


def test_two_collectors_at_once_collect_each_row_once(world: World) -> None:
    world.feedback(*range(1, 121))
    world.file("prediction_id,ill\n" + "".join(f"{world.id(i)},no\n" for i in range(200, 260)))
    works = [world.work() for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(collect, works))
    assert sum(one.rows_feedback for one in found) == 120
    assert sum(one.rows_labels for one in found) == 60
    assert world.ids("feedback") == sorted(world.id(i) for i in range(1, 121))
    assert world.ids("labels") == sorted(world.id(i) for i in range(200, 260))


def test_a_run_that_is_repeated_tells_what_it_told(world: World) -> None:
    world.feedback(*range(1, 61))
    work = world.work("same")
    first = collect(work)
    world.feedback(*range(100, 200))
    assert collect(replace(work)) == first


def test_a_record_that_no_longer_fits_the_spec_goes_to_quarantine(world: World, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(people_csv(200))
    land(world.store, SPEC, tmp_path / "a.csv")
    world.snapshot()
    world.feedback(*range(1, 91))
    features = {**SPEC.model_dump(mode="json")["features"][0][1], "max": 50}
    narrow = [["age", features], *SPEC.model_dump(mode="json")["features"][1:]]
    world.spec = make_spec(id="id", features=dict(narrow))
    world.collect()
    manifest = world.snapshot()
    (feedback,) = (source for source in manifest.sources if source.kind == "feedback")
    assert (feedback.accepted, feedback.refused) == (51, 39)
    lines = world.store.get(keys.quarantine("people", feedback.digest, manifest.schema_digest)).data.splitlines()
    assert len(lines) == 39 and b"is above the maximum 50" in lines[0] and b"prediction_id" in lines[0]


def test_a_row_has_the_records_own_time_or_that_of_the_prediction(tmp_path: Path) -> None:
    spec = make_spec(time="when")
    own = "2026-09-01T12:00:00"
    world = World(tmp_path, spec, lambda i: record(i, when=own) if i % 2 else record(i))
    world.feedback(*range(1, 61))
    world.collect()
    times = {row["prediction_id"]: row["when"] for row in world.rows("feedback")}
    assert times[world.id(1)] == datetime(2026, 9, 1, 12)
    assert times[world.id(2)] == MOMENTS[1].replace(tzinfo=None)
    lines = [b"when,age,score,colour,town,ill"]
    lines += [b"2026-08-%02dT%02d:00,%d,0.1,red,Rome,%s" % (1 + i // 24, i % 24, i % 80, (b"yes", b"no")[i % 2])
              for i in range(200)]  # fmt: skip
    (tmp_path / "a.csv").write_bytes(b"\n".join(lines) + b"\n")
    land(world.store, spec, tmp_path / "a.csv")
    assert world.snapshot().rows() == 260
