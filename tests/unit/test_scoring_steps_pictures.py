"""Scheduled scoring of a prefix of pictures: what is new becomes one file to score, and no picture is in two."""

from __future__ import annotations

import csv
import io
import itertools
import json
import zipfile
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest

from perennial import keys
from perennial.errors import SpecError, Unscored
from perennial.images.record import read_record
from perennial.jobs.scoring import run_scoring
from perennial.jobs.scoring_list import files_of_run, scoring_list
from perennial.jobs.scoring_pictures import is_picture_name
from perennial.jobs.scoring_policy import PATIENCE
from perennial.jobs.scoring_results import ScoringSummary
from perennial.jobs.scoring_submit import scoring_request
from perennial.jobs.scoring_summary import scoring_check
from perennial.jobs.workspace import Workspace
from perennial.serving.batch_job import BatchCounts, BatchOptions
from perennial.serving.predictor import Predictor
from perennial.settings import Settings
from perennial.store import Store
from tests.support import models
from tests.support.batch_world import BUCKET, START, Killed, World, dying
from tests.support.picture_models import build_pictures
from tests.support.pictures import image_spec, pet_bytes
from tests.support.seam import Seam

CHAMPION = build_pictures()
PREDICTOR = Predictor(CHAMPION.manifest, CHAMPION.onnx)
WAITING = keys.batch_waiting("pets")


@pytest.fixture
def world() -> World:
    world = World()
    models.promote(world.store, CHAMPION)
    return world


def workspace(
    world: World, run: str = "run", *, store: Store | None = None, late: timedelta = timedelta(), **batch: Any
) -> Workspace:
    ticks = itertools.count()
    return Workspace(
        spec=image_spec(batch=batch),
        store=store or world.store,
        run=run,
        code="0123abc",
        api_url=None,
        progress=lambda line: None,
        now=lambda: START + late + timedelta(seconds=next(ticks)),
        settings=Settings(bucket=BUCKET),
    )


def bring(world: World, *seeds: int, folder: str = WAITING) -> None:
    """Put pictures, or put them anew."""
    for seed in seeds:
        world.raw.put(f"{folder}{seed}.png", pet_bytes(seed, "dog" if seed % 3 else "cat", size=(16, 16)))


def score_new(world: World, run: str, **batch: Any) -> ScoringSummary | None:
    """A whole run; functions work while it waits."""
    _, summary = run_scoring(workspace(world, run, **batch), sleep=lambda seconds: (world.run(), None)[1])
    return summary


def rows(world: World) -> list[dict[str, str]]:
    """All rows of all results there are."""
    found: list[dict[str, str]] = []
    for key in world.keys_of("pets/batch/out/"):
        found += csv.DictReader(io.StringIO(world.store.get(key).data.decode()))
    return found


def assert_each_once(world: World, *seeds: int) -> None:
    """Each picture has one row, with the answer that the endpoint gives to it."""
    places = [f"s3://{BUCKET}/{WAITING}{seed}.png" for seed in seeds]
    assert Counter(row["file"] for row in rows(world)) == Counter(places)
    for row in rows(world):
        key = row["file"].removeprefix(f"s3://{BUCKET}/")
        (expected,) = PREDICTOR.predict([read_record(world.store.get(key).data)])
        assert expected.probabilities is not None
        assert float(row["probability_dog"]) == expected.probabilities["dog"]


def listings(world: World) -> list[list[str]]:
    """The seeds in each listing."""
    return [
        [
            json.loads(line)["file"].rsplit("/", 1)[-1].removesuffix(".png")
            for line in world.store.get(key).data.splitlines()
        ]
        for key in world.keys_of(keys.batch_listings("pets"))
    ]


def test_all_new_pictures_are_one_file_to_score(world: World) -> None:
    bring(world, 1, 2, 3, 4)
    bring(world, 5, folder=f"{WAITING}a/b/")
    world.raw.put(f"{WAITING}_SUCCESS", b"")
    world.raw.put(f"{WAITING}.hidden/9.png", b"")
    summary = score_new(world, "first", keep=["width"], output="csv")
    assert summary is not None and summary.engine == "lambda"
    (end,) = summary.files
    assert end.name == "pictures-00000001.jsonl" and end.counts == BatchCounts(rows=5, scored=5)
    (key,) = end.outputs
    assert key.startswith("pets/batch/out/pictures-00000001.jsonl/") and rows(world)[0]["width"] == "16"
    assert sorted(row["file"].rsplit("waiting/", 1)[1] for row in rows(world)) == [
        "1.png", "2.png", "3.png", "4.png", "a/b/5.png"
    ]  # fmt: skip
    assert len(world.keys_of(keys.batch_works("pets"))) and len(world.store.folders(keys.batch_works("pets"))) == 1


def test_only_what_is_new_is_scored(world: World) -> None:
    assert score_new(world, "nothing yet") is None
    bring(world, 1, 2)
    score_new(world, "first")
    assert score_new(world, "second") is None
    bring(world, 3)
    score_new(world, "third")
    assert listings(world) == [["1", "2"], ["3"]]
    assert_each_once(world, 1, 2, 3)
    world.raw.put(f"{WAITING}2.png", pet_bytes(99, size=(16, 16)))  # replaced: a new picture of the same name
    score_new(world, "fourth")
    assert listings(world)[2:] == [["2"]]
    assert score_new(world, "fifth") is None


def test_zips_and_listings_beside_them_are_files_of_their_own(world: World) -> None:
    bring(world, 1, 2)
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as file:
        file.writestr("7.png", pet_bytes(7))
    world.raw.put(f"{WAITING}more.zip", sink.getvalue())
    world.raw.put(f"{WAITING}some.csv", b"file\n1.png\n")
    world.raw.put(f"{WAITING}broken.zip", b"PK\x03\x04")
    summary = score_new(world, "first")
    assert summary is not None
    ends = {end.name: (end.state, end.counts.scored) for end in summary.files}
    assert ends == {
        "pictures-00000001.jsonl": ("done", 2), "more.zip": ("done", 1), "some.csv": ("done", 1),
        "broken.zip": ("failed", 0),
    }  # fmt: skip
    assert score_new(world, "second") is None


def test_a_broken_picture_is_a_row_of_the_quarantine_and_is_not_tried_again(world: World) -> None:
    bring(world, 1)
    world.raw.put(f"{WAITING}2.jpg", b"no picture")
    summary = score_new(world, "first")
    assert summary is not None and summary.counts == BatchCounts(rows=2, scored=1, quarantined=1)
    assert not summary.failed and score_new(world, "second") is None


def test_one_that_is_replaced_while_it_waits_is_never_scored_as_another(world: World) -> None:
    bring(world, 1, 2)
    w = workspace(world, "first")
    scoring_list(w)
    world.raw.put(f"{WAITING}2.png", pet_bytes(99, size=(16, 16)))
    scoring_request(w)
    world.run()
    checked = scoring_check(w)
    assert checked.counts == BatchCounts(rows=2, scored=1, quarantined=1)
    score_new(world, "second")
    assert listings(world) == [["1", "2"], ["2"]]
    assert_each_once(world, 1, 2)


def test_of_two_runs_at_once_each_picture_is_listed_by_one(world: World) -> None:
    """The second sees the first one's listing, whenever that comes, and waits for it too."""
    bring(world, 1, 2)
    one = workspace(world, "one")
    scoring_list(one)
    bring(world, 3)
    two = workspace(world, "two", late=timedelta(minutes=1))
    scoring_list(two)
    assert [file.name for file in files_of_run(two).files] == ["pictures-00000001.jsonl", "pictures-00000002.jsonl"]
    assert (scoring_request(one).asked, scoring_request(two).asked, scoring_request(two).before) == (1, 1, 2)
    world.run()
    scoring_check(two)
    scoring_check(one)
    assert listings(world) == [["1", "2"], ["3"]]
    assert_each_once(world, 1, 2, 3)
    assert score_new(world, "third") is None


def test_a_number_that_another_run_takes_in_between_is_left_to_it(world: World) -> None:
    """The faster one sees a third picture, so that its listing is another under the same number."""
    bring(world, 1, 2)
    taken: list[str] = []

    def around(operation: str, key: str, request: Callable[[], Any]) -> Any:
        if operation == "put" and key == keys.batch_listing("pets", 1) and not taken:
            taken.append(key)
            bring(world, 3)
            scoring_list(workspace(world, "faster"))
        return request()

    slower = workspace(world, "slower", store=Store(Seam(world.raw, around), sleep=lambda seconds: None))
    scoring_list(slower)
    assert taken and listings(world) == [["1", "2", "3"]]
    assert [file.name for file in files_of_run(slower).files] == ["pictures-00000001.jsonl"]
    scoring_request(workspace(world, "slower"))
    world.run()
    assert_each_once(world, 1, 2, 3)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_each_picture_is_scored_once_wherever_a_run_dies(after: bool) -> None:
    """A run dies at its n-th request, more pictures come, and another run follows; workers do all that is asked."""
    for at in range(1, 80):
        world = World()
        models.promote(world.store, CHAMPION)
        bring(world, 1, 2, 3)
        died = False
        dead = workspace(world, "dies", store=Store(Seam(Seam(world.raw, world._telling), dying(at, after=after))))
        try:
            run_scoring(dead, sleep=lambda seconds, world=world: (world.run(), None)[1])  # type: ignore[misc]
        except Killed:
            died = True
        bring(world, 4)
        score_new(world, "next")
        score_new(world, "and next")
        assert_each_once(world, 1, 2, 3, 4)
        assert score_new(world, "last") is None
        if not died:
            assert at > 15
            return
    pytest.fail("it never got through")


def test_a_listing_that_was_never_scored_holds_up_no_later_run(world: World) -> None:
    bring(world, 1)
    first = workspace(world, "first")
    scoring_list(first)
    scoring_request(first)
    world.messages.clear()  # given up
    bring(world, 2)
    late = workspace(world, "second", late=PATIENCE + timedelta(minutes=1))
    scoring_list(late)
    found = files_of_run(late)
    assert found.overdue == ("pictures-00000001.jsonl",)
    assert [file.name for file in found.files] == ["pictures-00000002.jsonl"]
    with suppress(Unscored):
        run_scoring(first, sleep=lambda seconds: None, patience=timedelta())
    assert listings(world) == [["1"], ["2"]]


def test_without_a_champion_pictures_wait() -> None:
    world = World()
    bring(world, 1)
    plan = scoring_list(workspace(world, "early"))
    assert plan.engine is None and plan.blocked and not listings(world)
    models.promote(world.store, CHAMPION)
    score_new(world, "later")
    assert_each_once(world, 1)


def test_how_they_come_back_is_as_the_spec_says(world: World) -> None:
    bring(world, 1)
    w = workspace(world, "first", output="parquet")
    scoring_list(w)
    scoring_request(w)
    (key,) = world.keys_of("pets/batch/requests/")
    assert json.loads(world.store.get(key).data)["options"] == BatchOptions(output="parquet").model_dump(mode="json")


def test_pictures_are_never_for_spark(world: World) -> None:
    with pytest.raises(ValueError, match="Spark scores tables"):
        image_spec(batch={"engine": "spark"})


def test_listings_are_no_source(world: World) -> None:
    with pytest.raises(SpecError, match="scoring writes below batch/listings/ itself"):
        scoring_list(workspace(world, source="batch/listings/"))


@pytest.mark.parametrize(
    ("name", "is_one"),
    [("a.JPG", True), ("b/c.tiff", True), ("d.webp", True), ("e.zip", False), ("f.csv", False), ("png", False)],
)
def test_what_is_called_as_pictures_are(name: str, is_one: bool) -> None:
    assert is_picture_name(name) == is_one
