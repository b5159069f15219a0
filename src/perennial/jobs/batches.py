"""Which files of a model were scored, are being scored, or could not be: as their objects in the bucket say."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict

from perennial import keys
from perennial.errors import ConflictError, NotFoundError
from perennial.jobs.side_by_side import side_by_side
from perennial.scoring.batch.records import find_plan, find_progress, find_result
from perennial.serving.batch_job import BatchCounts, BatchOutput, BatchPlan, BatchProgress, BatchResult, State
from perennial.store import Store


class Batch(BaseModel):
    """One file. ``key`` is that of the input; ``percent`` of its bytes are scored; ``reason`` is why it failed."""

    model_config = ConfigDict(frozen=True)

    work: str
    state: State
    name: str
    key: str
    version: str | None
    counts: BatchCounts
    percent: int
    parts: int | None = None
    warnings: tuple[str, ...] = ()
    reason: str | None = None
    scored: BatchOutput | None = None
    quarantined: BatchOutput | None = None
    started: datetime
    ended: datetime | None = None


def batches(store: Store, model: str) -> list[Batch]:
    """All files that came to be scored by a model, the newest first.

    Raises:
        IntegrityError: what stands there cannot be read.
        StoreUnavailable: S3 does not answer, or refuses.
    """
    found = side_by_side(lambda work: _read(store, model, work), store.folders(keys.batch_works(model)))
    return sorted((one for one in found if one is not None), key=lambda one: one.started, reverse=True)


def batch(store: Store, model: str, work: str) -> Batch:
    """One file, by the name of its work or by how that begins.

    Raises:
        NotFoundError: there is none that begins so.
        ConflictError: there are several.
    """
    names = [name for name in store.folders(keys.batch_works(model)) if name.startswith(work)]
    if len(names) > 1 and work not in names:
        raise ConflictError(f"{len(names)} files of {model} begin with {work}.", remedy="Give more of the name.")
    found = _read(store, model, work if work in names else names[0]) if names else None
    if found is None:
        raise NotFoundError(f"No file of {model} is {work}.", remedy=f"`perennial batches {model}` lists them.")
    return found


def _read(store: Store, model: str, work: str) -> Batch | None:
    result = find_result(store, model, work)
    if result is not None:
        return _ended(work, result)
    plan = find_plan(store, model, work)
    return _under_way(work, plan, find_progress(store, model, work)) if plan else None


def _ended(work: str, result: BatchResult) -> Batch:
    return Batch(
        work=work,
        state=result.state,
        name=result.name,
        key=result.input.key,
        version=result.version,
        counts=result.counts,
        percent=100,
        warnings=result.warnings,
        reason=result.reason,
        scored=result.scored,
        quarantined=result.quarantined,
        started=result.started,
        ended=result.ended,
    )


def _under_way(work: str, plan: BatchPlan, progress: BatchProgress | None) -> Batch:
    share = progress.bytes_done / progress.bytes_total if progress and progress.bytes_total else 0.0
    return Batch(
        work=work,
        state=progress.state if progress else "waiting",
        name=plan.name,
        key=plan.input.key,
        version=plan.version,
        counts=progress.counts if progress else BatchCounts(),
        percent=int(100 * share),
        parts=len(plan.parts),
        started=plan.created,
    )
