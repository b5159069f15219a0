"""What a client is told of a file in several parts never goes back, though each part's worker knows only its own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from perennial import keys
from perennial.scoring.batch.bench import Bench
from perennial.scoring.batch.multipart import S3Uploads
from perennial.scoring.batch.progress import Reporter
from perennial.serving.batch_job import (
    BatchCounts,
    BatchInput,
    BatchOptions,
    BatchPart,
    BatchPlan,
    BatchRequest,
    BatchScored,
    Preview,
)
from perennial.serving.batch_state import SCORING_SHARE, BatchState, state_of
from perennial.settings import Settings
from perennial.store import Store, memory_store

NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
JOB = "0" * 32
OPTIONS = BatchOptions()


def scored(rows: int) -> BatchCounts:
    return BatchCounts(rows=rows, scored=rows)


class World:
    """A file of 1,000 bytes in two parts, and the clock of those who work on it."""

    def __init__(self) -> None:
        self.store: Store = memory_store()
        self.seconds = 0.0
        request = BatchRequest(model="m", name="in.csv", options=OPTIONS, created=NOW, expires=NOW)
        self.store.put_new(keys.batch_request("m", JOB), request.to_bytes())
        self.plan = BatchPlan(
            model="m", version="v", name="in.csv", options=OPTIONS, output="csv", dialect="", created=NOW,
            input=BatchInput(bucket="bucket", key="m/batch/in/in.csv", version="1", etag="e", size=1000),
            parts=(BatchPart(number=0, start=0, end=500), BatchPart(number=1, start=500, end=1000)),
        )  # fmt: skip

    def worker(self, part: int | None) -> Reporter:
        bench = Bench(
            self.store, "bucket", S3Uploads(Settings(bucket="bucket")), lambda name: self.store,
            now=lambda: NOW + timedelta(seconds=self.seconds), clock=lambda: self.seconds, part_bytes=500,
        )  # fmt: skip
        return Reporter(bench, self.plan, JOB, None if part is None else self.plan.parts[part])

    def finish(self, part: int, rows: int) -> None:
        self.store.put_new(
            keys.batch_part("m", JOB, part), BatchScored(counts=scored(rows), preview=Preview()).to_bytes()
        )

    def asked(self) -> BatchState:
        self.seconds += 60
        found = state_of(self.store, "m", JOB, NOW)
        assert found is not None
        return found


def test_workers_who_tell_by_turns_never_take_anything_back() -> None:
    world = World()
    first, second = world.worker(0), world.worker(1)
    seen = [world.asked()]
    for worker, rows, end in [(first, 40, 400), (second, 5, 550), (first, 49, 490), (second, 10, 600)]:
        worker.scored(scored(rows), end)
        seen.append(world.asked())
    world.finish(0, 50)
    second.scored(scored(20), 700)
    seen.append(world.asked())
    again = world.worker(1)  # its function was ended, and the message came again
    again.scored(scored(1), 510)
    seen.append(world.asked())
    world.finish(1, 50)
    world.worker(None).tell("joining")
    seen.append(world.asked())
    assert [one.state for one in seen] == ["waiting"] + ["scoring"] * 6 + ["joining"]
    progress, counted = [one.progress for one in seen], [one.counts.rows for one in seen]
    assert progress == sorted(progress) and len(set(progress)) >= 4
    assert counted == sorted(counted) and counted[-1] == 100
    assert progress[-1] == SCORING_SHARE


def test_what_cannot_be_read_stops_no_work() -> None:
    world = World()
    world.store.put_new(keys.batch_progress("m", JOB), b"{}")
    world.worker(0).scored(scored(40), 400)
    assert world.store.get(keys.batch_progress("m", JOB)).data == b"{}"
