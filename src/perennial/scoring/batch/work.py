"""The work on one file, in steps that any crash may cut and any message may repeat.

The plan pins the version of the input and of the model; every key follows from it; every object is created once. So
two that do the same work make the same objects, and the first result stands. A file in several parts is carried on by
the objects that its steps create: the plan's task for each part, and the join by whoever sees all parts done.
"""

from __future__ import annotations

from perennial import keys
from perennial.canonical import canonical
from perennial.errors import DataError, IntegrityError, NotFoundError
from perennial.scoring.batch.bench import Bench, Shift
from perennial.scoring.batch.endings import Outcome, done, failed, stopped
from perennial.scoring.batch.events import JOIN, Dropped, Ignored, Requested, Tasked, Told, part_task
from perennial.scoring.batch.folder import folders, in_folder
from perennial.scoring.batch.intake import Order, order_of
from perennial.scoring.batch.join import join_pieces
from perennial.scoring.batch.planning import SPARE_SECONDS, Unscorable, plan_order
from perennial.scoring.batch.progress import Overtaken, Reporter
from perennial.scoring.batch.records import (
    commit_part,
    commit_plan,
    done_parts,
    find_plan,
    find_result,
    read_part,
)
from perennial.scoring.batch.rows import QUARANTINED, SCORED, outputs, pieces, results_of, score_rows
from perennial.scoring.results import Dialect
from perennial.serving.batch_job import (
    BatchPart,
    BatchPlan,
    BatchScored,
)

SCORE_BYTES = 5_000_000
"""Bytes a second that are scored at the least, and of gzip a tenth of it: what a shift must have time for."""
JOIN_BYTES = 20_000_000
PICTURE_SECONDS = 0.3
"""What a picture takes at the most, be it a photograph of twelve million pixels; larger ones are few."""


def carry_out(bench: Bench, told: Told, shift: Shift) -> Outcome:
    """Do what a message tells, as far as it is not done.

    Raises:
        OutOfTime: the shift is too short for it.
        IntegrityError: what is stored cannot be trusted: the model, the plan, or a part's number of rows.
        StoreUnavailable: S3 does not answer, or refuses; repeating is safe.
    """
    match told:
        case Ignored():
            return Outcome("ignored", why=told.why)
        case Tasked(model=model, work=work, part=number):
            return _go_on(bench, model, work, number, shift)
        case Dropped() | Requested():
            order = order_of(bench, told)
            return Outcome("ignored", why=order.why) if isinstance(order, Ignored) else _begin(bench, order, shift)


def _begin(bench: Bench, order: Order, shift: Shift) -> Outcome:
    model, work = order.model, order.work
    if (result := find_result(bench.store, model, work)) is not None:
        return Outcome("known", model, work, result.counts)
    plan = find_plan(bench.store, model, work)
    if plan is None:
        try:
            plan = commit_plan(bench.store, work, plan_order(bench, order, shift))
        except Unscorable as refusal:
            return failed(bench, order, refusal)
    if len(plan.parts) == 1:
        return score_whole(bench, plan, work, shift)
    for part in plan.parts:
        _put_task(bench, plan, work, part_task(part.number))
    _join_when_all_are_done(bench, plan, work)
    return Outcome("planned", model, work)


def _go_on(bench: Bench, model: str, work: str, number: int | None, shift: Shift) -> Outcome:
    if (result := find_result(bench.store, model, work)) is not None:
        return Outcome("known", model, work, result.counts)
    plan = find_plan(bench.store, model, work)
    parts = {part.number: part for part in plan.parts} if plan else {}
    if plan is None or (number is not None and number not in parts):
        raise IntegrityError(
            f"{keys.batch_tasks(model, work)} has a task that no plan knows.", remedy="Find out who put it there."
        )
    return join_parts(bench, plan, work, shift) if number is None else _part(bench, plan, work, parts[number], shift)


def score_whole(bench: Bench, plan: BatchPlan, work: str, shift: Shift) -> Outcome:
    """Score a file of one part into its results. Raises as :func:`carry_out`."""
    shift.has(_seconds(plan, plan.parts[0]))
    reporter = Reporter(bench, plan, work)
    try:
        reporter.tell("scoring")
        with outputs(bench, plan, work) as pair:
            summary = score_rows(bench, plan, pair, reporter, None)
    except Overtaken:
        return Outcome("known", plan.model, work)
    except (DataError, NotFoundError) as error:
        return stopped(bench, plan, work, error)
    scored = BatchScored(counts=summary.counts, warnings=summary.warnings, preview=summary.preview)
    return done(bench, plan, work, [scored], pair.scored.output, pair.quarantined.output)


def _part(bench: Bench, plan: BatchPlan, work: str, part: BatchPart, shift: Shift) -> Outcome:
    found = read_part(bench.store, plan.model, work, part.number)
    if found is None:
        shift.has(_seconds(plan, part))
        try:
            found = score_part(bench, plan, work, part)
        except Overtaken:
            found = read_part(bench.store, plan.model, work, part.number)
        except (DataError, NotFoundError) as error:
            return stopped(bench, plan, work, error)
    _join_when_all_are_done(bench, plan, work)
    return Outcome("part", plan.model, work, found.counts if found else None)


def score_part(
    bench: Bench, plan: BatchPlan, work: str, part: BatchPart, reporter: Reporter | None = None
) -> BatchScored:
    """Score a part and commit its counts, which is all that is left to do for it. Raises as :func:`score_rows`."""
    reporter = reporter or Reporter(bench, plan, work, part)
    reporter.tell("scoring")
    with pieces(bench, plan, work, part.number) as pair:
        summary = score_rows(bench, plan, pair, reporter, part)
    scored = BatchScored(counts=summary.counts, warnings=summary.warnings, preview=summary.preview)
    commit_part(bench.store, plan.model, work, part.number, scored)
    return scored


def _join_when_all_are_done(bench: Bench, plan: BatchPlan, work: str) -> None:
    """Of parts that end at the same time, the last to say so sees them all."""
    if len(done_parts(bench.store, plan.model, work)) == len(plan.parts):
        _put_task(bench, plan, work, JOIN)


def join_parts(bench: Bench, plan: BatchPlan, work: str, shift: Shift) -> Outcome:
    """Make the results of a file whose parts are all done. Raises as :func:`carry_out`."""
    scored = [read_part(bench.store, plan.model, work, part.number) for part in plan.parts]
    parts = [one for one in scored if one is not None]
    if len(parts) < len(plan.parts):
        raise IntegrityError(f"{work} of {plan.model} is to be joined before all its parts are done.")
    if in_folder(plan):
        return done(bench, plan, work, parts, *folders(bench, plan, *results_of(plan, work)))
    shift.has(SPARE_SECONDS + 2 * plan.input.size / JOIN_BYTES)
    try:
        Reporter(bench, plan, work).tell("joining")
        _renew_pieces(bench, plan, work, parts)
        with outputs(bench, plan, work) as pair:
            join_pieces(bench, plan, work, parts, pair)
    except Overtaken:
        return Outcome("known", plan.model, work)
    except (DataError, NotFoundError) as error:
        return stopped(bench, plan, work, error)
    return done(bench, plan, work, parts, pair.scored.output, pair.quarantined.output)


def _renew_pieces(bench: Bench, plan: BatchPlan, work: str, parts: list[BatchScored]) -> None:
    """Score again what the bucket has removed, where a join is redriven after more than a week."""
    for part, scored in zip(plan.parts, parts, strict=True):
        wanted = [SCORED, QUARANTINED] if scored.counts.quarantined else [SCORED]
        if not all(bench.store.exists(keys.batch_piece(plan.model, work, part.number, name)) for name in wanted):
            with pieces(bench, plan, work, part.number) as pair:
                score_rows(bench, plan, pair, Reporter(bench, plan, work), part)


def _put_task(bench: Bench, plan: BatchPlan, work: str, name: str) -> None:
    """Creating it starts it; where it is there already, it was started."""
    bench.store.put_new(keys.batch_task(plan.model, work, name), canonical({"work": work, "task": name}))


def _seconds(plan: BatchPlan, part: BatchPart) -> float:
    """How long scoring a part of the input may take."""
    dialect = Dialect.model_validate_json(plan.dialect)
    if dialect.of_pictures:
        return SPARE_SECONDS + PICTURE_SECONDS * (part.rows or 0)
    size = plan.input.size // len(plan.parts)
    unpacked = size * 10 if dialect.gzip else size
    return SPARE_SECONDS + unpacked / SCORE_BYTES
