"""Whoever dies, wherever, and however often a message comes: one result each, and the right one."""

from __future__ import annotations

import random

import numpy as np
import pytest

from perennial import keys
from perennial.serving.batch_job import BatchCounts
from tests.support import models
from tests.support.batch_deaths import deliver_often, die_at_each_message, die_at_each_request
from tests.support.batch_world import World, csv_of

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


def one_file(rows: int, *, bad: int, part_bytes: int | None = None) -> tuple[World, str]:
    world = World() if part_bytes is None else World(part_bytes=part_bytes)
    models.promote(world.store, CHAMPION)
    return world, world.drop("iris", "a.csv", file_of(rows, bad=bad))


def of_iris(world: World, work: str) -> bytes:
    return scored_once(world, "iris", work)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_file_is_scored_once_wherever_a_worker_dies(after: bool) -> None:
    die_at_each_request(lambda: one_file(50, bad=3), of_iris, after=after)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_file_in_parts_is_scored_once_wherever_its_workers_die(after: bool) -> None:
    die_at_each_message(lambda: one_file(60, bad=5, part_bytes=400), of_iris, after=after)


@pytest.mark.parametrize("seed", range(6))
def test_many_files_delivered_often_shuffled_and_with_kills_have_one_result_each(seed: int) -> None:
    """Good ones, ones in parts, bad ones; each message one to five times, workers that die, a promotion between."""
    chance = random.Random(seed)
    world = World(part_bytes=1_000)
    models.promote(world.store, CHAMPION)
    kinds = [chance.choice(["small", "large", "bad"]) for _ in range(30)]
    files = {"small": file_of(8, bad=1), "large": file_of(160, bad=9), "bad": b"sepal_length\n1\n"}
    works = {world.drop("iris", f"{number}.csv", files[kind]): kind for number, kind in enumerate(kinds)}
    later = models.build(seed=9)
    deliver_often(
        world,
        chance,
        due=lambda: len(world.keys_of("iris/batch/status/")) > 40,
        promote=lambda: models.promote(world.store, later),
    )
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
