"""What the decision to train again is made on, gathered from the bucket."""

from __future__ import annotations

from perennial import keys
from perennial.datasets.landing import list_landed
from perennial.datasets.manifest import DatasetManifest
from perennial.datasets.reading import read_file
from perennial.errors import DataError
from perennial.jobs.lock import holder
from perennial.jobs.outcomes import last_training, learnt_sources
from perennial.jobs.state import outcome_key
from perennial.jobs.workspace import Workspace
from perennial.monitoring.decision import Signals
from perennial.monitoring.results import DriftReport, PerformanceReport


def of_snapshot(w: Workspace, dataset: DatasetManifest) -> Signals:
    """For a run that is about to train on ``dataset``; it holds the lease itself."""
    last = last_training(w.store, w.spec.name)
    learnt = learnt_sources(w.store, w.spec.name, last)
    return Signals(
        cause=w.cause,
        because=w.because,
        forced=w.force,
        first=last is None,
        trained_before=w.store.exists(outcome_key(w, dataset.id)),
        fresh_rows=sum(s.accepted - s.held_back - s.superseded for s in dataset.sources if s.digest not in learnt),
        since_last=w.now() - last.at if last and last.at else None,
    )


def of_pass(w: Workspace, drift: DriftReport, performance: PerformanceReport, waiting: int) -> Signals:
    """For a monitoring pass. ``waiting`` counts the predictions whose truth is known and not landed yet.

    Rows are counted as they landed: which of them the spec refuses is settled by the snapshot.
    """
    last = last_training(w.store, w.spec.name)
    learnt = learnt_sources(w.store, w.spec.name, last)
    landed = [file for file in list_landed(w.store, w.spec) if file.digest not in learnt]
    fresh = waiting + sum(_rows(w, file.key) for file in landed if _counts(w, file.key))
    return Signals(
        cause="monitor",
        first=last is None and fresh > 0,
        trained_before=fresh == 0,
        fresh_rows=fresh,
        drift=drift,
        performance=performance,
        since_last=w.now() - last.at if last and last.at else None,
        running=holder(w.store, w.spec.name, w.now()),
    )


def _counts(w: Workspace, key: str) -> bool:
    """Feedback that the spec leaves out is in no dataset, and so would be new for ever."""
    return w.spec.retrain.feedback or keys.landing_kind(w.spec.name, key) != "feedback"


def _rows(w: Workspace, key: str) -> int:
    try:
        return len(read_file(key, w.store.get(key).data).rows)
    except DataError:  # the snapshot says what is wrong with it
        return 0
