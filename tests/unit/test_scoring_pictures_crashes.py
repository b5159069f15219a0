"""Pictures whose workers die at any request: one result each, and the right one."""

from __future__ import annotations

import csv
import io
import random
import zipfile

import pytest

from perennial import keys
from perennial.scoring.pictures import picture_units
from tests.support import models
from tests.support.batch_deaths import deliver_often, die_at_each_message, die_at_each_request
from tests.support.batch_world import World
from tests.support.picture_models import build_pictures
from tests.support.pictures import pet_bytes

CHAMPION = build_pictures()
PICTURES = {f"{seed}.png": pet_bytes(seed, "dog" if seed % 3 else "cat", size=(16, 16)) for seed in range(12)}
BAD = {"a.txt": b"?", "b.png": PICTURES["1.png"][:90]}
NAMES = [*PICTURES, *BAD]


def archive() -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as file:
        for name, data in (PICTURES | BAD).items():
            file.writestr(name, data)
    return sink.getvalue()


def prepared(kind: str) -> tuple[World, str]:
    """A bucket with a champion, and a file of fourteen pictures of which two are none; the work on it."""
    world = World()
    models.promote(world.store, CHAMPION)
    if kind == "zip":
        return world, world.drop("pets", "a.zip", archive())
    for name, data in (PICTURES | BAD).items():
        world.store.put_new(f"pets/batch/waiting/{name}", data)
    listing = "file\n" + "".join(f"pets/batch/waiting/{name}\n" for name in NAMES)
    return world, world.drop("pets", "a.csv", listing.encode())


def scored_once(world: World, work: str) -> bytes:
    """The output of a work that has one result, in which each picture stands once, in order."""
    assert world.written.count(keys.batch_result("pets", work)) == 1
    result = world.result("pets", work)
    assert result.state == "done" and result.scored is not None and result.quarantined is not None, result.reason
    data = world.data(result.scored)
    rows = list(csv.DictReader(io.StringIO(data.decode())))
    assert [row["file"].rsplit("/", 1)[-1] for row in rows] == list(PICTURES)
    refused = list(csv.DictReader(io.StringIO(world.data(result.quarantined).decode())))
    assert [row["row"] for row in refused] == ["13", "14"]
    return data


@pytest.mark.parametrize("kind", ["zip", "listing"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_file_of_pictures_is_scored_once_wherever_a_worker_dies(kind: str, after: bool) -> None:
    die_at_each_request(lambda: prepared(kind), scored_once, after=after)


@pytest.mark.parametrize("kind", ["zip", "listing"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_file_in_parts_is_scored_once_wherever_its_workers_die(
    kind: str, after: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(picture_units, "PART_PICTURES", 5)
    die_at_each_message(lambda: prepared(kind), scored_once, after=after)


@pytest.mark.parametrize("seed", range(4))
def test_delivered_often_shuffled_and_with_kills(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture_units, "PART_PICTURES", 4)
    chance = random.Random(seed)
    world, work = prepared("zip")
    deliver_often(
        world,
        chance,
        due=lambda: world.store.exists(keys.batch_plan("pets", work)),
        promote=lambda: models.promote(world.store, build_pictures(seed=9)),
    )
    scored_once(world, work)
    assert world.result("pets", work).version == CHAMPION.version
