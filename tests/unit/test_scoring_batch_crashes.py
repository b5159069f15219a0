"""Whoever dies, wherever, and however often a message comes: one result each, and the right one."""

from __future__ import annotations

import random
from contextlib import suppress

import numpy as np
import pytest

from perennial import keys
from perennial.serving.batch_job import BatchCounts
from tests.support import models
from tests.support.batch_world import Killed, World, csv_of, dying

CHAMPION = models.build()
HEADER = models.MEASURES


def file_of(rows: int, *, bad: int = 0, seed: int = 0) -> bytes:
    cells = np.round(np.random.default_rng(seed).uniform(0, 8, size=(rows, 4)), 2).tolist()
    for place in range(bad):
        cells[place * 7 % rows][1] = "bad"
    return csv_of(cells, HEADER)


def scored_once(world: World, model: str, work: str) -> bytes:
    """The output of a work that has one result, whose rows all stand in it once."""
    assert world.written.count(keys.batch_result(model, work)) == 1
    result = world.result(model, work)
    assert result.state == "done" and result.scored is not None, result.reason
    data = world.data(result.scored)
    numbers = [int(line.split(b",", 1)[0]) for line in data.splitlines()[1:]]
    refused = world.data(result.quarantined).splitlines()[1:] if result.quarantined else []
    assert sorted(numbers + [int(line.split(b",", 1)[0]) for line in refused]) == list(range(1, result.counts.rows + 1))
    assert numbers == sorted(numbers)
    assert result.counts.scored == len(numbers) and result.counts.quarantined == len(refused)
    return data


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_file_is_scored_once_wherever_a_worker_dies(after: bool) -> None:
    """At each request of a worker in turn, until one gets through without dying."""
    expected = None
    for at in range(1, 100):
        world = World()
        models.promote(world.store, CHAMPION)
        work = world.drop("iris", "a.csv", file_of(50, bad=3))
        (body,) = world.messages
        died = False
        try:
            world.work(body, world.bench(dying(at, after=after)))
        except Killed:
            died = True
        world.run()
        data = scored_once(world, "iris", work)
        expected = expected or data
        assert data == expected
        if not died:
            assert at > 8
            return
    pytest.fail("it never got through")


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_file_in_parts_is_scored_once_wherever_its_workers_die(after: bool) -> None:
    """Every worker dies at its n-th request, at whatever message; each message then comes again, last ones first."""
    expected = None
    for at in range(1, 60):
        world = World(part_bytes=400)
        models.promote(world.store, CHAMPION)
        work = world.drop("iris", "a.csv", file_of(60, bad=5))
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
        data = scored_once(world, "iris", work)
        expected = expected or data
        assert data == expected
        if not died:
            assert at > 15
            return
    pytest.fail("it never got through")


@pytest.mark.parametrize("seed", range(6))
def test_many_files_delivered_often_shuffled_and_with_kills_have_one_result_each(seed: int) -> None:
    """Good ones, ones in parts, bad ones; each message one to five times, workers that die, a promotion between."""
    chance = random.Random(seed)
    world = World(part_bytes=1_000)
    models.promote(world.store, CHAMPION)
    kinds = [chance.choice(["small", "large", "bad"]) for _ in range(30)]
    files = {"small": file_of(8, bad=1), "large": file_of(160, bad=9), "bad": b"sepal_length\n1\n"}
    works = {world.drop("iris", f"{number}.csv", files[kind]): kind for number, kind in enumerate(kinds)}
    waiting: list[str] = []
    later = models.build(seed=9)
    promoted = False
    while world.messages or waiting:
        for body in world.messages:
            waiting += [body] * chance.randint(1, 5)
        world.messages.clear()
        body = waiting.pop(chance.randrange(len(waiting)))
        if chance.random() < 0.3:
            with suppress(Killed):
                world.work(body, world.bench(dying(chance.randint(1, 30), after=chance.random() < 0.5)))
            waiting.append(body)  # whoever dies has not deleted its message
        else:
            world.work(body)
        if not promoted and len(world.keys_of("iris/batch/status/")) > 40:
            models.promote(world.store, later)
            promoted = True
    assert promoted
    assert set(world.store.folders(keys.batch_works("iris"))) == set(works)
    for work, kind in works.items():
        if kind == "bad":
            assert world.written.count(keys.batch_result("iris", work)) == 1
            assert world.result("iris", work).state == "failed"
        else:
            scored_once(world, "iris", work)
            rows, bad = (8, 1) if kind == "small" else (160, 9)
            assert world.result("iris", work).counts == BatchCounts(rows=rows, scored=rows - bad, quarantined=bad)
    outputs = [key for key in world.written if key.startswith(("iris/batch/out/", "iris/batch/quarantine/"))]
    assert len(outputs) == len(set(outputs)) == 2 * sum(kind != "bad" for kind in kinds)
