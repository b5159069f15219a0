"""The whole loop once, in this process: what the training DAG wires, in the same order."""

from __future__ import annotations

from perennial import keys
from perennial.errors import SmokeTestError
from perennial.jobs import lock, steps
from perennial.jobs.results import OutcomeResult, SnapshotResult
from perennial.jobs.workspace import Workspace


def run_cycle(w: Workspace) -> OutcomeResult:
    """Snapshot, train every candidate, select, register, gate, promote, smoke-test; returns how it ended.

    Repeating it with the same run resumes a run that was cut off.

    Raises:
        Busy: another run trains this model.
    """
    with lock.held(w):
        try:
            return _run(w)
        finally:
            steps.release(w)


def _run(w: Workspace) -> OutcomeResult:
    steps.collect(w)
    found = steps.snapshot(w)
    _tell_snapshot(w, found)
    if found.work is None:
        return steps.unchanged(w)
    w.progress(f"training because {found.work}")
    for candidate in w.spec.candidates:
        trained = steps.train(w, candidate)
        w.progress(f"candidate {candidate}: {trained.summary(w.spec.metric)}")
    selected = steps.select(w)
    w.progress(f"selected {selected.candidate}")
    registered = steps.register(w)
    w.progress(f"registered version {registered.version}")
    decision = steps.gate(w)
    for reason in decision.reasons:
        w.progress(f"gate: {reason}")
    if decision.promote:
        promote_and_smoke(w)
    elif decision.approval:
        request = steps.ask(w)
        w.progress(f"waiting for a person until {request.until:%Y-%m-%d %H:%M} UTC: `perennial approve {w.spec.name}`")
    return steps.conclude(w)


def promote_and_smoke(w: Workspace) -> None:
    """Promote the version, ask it for a prediction, and go back to the one before where it fails."""
    promoted = steps.promote(w)
    w.progress(f"promoted: generation {promoted.generation}")
    try:
        smoked = steps.smoke(w)
    except SmokeTestError as error:
        w.progress(f"smoke test failed: {error}")
        back = steps.rollback(w, str(error))
        w.progress(f"rolled back to {back.to}" if back.rolled_back else f"not rolled back: {back.why}")
    else:
        w.progress(f"smoke test by {smoked.endpoint or 'the predictor'}: {smoked.prediction}")


def _tell_snapshot(w: Workspace, found: SnapshotResult) -> None:
    w.progress(
        f"dataset {found.dataset[:12]}: {found.train_rows:,} rows to train on, {found.holdout_rows:,} held out, "
        f"{found.duplicates:,} of them duplicates; {found.refused:,} refused"
    )
    if found.refused:
        w.progress(f"refused rows with their reasons: {keys.quarantines(w.spec.name)}")
    if found.work is None:
        w.progress(f"nothing to do: {found.blocked or 'there is no reason to'} (--force trains all the same)")
