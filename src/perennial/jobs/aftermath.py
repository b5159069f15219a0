"""What follows a result besides keeping it: people are told, the model's page and MLflow are brought up to date.

None of it may fail a run: what goes wrong here is said as progress, and the next result makes up for it.
"""

from __future__ import annotations

from collections.abc import Callable

from perennial.errors import PerennialError
from perennial.jobs import notices, page, tracking
from perennial.jobs.approval import ApprovalRequest
from perennial.jobs.results import OutcomeResult
from perennial.jobs.scoring_results import ScoringSummary
from perennial.jobs.scoring_summary import summary_key
from perennial.jobs.watch_files import is_known
from perennial.jobs.workspace import Workspace
from perennial.monitoring.results import MonitorReport, TrialReport
from perennial.registry.log import LogEntry


def after_outcome(w: Workspace, outcome: OutcomeResult) -> None:
    """A training has ended."""
    _follow(w, "the page was not published", lambda: page.publish(w))
    if outcome.trained:
        tracking.record_run(w)
    notice = notices.of_outcome(w, outcome)
    if notice is not None:
        notices.tell(w, notice)


def after_request(w: Workspace, request: ApprovalRequest) -> None:
    """A person is asked; the page that they are sent to shows both models."""
    _follow(w, "the page was not published", lambda: page.publish(w))
    notices.tell(w, notices.of_approval(w, request))


def after_report(w: Workspace, report: MonitorReport) -> None:
    """A monitoring pass has ended. A model that was never trained gets no page by being looked at."""
    _follow(w, "the page was not published", lambda: page.publish(w) if is_known(w) else None)
    for notice in notices.of_report(w.spec, report):
        notices.tell(w, notice)


def after_entry(w: Workspace, entry: LogEntry) -> None:
    """Somebody has moved the champion by hand, or has begun or ended a trial."""
    _follow(w, "the page was not published", lambda: page.publish(w))
    tracking.follow_champion(w)
    notices.tell(w, notices.of_entry(w.spec, entry))


def after_trial_stop(w: Workspace, report: TrialReport, generation: int) -> None:
    """A trial was stopped by itself, by the entry of that generation."""
    _follow(w, "the page was not published", lambda: page.publish(w))
    notices.tell(w, notices.of_trial_stopped(w.spec, report, generation))


def after_scoring(w: Workspace, summary: ScoringSummary) -> None:
    """A scheduled scoring has ended."""
    notice = notices.of_scoring(summary, summary_key(w))
    if notice is not None:
        notices.tell(w, notice)


def after_failure(w: Workspace, because: str) -> None:
    """A task of a run has failed for good; ``because`` begins with its name."""
    notices.tell(w, notices.of_failure(w, because.partition(":")[0].strip() or "a task", because))


def _follow(w: Workspace, problem: str, act: Callable[[], object]) -> None:
    if w.settings is None:
        return
    try:
        act()
    except PerennialError as error:
        w.progress(f"{problem}: {error}")
