"""What the workers of Spark do of a job: one file, or one part of a file, in each task.

It is the work that functions do, by the same code on the same objects, and only handed out differently. So any task may
be repeated, done twice at once, or cut off, and what is there already is found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from perennial.errors import DataError, IntegrityError, NotFoundError, PerennialError
from perennial.scoring.batch.bench import Bench, Shift
from perennial.scoring.batch.endings import Outcome, failed, stopped
from perennial.scoring.batch.intake import order_for
from perennial.scoring.batch.opening import open_bench
from perennial.scoring.batch.planning import Unscorable, plan_order
from perennial.scoring.batch.progress import Reporter
from perennial.scoring.batch.records import commit_plan, find_plan, find_result, read_part
from perennial.scoring.batch.work import join_parts, score_part, score_whole
from perennial.scoring.spark import ATTEMPTS
from perennial.serving.batch_job import BatchCounts, BatchPlan, BatchResult, SparkRequest, State
from perennial.settings import Settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@dataclass(frozen=True)
class Job:
    """What every task knows: where to work, and what is to be scored."""

    settings: Settings
    request: SparkRequest


@dataclass(frozen=True)
class Place:
    """What one task is about: the number of a file in the request, and of one of its parts."""

    file: int
    part: int = 0


class Told(BaseModel):
    """What came of one task: how its file ended, or in how many ``parts`` it is to be scored, or what went wrong."""

    model_config = ConfigDict(frozen=True)

    state: State = "scoring"
    counts: BatchCounts = BatchCounts()
    parts: int = 0
    problem: str | None = None


Act = Callable[[Job, Place], Told]


def in_tasks(spark: SparkSession, job: Job, places: Sequence[Place], act: Act) -> list[Told]:
    """What ``act`` tells of each place, in their order, each in a task of its own.

    An error that is meant for people is that task's alone: once no attempt is left it is what the task tells.
    """
    if not places:
        return []
    said = spark.sparkContext.broadcast((job, tuple(places)))

    def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        there, all_places = said.value
        for batch in batches:
            numbers = batch.column("id").to_pylist()
            told = [_attempted(act, there, all_places[number]).model_dump_json() for number in numbers]
            yield pa.RecordBatch.from_pydict({"number": numbers, "told": told})

    numbered = spark.range(0, len(places), 1, len(places)).mapInArrow(run, "number bigint, told string").collect()
    return [Told.model_validate_json(row["told"]) for row in sorted(numbered, key=lambda row: row["number"])]


def begin(job: Job, place: Place) -> Told:
    """Plan a file, and score it where it is of one part."""
    bench, request = _bench(job.settings), job.request
    found = request.inputs[place.file]
    order = order_for(request.model, request.names[place.file], found, request.options)
    result = find_result(bench.store, request.model, found.work)
    if result is not None:
        return _ended(result)
    plan = find_plan(bench.store, request.model, found.work)
    if plan is None:
        predictor = bench.models.get(request.model, request.version)
        try:
            plan = commit_plan(bench.store, found.work, plan_order(bench, order, Shift(), predictor))
        except Unscorable as refusal:
            return _outcome(bench, job, place, failed(bench, order, refusal))
    if len(plan.parts) > 1:
        return Told(parts=len(plan.parts))
    return _outcome(bench, job, place, score_whole(bench, plan, found.work, Shift()))


def score(job: Job, place: Place) -> Told:
    """Score one part of a planned file, unless that is done or the file has failed."""
    bench, work = _bench(job.settings), job.request.inputs[place.file].work
    plan = _plan(job, work)
    if find_result(bench.store, plan.model, work) or read_part(bench.store, plan.model, work, place.part):
        return Told()
    part = next(part for part in plan.parts if part.number == place.part)
    try:
        score_part(bench, plan, work, part, Silent(bench, plan, work, part))
    except (DataError, NotFoundError) as error:
        return _outcome(bench, job, place, stopped(bench, plan, work, error))
    return Told()


def join(job: Job, place: Place) -> Told:
    """Make the results of a file whose parts are done, unless it has ended."""
    bench, work = _bench(job.settings), job.request.inputs[place.file].work
    result = find_result(bench.store, job.request.model, work)
    if result is not None:
        return _ended(result)
    return _outcome(bench, job, place, join_parts(bench, _plan(job, work), work, Shift()))


class Silent(Reporter):
    """Spark itself knows how far it is; and of thousands of parts, each would ask for the state of all others."""

    def tell(self, state: State, share: float = 0.0, counts: BatchCounts | None = None) -> None: ...


def _attempted(act: Act, job: Job, place: Place) -> Told:
    from pyspark import TaskContext

    context = TaskContext.get()
    try:
        return act(job, place)
    except PerennialError as error:
        if context is not None and context.attemptNumber() + 1 < ATTEMPTS:
            raise
        return Told(problem=str(error))


def _outcome(bench: Bench, job: Job, place: Place, outcome: Outcome) -> Told:
    """How the file ended, be it by this task or by another that was faster."""
    work = job.request.inputs[place.file].work
    result = find_result(bench.store, job.request.model, work)
    if result is None:
        raise IntegrityError(f"The work {work} of {job.request.model} is {outcome.state}, and has no result.")
    return _ended(result)


def _ended(result: BatchResult) -> Told:
    return Told(state=result.state, counts=result.counts)


@cache
def _bench(settings: Settings) -> Bench:
    """Made once in each of Spark's Python processes."""
    return open_bench(settings)


_PLANS: dict[str, BatchPlan] = {}


def _plan(job: Job, work: str) -> BatchPlan:
    """The plan of a file; that of a huge one is long, and each worker scores many of its parts."""
    if work not in _PLANS:
        plan = find_plan(_bench(job.settings).store, job.request.model, work)
        if plan is None:
            raise IntegrityError(f"The work {work} of {job.request.model} has no plan any more.")
        _PLANS.clear()
        _PLANS[work] = plan
    return _PLANS[work]
