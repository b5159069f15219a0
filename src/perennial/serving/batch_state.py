"""How far a file is that came through the API, as its objects in S3 say: at most four reads, and no step backwards.

What is committed is read first, so that a result stands whatever the progress beside it says.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, TypeVar

from perennial import keys
from perennial.canonical import Keyed
from perennial.serving.batch_job import (
    BatchCounts,
    BatchOutput,
    BatchProgress,
    BatchRequest,
    BatchResult,
    Preview,
    State,
)
from perennial.store import Store

Awaited = Literal["upload", "start"]
T = TypeVar("T", bound=Keyed)

UNDER_WAY = timedelta(hours=1)
"""How long an upload may take that began before its link ended: S3 looks at the end when the upload begins."""
SCORING_SHARE = 0.95
"""The progress of a file whose rows are all scored and not yet joined."""
EXPIRED = "No file was uploaded before the link ended. Ask for a new one."


@dataclass(frozen=True)
class BatchState:
    """A file at one moment.

    ``awaiting`` is what a file in the state ``waiting`` waits for: its upload, or that its scoring starts.
    ``progress`` goes from 0 to 1, which is its end, good or bad.
    """

    request: BatchRequest
    state: State
    progress: float
    awaiting: Awaited | None = None
    version: str | None = None
    counts: BatchCounts = field(default_factory=BatchCounts)
    warnings: tuple[str, ...] = ()
    reason: str | None = None
    preview: Preview | None = None
    scored: BatchOutput | None = None
    quarantined: BatchOutput | None = None


def state_of(store: Store, model: str, job: str, now: datetime) -> BatchState | None:
    """The state of the job that was named so when it was made; None where this model has no such job.

    Raises:
        IntegrityError: what stands there cannot be read.
        StoreUnavailable: S3 does not answer, or refuses.
    """
    request = _find(store, keys.batch_request(model, job), BatchRequest)
    if request is None:
        return None
    result = _find(store, keys.batch_result(model, job), BatchResult)
    if result is not None:
        return _ended(request, result)
    progress = _find(store, keys.batch_progress(model, job), BatchProgress)
    if progress is not None and progress.state != "waiting":
        return _under_way(request, progress)
    if progress is not None or store.holds(keys.batch_uploads(model, job)):
        return BatchState(request, "waiting", 0.0, awaiting="start")
    if request.expires is not None and now > request.expires + UNDER_WAY:
        return BatchState(request, "failed", 1.0, reason=EXPIRED)
    return BatchState(request, "waiting", 0.0, awaiting="upload")


def _ended(request: BatchRequest, result: BatchResult) -> BatchState:
    return BatchState(
        request,
        result.state,
        1.0,
        version=result.version,
        counts=result.counts,
        warnings=tuple(_plain(warning, request, result) for warning in result.warnings),
        reason=_plain(result.reason, request, result) if result.reason is not None else None,
        preview=result.preview if result.preview.columns else None,
        scored=result.scored,
        quarantined=result.quarantined,
    )


def _plain(text: str, request: BatchRequest, result: BatchResult) -> str:
    """A sentence with the file's name as its owner wrote it, where those who read the file knew it by its key."""
    return text.replace(result.name, request.name)


def _under_way(request: BatchRequest, progress: BatchProgress) -> BatchState:
    """Between start and result. A progress that says it is done is only a result that is about to be written."""
    state: State = "scoring" if progress.state == "scoring" else "joining"
    share = min(1.0, progress.bytes_done / progress.bytes_total) if progress.bytes_total else 0.0
    return BatchState(
        request,
        state,
        round(SCORING_SHARE * (share if state == "scoring" else 1.0), 4),
        version=progress.version,
        counts=progress.counts,
    )


def _find(store: Store, key: str, kind: type[T]) -> T | None:
    found = store.find(key)
    return None if found is None else kind.from_bytes(found.data, key)
