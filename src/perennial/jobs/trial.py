"""The steps that look at a trial, and stop it where a bound is broken.

They are two, so that who reads what callers have sent need not be who writes the log.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from perennial.jobs.results import StepResult
from perennial.jobs.state import step_key
from perennial.jobs.workspace import Workspace
from perennial.monitoring.results import TrialReport
from perennial.registry.log import ModelLog
from perennial.registry.registry import Registry
from perennial.registry.trials import end_trial
from perennial.spec_policy import TrialPolicy
from perennial.store import Store

ACTOR = "perennial"
LOOK, CHECK = "monitor-trial", "trial-check"
LONGEST = timedelta(days=30)
"""How far back a trial is looked at, however long it runs."""


class TrialResult(StepResult):
    """What was found of the trial that runs, None where none does.

    ``ended_by`` is the generation of the entry that stopped it for this, None where it goes on, or where somebody else
    ended it before.
    """

    report: TrialReport | None
    ended_by: int | None = None


def look_at_trial(store: Store, model: str, until: datetime, policy: TrialPolicy | None = None) -> TrialReport | None:
    """Compare the two sides of the trial that runs, on what was captured before ``until``; None where none runs.

    Args:
        store: of the model.
        model: its name.
        until: when it is looked at (UTC).
        policy: the bounds; None takes those of the champion's own spec.

    Raises:
        NotFoundError: there can be no such model, or its champion is gone.
        IntegrityError: the champion, the log or a label is damaged.
        StoreUnavailable: S3 does not answer.
    """
    from perennial.monitoring.trial import Tried, compare

    log = ModelLog(store, model)
    entry = log.newest()
    if entry is None or entry.trial is None:
        return None
    champion = Registry(store).manifest(model, entry.version)
    since = max(log.entry(entry.trial.began).time, until - LONGEST)
    tried = Tried(entry=entry, trial=entry.trial, champion=champion, since=since)
    return compare(store, policy or champion.spec.trial, tried, until)


def monitor_trial(w: Workspace, at: datetime | None = None) -> TrialResult:
    """Look at the trial of this model as it was at ``at``, or is now. What was found is kept; nothing is ended."""

    def compute() -> TrialResult:
        return TrialResult(report=look_at_trial(w.store, w.spec.name, at or w.now(), w.spec.trial))

    return w.once(step_key(w, LOOK), TrialResult, compute)


def trial_check(w: Workspace, at: datetime | None = None) -> TrialResult:
    """End the trial of this model where :func:`monitor_trial` found a bound broken, or finds one now.

    A retry ends the same trial for the same reason, once, and people are told once.
    """
    from perennial.jobs.aftermath import after_trial_stop

    found = monitor_trial(w, at)
    if found.report is None or found.report.status != "stop":
        return found
    why = "; ".join(found.report.reasons)
    entry = end_trial(
        w.store, w.spec.name, op_id=w.operation(CHECK), actor=ACTOR, reason=f"stopped: {why}"[:500], now=w.now(),
        began=found.report.trial.began,
    )  # fmt: skip
    if entry.op_id != w.operation(CHECK):
        return found
    w.progress(f"the trial of {found.report.trial.version} was stopped: {why}")
    after_trial_stop(w, found.report, entry.generation)
    return found.model_copy(update={"ended_by": entry.generation})
