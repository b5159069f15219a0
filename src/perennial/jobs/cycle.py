"""The whole loop once, in this process: what the training DAG wires, in the same order."""

from __future__ import annotations

from perennial import keys
from perennial.jobs import steps
from perennial.jobs.results import OutcomeResult
from perennial.jobs.workspace import Workspace


def run_cycle(w: Workspace) -> OutcomeResult:
    """Snapshot, train every candidate, select, register, gate, promote, smoke-test; returns how it ended.

    Repeating it with the same run resumes a run that was cut off.
    """
    found = steps.snapshot(w)
    w.progress(
        f"dataset {found.dataset[:12]}: {found.train_rows:,} rows to train on, {found.holdout_rows:,} held out, "
        f"{found.refused:,} refused, {found.duplicates:,} duplicates"
    )
    if found.refused:
        w.progress(f"refused rows with their reasons: {keys.quarantines(w.spec.name)}")
    if found.work is None:
        w.progress("nothing to do: this dataset has been trained with this spec before (--force trains all the same)")
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
        promoted = steps.promote(w)
        w.progress(f"promoted: generation {promoted.generation}")
        smoked = steps.smoke(w)
        w.progress(f"smoke test by {smoked.endpoint or 'the predictor'}: {smoked.prediction}")
    return steps.conclude(w)
