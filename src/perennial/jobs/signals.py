"""What the decision to train again is made on, gathered from the bucket."""

from __future__ import annotations

from collections.abc import Set

from perennial import keys
from perennial.datasets.collected import read_collected, read_predictions
from perennial.datasets.manifest import DatasetManifest
from perennial.datasets.reading import read_file
from perennial.errors import DataError
from perennial.jobs.lock import holder
from perennial.jobs.outcomes import last_training, learnt_sources, unlearnt_files
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
    landed = [file.key for file in unlearnt_files(w)]
    told = {one for file in read_collected(w.store, w.spec, "labels") for one in file.predictions}
    fresh = waiting + sum(_rows(w, key, told) for key in landed) + _loose(w)
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


def _loose(w: Workspace) -> int:
    """Pictures and listings in landing that the next training gathers."""
    if w.spec.input != "image":
        return 0
    from perennial.datasets.gather import ungathered  # Pillow is imported where there are pictures

    return len(ungathered(w.store, w.spec))


def _rows(w: Workspace, key: str, told: Set[str]) -> int:
    """Rows of a file, less feedback on predictions of which label files ``told``."""
    if keys.landing_kind(w.spec.name, key) == "feedback" and (predictions := read_predictions(w.store, key)):
        return len(set(predictions) - told)
    try:
        return len(read_file(key, w.store.get(key).data).rows)
    except DataError:  # the snapshot says what is wrong with it
        return 0
