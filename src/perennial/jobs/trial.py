"""The step that looks at a trial, and stops it where a bound is broken."""

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
STEP = "trial-check"
LONGEST = timedelta(days=30)
"""How far back a trial is looked at, however long it runs."""


class TrialCheckResult(StepResult):
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


def trial_check(w: Workspace, at: datetime | None = None) -> TrialCheckResult:
    """Look at the trial of this model, and end it where a bound of the spec is broken; its champion stays.

    What was found is kept, so that a retry ends the same trial for the same reason, once, and people are told once.
    """
    from perennial.jobs.aftermath import after_trial_stop

    def compute() -> TrialCheckResult:
        return TrialCheckResult(report=look_at_trial(w.store, w.spec.name, at or w.now(), w.spec.trial))

    found = w.once(step_key(w, STEP), TrialCheckResult, compute)
    if found.report is None or found.report.status != "stop":
        return found
    why = "; ".join(found.report.reasons)
    entry = end_trial(
        w.store, w.spec.name, op_id=w.operation(STEP), actor=ACTOR, reason=f"stopped: {why}"[:500], now=w.now(),
        began=found.report.trial.began,
    )  # fmt: skip
    if entry.op_id != w.operation(STEP):
        return found
    w.progress(f"the trial of {found.report.trial.version} was stopped: {why}")
    after_trial_stop(w, found.report, entry.generation)
    return found.model_copy(update={"ended_by": entry.generation})
