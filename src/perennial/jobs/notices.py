"""What people are told of a run: the words, and under which id each event is told once."""

from __future__ import annotations

import hashlib
import secrets
from datetime import UTC
from urllib.parse import quote, urljoin

from perennial.jobs.approval import NOBODY, ApprovalRequest
from perennial.jobs.notices_scoring import of_scoring
from perennial.jobs.notices_trial import of_trial, of_trial_stopped
from perennial.jobs.notices_watch import of_report
from perennial.jobs.notices_words import listed, minute, paragraphs
from perennial.jobs.results import OutcomeResult
from perennial.jobs.workspace import Workspace
from perennial.notify import Notice, Told, notify
from perennial.registry.log import LogEntry
from perennial.spec import ModelSpec

__all__ = [
    "of_approval", "of_entry", "of_failure", "of_outcome", "of_report", "of_scoring", "of_test", "of_trial_stopped",
    "tell",
]  # fmt: skip


def tell(w: Workspace, notice: Notice) -> Told:
    """Send a notice with a link to the model's page; what comes of it is said as progress. Never raises."""
    if w.settings is None:
        return Told(sent=False, note="Nobody is told: this run has a store alone.")
    if notice.link is None and w.settings.site_url:
        page = urljoin(w.settings.site_url, f"model.html#{quote(notice.model)}")
        notice = notice.model_copy(update={"link": page})
    told = notify(w.store, w.settings, w.spec.notify, notice, now=w.now(), by=secrets.token_hex(8))
    for line in (f"told by {name}: {notice.subject}" for name in told.channels):
        w.progress(line)
    for problem in told.problems:
        w.progress(f"notice not delivered: {problem}")
    return told


def of_outcome(w: Workspace, outcome: OutcomeResult) -> Notice | None:
    """How a training ended: promoted, rejected or rolled back; None where there is nothing to tell, or not yet."""
    if not outcome.trained or outcome.waiting:
        return None
    if outcome.smoke_failure is not None:
        return _smoke_failed(w, outcome)
    return _promoted(w, outcome) if outcome.promoted else _rejected(w, outcome)


def of_failure(w: Workspace, step: str, because: str) -> Notice:
    """A step of this run failed; of the same step and reason people are told once a day, however often it runs."""
    m, now = w.spec.name, w.now()
    reason = hashlib.sha256(because.encode(errors="replace")).hexdigest()[:12]
    return Notice(
        model=m,
        kind="failed",
        event=f"failed-{step}-{now.astimezone(UTC):%Y-%m-%d}-{reason}",
        subject=f"{m}: {step} failed in run {w.run}",
        text=paragraphs(
            f"The step {step} of run {w.run} failed:",
            because or "no reason was given",
            "The champion serves as before. Run the step again once the cause is mended: what the run has done already "
            "is kept, and a step that is repeated finds it.",
        ),
        at=now,
    )


def of_approval(w: Workspace, request: ApprovalRequest) -> Notice:
    """A person is asked whether a version may serve."""
    m, version = request.model, request.version
    against = f"against champion {request.champion}" if request.champion else "there is no champion yet"
    return Notice(
        model=m,
        kind="approval",
        event=f"approval-{version}",
        subject=request.subject,
        text=paragraphs(
            f"Version {version} of {m} passed the gate ({against}) and waits for a person until "
            f"{minute(request.until)}; without an answer it is rejected.",
            listed(request.reasons),
            f"Its card: {request.card}",
            f"To answer: in Airflow, or\n  perennial approve {m} {version}\n  perennial approve {m} {version} --reject",
        ),
        at=request.at,
        link=request.page,
    )


def of_entry(spec: ModelSpec, entry: LogEntry) -> Notice:
    """Somebody moved the champion by hand, the same event as where a run had done it; or began or ended a trial."""
    if not entry.moves:
        return of_trial(spec, entry)
    m, back = spec.name, entry.kind == "rollback"
    before = f"Before it served version {entry.previous}." if entry.previous else "It is the first to serve."
    return Notice(
        model=m,
        kind="rolled_back" if back else "promoted",
        event=f"{'rolled-back' if back else 'promoted'}-{entry.generation}-{entry.version}",
        subject=f"{m}: {'rolled back to' if back else 'promoted'} version {entry.version} by {entry.actor}",
        text=paragraphs(
            f"Version {entry.version} of {m} serves now, generation {entry.generation}. {before}",
            f"{entry.actor} says why: {entry.reason}" if entry.reason else "",
            f"To see how it came to that: perennial log {m}",
        ),
        at=entry.time,
    )


def of_test(w: Workspace) -> Notice:
    """A message that shows whether notices arrive."""
    m = w.spec.name
    return Notice(
        model=m,
        kind="test",
        event=f"test-{w.run}",
        subject=f"{m}: a test message",
        text=f"This is how you are told of promotions, rejections, drift, decay and failures of {m}.",
        at=w.now(),
    )


def _promoted(w: Workspace, outcome: OutcomeResult) -> Notice:
    m = outcome.model
    before = f"Before it served version {outcome.previous}." if outcome.previous else "It is the first to serve."
    back = f"To go back: perennial rollback {m}" if outcome.previous else ""
    return Notice(
        model=m,
        kind="promoted",
        event=f"promoted-{outcome.generation}-{outcome.version}",
        subject=f"{m}: version {outcome.version} was promoted",
        text=paragraphs(
            f"Version {outcome.version} ({outcome.candidate}) of {m} serves now, generation {outcome.generation}.",
            before,
            _training(outcome),
            listed(outcome.reasons),
            back,
        ),
        at=outcome.at or w.now(),
    )


def _rejected(w: Workspace, outcome: OutcomeResult) -> Notice:
    m = outcome.model
    if outcome.answered_by == NOBODY:
        who = "Nobody answered in time, which rejects it."
    elif outcome.answered_by:
        who = f"It passed the gate, and {outcome.answered_by} rejected it."
    else:
        who = "The gate turned it down." if outcome.failures else "It passed the gate, and was not promoted."
    return Notice(
        model=m,
        kind="rejected",
        event=f"rejected-{outcome.run}-{outcome.version}",
        subject=f"{m}: version {outcome.version} was rejected",
        text=paragraphs(
            f"Version {outcome.version} ({outcome.candidate}) of {m} does not serve. {who} The champion stays.",
            listed(outcome.failures or outcome.reasons),
            _training(outcome),
            f"To let it serve all the same: perennial promote {m} {outcome.version}",
        ),
        at=outcome.at or w.now(),
    )


def _smoke_failed(w: Workspace, outcome: OutcomeResult) -> Notice:
    """Rolled back by itself, or what is worse: not."""
    m, version, back = outcome.model, outcome.version, outcome.rolled_back
    now = f"Version {outcome.previous} serves again." if back else "It could not be rolled back: it may serve still."
    todo = f"To see why: perennial log {m}" if back else f"Look at once: perennial log {m}; perennial rollback {m}"
    return Notice(
        model=m,
        kind="rolled_back" if back else "failed",
        event=f"rolled-back-{outcome.run}" if back else f"failed-{outcome.run}-smoke",
        subject=f"{m}: version {version} was {'rolled back' if back else 'promoted and fails its smoke test'}",
        text=paragraphs(
            f"Version {version} of {m} was promoted and failed its smoke test. {now}",
            str(outcome.smoke_failure),
            _training(outcome),
            todo,
        ),
        at=outcome.at or w.now(),
    )


def _training(outcome: OutcomeResult) -> str:
    metrics = ", ".join(f"{name} {value:.4g}" for name, value in outcome.metrics.items())
    why = f", trained because {outcome.because}" if outcome.because else ""
    return f"Run {outcome.run} on dataset {outcome.dataset[:12]}{why}. On the holdout: {metrics or 'no metric'}."
