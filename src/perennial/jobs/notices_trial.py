"""What people are told of a trial: that it began, that it ended, and that it was stopped by itself."""

from __future__ import annotations

from perennial.jobs.notices_words import listed, minute, paragraphs
from perennial.monitoring.results import TrialReport
from perennial.notify import Notice
from perennial.registry.entries import LogEntry, Trial
from perennial.spec import ModelSpec


def of_trial(spec: ModelSpec, entry: LogEntry) -> Notice:
    """Somebody began, changed or ended a trial."""
    m, trial = spec.name, entry.trial
    if trial is None:
        subject, what = f"{m}: the trial was ended by {entry.actor}", f"Champion {entry.version} of {m} serves alone."
    else:
        subject = f"{m}: version {trial.version} is on trial, by {entry.actor}"
        what = f"Version {trial.version} of {m} {doing(trial)}, beside champion {entry.version}."
    return Notice(
        model=m,
        kind="trial",
        event=f"trial-{entry.generation}",
        subject=subject,
        text=paragraphs(
            what,
            f"{entry.actor} says why: {entry.reason}" if entry.reason else "",
            f"To see how it goes: perennial trial {m}" if trial else f"To see what was tried: perennial log {m}",
        ),
        at=entry.time,
    )


def of_trial_stopped(spec: ModelSpec, report: TrialReport, generation: int) -> Notice:
    """A bound of the spec was broken; ``generation`` is the entry's that ended the trial."""
    m, trial = spec.name, report.trial
    return Notice(
        model=m,
        kind="trial",
        event=f"trial-{generation}",
        subject=f"{m}: the trial of version {trial.version} was stopped",
        text=paragraphs(
            f"Champion {report.champion} of {m} serves alone again. Version {trial.version} did not keep its bounds:",
            listed(report.reasons),
            f"{report.rows:,} predictions from {minute(report.since)} to {minute(report.until)} were looked at.",
            f"To see what was tried: perennial log {m}",
        ),
        at=report.until,
    )


def doing(trial: Trial) -> str:
    """What a challenger does, in words."""
    if trial.mode == "shadow":
        return "looks at every request and answers none"
    return f"answers {100 * trial.share:.3g} % of the callers"
