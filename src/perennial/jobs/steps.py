"""The steps of the loop by name: Airflow wires them, `cycle` runs them in order.

Each is a plain function of a workspace and may be repeated at any time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass

from perennial.errors import SettingsError
from perennial.jobs import aftermath, judge, lock, scoring, trial, watch
from perennial.jobs.airflow_rest import TaskPlace
from perennial.jobs.approval import ApprovalRequest, answer_approval, request_approval
from perennial.jobs.judge import gate, promote, rollback, smoke, unchanged
from perennial.jobs.learn import register, select, snapshot, train
from perennial.jobs.results import OutcomeResult, ReleaseResult, StepResult
from perennial.jobs.watched import moment
from perennial.jobs.workspace import Workspace

__all__ = [
    "STEPS", "acquire", "ask", "collect", "conclude", "gate", "perform", "promote", "register", "release", "rollback",
    "select", "smoke", "snapshot", "train", "unchanged",
]  # fmt: skip

Step = Callable[[Workspace], StepResult]


def collect(w: Workspace) -> StepResult:
    """Land the predictions whose truth has become known."""
    from perennial.jobs import collect as collecting

    return collecting.collect(w)


def conclude(w: Workspace) -> OutcomeResult:
    """Note how the run ended, give its turn up, tell people, and bring the model's page up to date."""
    outcome = judge.conclude(w)
    lock.release(w.store, w.spec.name, w.run, w.now())
    aftermath.after_outcome(w, outcome)
    return outcome


LEARNING: Mapping[str, Step] = {
    "collect": collect,
    "snapshot": snapshot,
    "select": select,
    "register": register,
    "gate": gate,
    "promote": promote,
    "smoke": smoke,
    "rollback": rollback,
}
"""Steps of a training, which hold the model's lease while they run."""


def acquire(w: Workspace) -> ReleaseResult:
    """Begin this run's turn to train. Raises Busy while another run has it."""
    lock.acquire(w.store, w.spec.name, w.run, w.now())
    return ReleaseResult(run=w.run)


def release(w: Workspace) -> ReleaseResult:
    """End this run's turn to train, however it went."""
    lock.release(w.store, w.spec.name, w.run, w.now())
    return ReleaseResult(run=w.run)


@dataclass(frozen=True)
class Arguments:
    """What some steps take besides their workspace.

    ``asked_by`` is the task of Airflow that waits for the answer, as DAG/RUN/TASK; ``by`` who gave it. ``source`` is
    one of the spec's SQL sources; ``at`` the ISO 8601 time that a monitoring pass looks
    back from.
    """

    asked_by: str | None = None
    approved: bool | None = None
    by: str = ""
    source: str | None = None
    at: str | None = None


NOTHING = Arguments()


def ask(w: Workspace, given: Arguments = NOTHING) -> ApprovalRequest:
    """Ask a person whether the version may serve; the run gives its turn up while it waits.

    That it trained is noted now: a run that comes meanwhile does not train on the same rows to ask the same again.
    """
    request = request_approval(w, TaskPlace.parse(given.asked_by) if given.asked_by else None)
    judge.conclude(w)
    lock.release(w.store, w.spec.name, w.run, w.now())
    aftermath.after_request(w, request)
    return request


def report_failure(w: Workspace) -> StepResult:
    """Tell people why a task of this run failed: the run's ``because``."""
    aftermath.after_failure(w, w.because)
    return ReleaseResult(run=w.run)


def answer(w: Workspace, given: Arguments) -> StepResult:
    """Record what the person said; the run's ``because`` is their reason. Raises SettingsError where they did not."""
    if given.approved is None:
        raise SettingsError("The step answer-approval needs an answer.", remedy="Give --approved or --rejected.")
    return answer_approval(w, approved=given.approved, by=given.by, reason=w.because)


def pull_query(w: Workspace, given: Arguments) -> StepResult:
    """Say what to ask a SQL source for. Raises SettingsError where none is named."""
    from perennial.jobs import pull

    return pull.pull_query(w, _named(given))


def pull_land(w: Workspace, given: Arguments) -> StepResult:
    """Land what a SQL source answered. Raises SettingsError where none is named."""
    from perennial.jobs import pull

    return pull.pull_land(w, _named(given))


def _named(given: Arguments) -> str:
    if given.source is None:
        raise SettingsError("A pull needs a source.", remedy="Give --source NAME.")
    return given.source


def monitor_check(w: Workspace, given: Arguments) -> StepResult:
    """Fix the window of this run's monitoring pass: the time before ``given.at``, or before now."""
    return watch.monitor_check(w, moment(given.at) if given.at else None)


def monitor_trial(w: Workspace, given: Arguments) -> StepResult:
    """Look at the model's trial as it was at ``given.at``, or is now."""
    return trial.monitor_trial(w, moment(given.at) if given.at else None)


def trial_check(w: Workspace, given: Arguments) -> StepResult:
    """End the model's trial where a look at it finds a bound broken."""
    return trial.trial_check(w, moment(given.at) if given.at else None)


def monitor_summary(w: Workspace) -> watch.PassResult:
    """Sum a monitoring pass up, tell people, and bring the model's page up to date."""
    report = watch.monitor_summary(w)
    aftermath.after_report(w, report)
    return report


WATCHING: Mapping[str, Step] = {
    "monitor-quality": watch.monitor_quality,
    "monitor-drift": watch.monitor_drift,
    "monitor-performance": watch.monitor_performance,
    "monitor-retain": watch.monitor_retain,
    "monitor-summary": monitor_summary,
}
"""Steps of a monitoring pass."""

OTHERS: Mapping[str, Step] = {
    "acquire": acquire,
    "conclude": conclude,
    "release": release,
    "report-failure": report_failure,
    **WATCHING,
    **scoring.STEPS,
}
"""Steps that wait for nobody's turn: a run that a person rejects ends while another one trains."""
STEPS: Mapping[str, Step] = {**LEARNING, **OTHERS}

TAKING: Mapping[str, Callable[[Workspace, Arguments], StepResult]] = {
    "request-approval": ask,
    "answer-approval": answer,
    "monitor-check": monitor_check,
    "monitor-trial": monitor_trial,
    "trial-check": trial_check,
    "pull-query": pull_query,
    "pull-land": pull_land,
}
"""Steps that take more than their workspace."""


def perform(step: str, w: Workspace, candidate: str | None = None, given: Arguments = NOTHING) -> StepResult:
    """Run a step by name; ``train`` takes the candidate.

    Raises:
        SettingsError: the name is none, or the candidate is missing.
        Busy: another run trains this model.
    """
    if step in TAKING:
        return TAKING[step](w, given)
    if step == "train":
        if candidate is None:
            raise SettingsError("The step train needs a candidate.", remedy="Give --candidate NAME.")
        with lock.held(w):
            return train(w, candidate)
    with lock.held(w) if step in LEARNING else nullcontext():
        return STEPS[step](w)
