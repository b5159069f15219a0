"""Pictures whose workers die at any request: one result each, and the right one."""

from __future__ import annotations

import csv
import io
import random
import zipfile
from contextlib import suppress

import pytest

from perennial import keys
from perennial.scoring.pictures import picture_units
from tests.support import models
from tests.support.batch_world import Killed, World, dying
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
    """At each request of a worker in turn, until one gets through without dying."""
    expected = None
    for at in range(1, 120):
        world, work = prepared(kind)
        (body,) = world.messages
        died = False
        try:
            world.work(body, world.bench(dying(at, after=after)))
        except Killed:
            died = True
        world.run()
        data = scored_once(world, work)
        expected = expected or data
        assert data == expected
        if not died:
            assert at > 8
            return
    pytest.fail("it never got through")


@pytest.mark.parametrize("kind", ["zip", "listing"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_file_in_parts_is_scored_once_wherever_its_workers_die(
    kind: str, after: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every worker dies at its n-th request, at whatever message; each message then comes again, last ones first."""
    monkeypatch.setattr(picture_units, "PART_PICTURES", 5)
    expected = None
    for at in range(1, 60):
        world, work = prepared(kind)
        died = 0
        tried: set[str] = set()
        while world.messages:
            body = world.messages.pop()
            if body in tried:
                world.work(body)
                continue
            tried.add(body)
            try:
                world.work(body, world.bench(dying(at, after=after)))
            except Killed:
                died += 1
                world.messages.append(body)
        data = scored_once(world, work)
        expected = expected or data
        assert data == expected
        if not died:
            assert at > 15
            return
    pytest.fail("it never got through")


@pytest.mark.parametrize("seed", range(4))
def test_delivered_often_shuffled_and_with_kills(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each message one to five times, in any order, to workers of which a third die; a promotion in between."""
    monkeypatch.setattr(picture_units, "PART_PICTURES", 4)
    chance = random.Random(seed)
    world, work = prepared("zip")
    waiting: list[str] = []
    promoted = False
    while world.messages or waiting:
        for body in world.messages:
            waiting += [body] * chance.randint(1, 5)
        world.messages.clear()
        body = waiting.pop(chance.randrange(len(waiting)))
        if chance.random() < 0.3:
            with suppress(Killed):
                world.work(body, world.bench(dying(chance.randint(1, 30), after=chance.random() < 0.5)))
            waiting.append(body)
        else:
            world.work(body)
        if not promoted and world.store.exists(keys.batch_plan("pets", work)):
            models.promote(world.store, build_pictures(seed=9))
            promoted = True
    assert promoted
    scored_once(world, work)
    assert world.result("pets", work).version == CHAMPION.version
