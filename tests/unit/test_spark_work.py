"""What a job of Spark adds to the work of functions, without Spark: huge files in folders, and errors for people."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

import pytest

from perennial import keys
from perennial.errors import DataError
from perennial.scoring.batch import folder
from perennial.scoring.batch.bench import Bench, Shift
from perennial.scoring.batch.intake import order_for
from perennial.scoring.batch.multipart import S3Uploads
from perennial.scoring.batch.planning import Unscorable, plan_order
from perennial.scoring.batch.records import commit_plan, find_result
from perennial.scoring.batch.work import join_parts, score_part
from perennial.scoring.spark import refuse_pictures, score_frame
from perennial.scoring.spark_job import reason
from perennial.scoring.spark_tasks import Silent
from perennial.serving.batch_job import BatchInput, BatchOptions, BatchPlan
from perennial.serving.load import load
from perennial.settings import Settings
from perennial.store import memory_store
from tests.support.models import build, make_spec, promote
from tests.support.picture_models import build_pictures

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
MODEL = "iris"
ROWS = 200_000
LINE = "5.1,3.5,1.4,0.2\n"


class World:
    """One file of several parts in a bucket, and a champion for it that is not the version asked for."""

    def __init__(self) -> None:
        self.store = memory_store()
        spec = make_spec()
        self.version = promote(self.store, build(spec)).version
        promote(self.store, build(spec, seed=1))
        self.bench = Bench(
            self.store, "bucket", S3Uploads(Settings(bucket="bucket")), lambda name: self.store,
            now=lambda: NOW, clock=lambda: 0.0, part_bytes=1_000_000,
        )  # fmt: skip
        data = "sepal_length,sepal_width,petal_length,petal_width\n" + LINE * (ROWS - 1) + "11,3.5,1.4,0.2\n" + LINE
        key = keys.batch_waiting(MODEL) + "huge.csv"
        self.store.put_new(key, data.encode())
        head = self.store.head(key)
        self.input = BatchInput(bucket="bucket", key=key, version=head.version, etag=head.etag, size=head.size)

    def planned(self) -> BatchPlan:
        order = order_for(MODEL, "huge.csv", self.input, BatchOptions())
        predictor = load(self.store, MODEL, self.version)
        return commit_plan(self.store, self.input.work, plan_order(self.bench, order, Shift(), predictor))

    def scored(self, plan: BatchPlan) -> None:
        for part in plan.parts:
            score_part(self.bench, plan, self.input.work, part, Silent(self.bench, plan, self.input.work, part))
        join_parts(self.bench, plan, self.input.work, Shift())


def test_the_version_asked_for_scores_whoever_is_champion_and_whatever_the_size(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("perennial.scoring.batch.planning.SPARK_BYTES", 1_000_000)
    world = World()
    assert world.planned().version == world.version
    with pytest.raises(Unscorable, match="Score it with Spark"):
        plan_order(world.bench, order_for(MODEL, "huge.csv", world.input, BatchOptions()), Shift())


def test_the_parts_of_a_huge_file_stay_in_a_folder_each_a_whole_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "SPARK_BYTES", 1_000_000)
    world = World()
    plan = world.planned()
    world.scored(plan)
    result = find_result(world.store, MODEL, world.input.work)
    assert result is not None and result.scored is not None and result.quarantined is not None
    assert (result.state, result.counts.rows, result.counts.quarantined) == ("done", ROWS + 1, 1)
    parts = list(world.store.list(result.scored.key))
    assert result.scored.key.endswith("/") and len(parts) == len(plan.parts) > 1
    assert result.scored.size == sum(part.size for part in parts)
    rows: list[int] = []
    for part in parts:
        assert part.key.endswith(".csv")
        text = world.store.get(part.key).data.decode()
        rows += [int(row["row"]) for row in csv.DictReader(io.StringIO(text, newline=""))]
    assert rows == [row for row in range(1, ROWS + 2) if row != ROWS]
    (refused,) = world.store.list(result.quarantined.key)
    assert refused.size == result.quarantined.size
    assert str(ROWS) in world.store.get(refused.key).data.decode()
    assert not list(world.store.list(keys.batch_tasks(MODEL, world.input.work))), "no function is started"


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (
            "\n An exception was thrown:\nTraceback (most recent call last):\n  File x\nValueError: no number\n\n",
            "ValueError: no number",
        ),
        (
            "An error occurred while calling o1.\n: org.apache.spark.SparkException: Job aborted: Task 1 failed\n"
            "\tat org.apache.spark.scheduler\n",
            "org.apache.spark.SparkException: Job aborted: Task 1 failed",
        ),
        ("", "it did not say why"),
    ],
)
def test_what_spark_says_is_cut_to_what_is_of_use(message: str, said: str) -> None:
    assert reason(message) == said


def test_pictures_are_not_for_spark() -> None:
    store = memory_store()
    promote(store, build_pictures())
    with pytest.raises(DataError, match="pets takes pictures, and Spark scores tables") as caught:
        score_frame(cast("DataFrame", None), store, "pets")
    assert caught.value.remedy == "Put a zip or a listing of them under pets/batch/in/."
    refuse_pictures(build().manifest)
