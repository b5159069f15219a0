"""How the work on a file ends: one result, put-new. Whoever comes second finds it and is content."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from perennial.errors import PerennialError
from perennial.scoring.batch.bench import Bench
from perennial.scoring.batch.intake import Order
from perennial.scoring.batch.planning import Unscorable, reason_of
from perennial.scoring.batch.records import commit_result
from perennial.scoring.batch.rows import PREVIEW_ROWS
from perennial.serving.batch_job import BatchCounts, BatchOutput, BatchPlan, BatchResult, BatchScored, Preview

State = Literal["ignored", "known", "planned", "part", "done", "failed"]


@dataclass(frozen=True)
class Outcome:
    """What came of one message. ``known``: all of it was done before. ``why`` is for logs: keys, never values."""

    state: State
    model: str | None = None
    work: str | None = None
    counts: BatchCounts | None = None
    why: str | None = None


def done(
    bench: Bench,
    plan: BatchPlan,
    work: str,
    parts: Sequence[BatchScored],
    scored: BatchOutput,
    quarantined: BatchOutput,
) -> Outcome:
    """All parts are scored, and their rows are stored; ``quarantined`` is there only where rows were refused."""
    counts = sum((one.counts for one in parts), BatchCounts())
    rows = tuple(row for one in parts for row in one.preview.rows)
    result = BatchResult(
        state="done",
        model=plan.model,
        version=plan.version,
        input=plan.input,
        name=plan.name,
        counts=counts,
        warnings=tuple(dict.fromkeys(text for one in parts for text in one.warnings)),
        scored=scored,
        quarantined=quarantined if counts.quarantined else None,
        preview=Preview(columns=parts[0].preview.columns, rows=rows[:PREVIEW_ROWS]),
        started=plan.created,
        ended=bench.now(),
    )
    return _committed(bench, work, result)


def failed(bench: Bench, order: Order, refusal: Unscorable) -> Outcome:
    """A file that could not even be planned."""
    return _failed(bench, order.work, order, refusal.version, refusal.reason, bench.now())


def stopped(bench: Bench, plan: BatchPlan, work: str, error: PerennialError) -> Outcome:
    """A file that could not be read to its end."""
    return _failed(bench, work, plan, plan.version, reason_of(error), plan.created)


def _failed(
    bench: Bench, work: str, file: Order | BatchPlan, version: str | None, reason: str, started: datetime
) -> Outcome:
    result = BatchResult(
        state="failed",
        model=file.model,
        version=version,
        input=file.input,
        name=file.name,
        counts=BatchCounts(),
        reason=reason,
        started=started,
        ended=bench.now(),
    )
    return _committed(bench, work, result)


def _committed(bench: Bench, work: str, result: BatchResult) -> Outcome:
    standing = commit_result(bench.store, work, result)
    state: State = result.state if standing == result else "known"
    return Outcome(state, result.model, work, standing.counts)
