"""Collect: predictions whose truth has come become rows to learn from, in landing files of their own.

The object is the commit, and the archive of what was consumed: it holds the rows with their prediction ids, and what
a file holds is not collected again. Captured lines and labels are left as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING

from perennial import keys
from perennial.errors import AlreadyExistsError
from perennial.jobs.results import StepResult
from perennial.jobs.state import step_key
from perennial.jobs.workspace import Workspace
from perennial.settings import Settings
from perennial.store import Store
from perennial.store_opening import open_store

if TYPE_CHECKING:
    from perennial.datasets.collected import CollectedFile, CollectedKind
    from perennial.monitoring.observed import Labelled

FEWEST_FEEDBACK = 50
"""Fewer new labels given through the API wait for more: each file is one more source of a dataset."""


class CollectResult(StepResult):
    """What this run collected: the files it put, rows by where their truth came from, and feedback that waits.

    ``gathered`` are the listings it put of pictures that lay loose in landing, of which it could read ``pictures`` and
    could not read ``unreadable``.
    """

    files: tuple[str, ...]
    rows_feedback: int
    rows_labels: int
    waiting: int
    gathered: tuple[str, ...] = ()
    pictures: int = 0
    unreadable: int = 0


def collect(w: Workspace) -> CollectResult:
    """Put the labelled predictions that were not collected before into landing, and list the pictures that lie there.

    Ground truth is taken of predictions up to twice ``monitor.feedback_within`` before the last collection. What the
    API was told goes to ``feedback``, once enough of it is there and unless ``retrain.feedback`` is off; what label
    files told goes to ``labels``, also where it was collected as feedback before: a dataset then leaves the row of
    feedback out. Once collected from a label file, a row stays as it is.

    Raises:
        IntegrityError: a label, a collected file or a listing is damaged.
    """

    def compute() -> CollectResult:
        found = _gather(w)
        while True:
            try:
                return _collect(w).model_copy(update=found)
            except AlreadyExistsError:  # another collector took that number: look again at what is left
                continue

    return w.once(step_key(w, "collect"), CollectResult, compute)


def _gather(w: Workspace) -> dict[str, object]:
    """The fields of the result that tell of pictures."""
    if w.spec.input != "image":
        return {}
    from perennial.datasets.gather import gather  # Pillow is imported where there are pictures

    found = gather(w.store, w.spec, w.progress, buckets=_buckets(w))
    if found.files:
        w.progress(f"gathered {found.pictures:,} pictures of landing, {found.failures:,} could not be read")
    return {"gathered": found.files, "pictures": found.pictures, "unreadable": found.failures}


def _buckets(w: Workspace) -> Callable[[str], Store]:
    """Opens the buckets that listings name: the model's own is open already."""
    settings = w.settings

    def opened(name: str) -> Store:
        if settings is not None and name == settings.bucket:
            return w.store
        return open_store((settings or Settings.load()).model_copy(update={"bucket": name}))

    return cache(opened)


@dataclass
class _Files:
    """What was collected so far, by kind, and of it what this very run collected."""

    own: list[CollectedFile] = field(default_factory=list)
    all: dict[str, list[CollectedFile]] = field(default_factory=dict)

    def next(self, kind: CollectedKind) -> int:
        return 1 + max((one.number for one in self.all[kind]), default=0)

    def last(self, *kinds: CollectedKind) -> datetime | None:
        return max((one.at for kind in kinds for one in self.all[kind] if one.at is not None), default=None)


def _collect(w: Workspace) -> CollectResult:
    from perennial.datasets.collected import KINDS, read_collected
    from perennial.monitoring.observed import labelled

    files = _Files(all={kind: list(read_collected(w.store, w.spec, kind)) for kind in KINDS})
    files.own += [one for every in files.all.values() for one in every if one.run == w.attempt]
    since = _since(w, files)
    found = labelled(w.store, w.spec, since=since, until=w.now(), known=_known(w, files, since))
    waiting = 0
    for kind in KINDS:
        rows = _rows(w, found, kind)
        if kind == "feedback" and len(rows) < FEWEST_FEEDBACK:
            waiting, rows = len(rows), []
        if rows:
            files.own.append(_put(w, found, kind, rows, files.next(kind)))
    counts = {kind: sum(len(one.predictions) for one in files.own if one.kind == kind) for kind in KINDS}
    for one in files.own:
        w.progress(f"collected {len(one.predictions):,} labelled predictions: {one.key}")
    if waiting:
        w.progress(f"{waiting:,} labels given through the API wait until there are {FEWEST_FEEDBACK}")
    return CollectResult(
        files=tuple(one.key for one in files.own),
        rows_feedback=counts["feedback"],
        rows_labels=counts["labels"],
        waiting=waiting,
    )


def _since(w: Workspace, files: _Files) -> datetime | None:
    """From when on predictions are looked at: the labels of earlier ones were all there at the last collection.

    What label files told was all taken then; feedback may wait since the last time that enough of it was there.
    """
    times = [files.last("labels", "feedback")]
    if w.spec.retrain.feedback and w.store.folders(keys.feedback(w.spec.name)):
        times.append(files.last("feedback"))
    known = [at for at in times if at is not None]
    return None if len(known) < len(times) else min(known) - 2 * w.spec.monitor.feedback_within


def _known(w: Workspace, files: _Files, since: datetime | None) -> frozenset[str]:
    """Predictions that are not to be collected: those that were, but for feedback of which a label file tells now."""
    from perennial.monitoring.captures import Span
    from perennial.monitoring.truths import read_truths

    told = read_truths(w.store, w.spec, Span(since, w.now()), ())
    known = {name for one in files.all["labels"] for name in one.predictions}
    for one in files.all["feedback"]:
        ids = one.ids or (None,) * len(one.predictions)
        pairs = zip(one.predictions, ids, strict=True)
        known.update(name for name, own in pairs if told.in_file(name, own) is None)
    return frozenset(known)


def _rows(w: Workspace, found: Labelled, kind: CollectedKind) -> list[int]:
    """Places of the rows of a kind."""
    if kind == "feedback" and not w.spec.retrain.feedback:
        return []
    return [place for place, source in enumerate(found.about.column("source").to_pylist()) if source == kind]


def _put(w: Workspace, found: Labelled, kind: CollectedKind, rows: Sequence[int], number: int) -> CollectedFile:
    """Commit some rows as file ``number``. Raises AlreadyExistsError where another collector did."""
    from perennial.datasets.collected import CollectedFile, collected_bytes

    table, predictions = found.rows.take(rows), found.about.column("prediction_id").take(rows)
    key, at = keys.collected(w.spec.name, kind, number), w.now()
    w.store.put_new(key, collected_bytes(w.spec, table, predictions, w.attempt, at))
    return CollectedFile(key, kind, number, w.attempt, at, tuple(predictions.to_pylist()), ids=())
