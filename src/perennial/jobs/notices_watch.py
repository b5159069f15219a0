"""What people are told of a monitoring pass: drift and decay."""

from __future__ import annotations

from perennial.jobs.notices_words import listed, minute, paragraphs
from perennial.monitoring.results import MonitorReport
from perennial.notify import Notice
from perennial.spec import ModelSpec

SHOWN_FEATURES = 10


def of_report(spec: ModelSpec, report: MonitorReport) -> tuple[Notice, ...]:
    """What a pass found: drift and decay, each told once a week for one champion."""
    found = []
    if report.drift.status == "drift":
        found.append(_drifted(spec, report))
    if report.performance.status == "decay":
        found.append(_decayed(spec, report))
    return tuple(found)


def _drifted(spec: ModelSpec, report: MonitorReport) -> Notice:
    moved = sorted((one for one in report.drift.features if one.moved), key=lambda one: one.value or 0.0, reverse=True)
    lines = [
        f"{one.feature}: {one.value:.3f}, where {one.threshold:.3f} counts as moved"
        for one in moved
        if one.value is not None
    ]
    more = [f"and {len(lines) - SHOWN_FEATURES} more"] if len(lines) > SHOWN_FEATURES else []
    return Notice(
        model=spec.name,
        kind="drift",
        event=_weekly("drift", report),
        subject=f"{spec.name}: the data has drifted",
        text=paragraphs(
            report.drift.why,
            listed([*lines[:SHOWN_FEATURES], *more]),
            f"{report.drift.rows:,} predictions from {minute(report.since)} to {minute(report.until)} were looked at.",
            *_consequence(spec, report),
        ),
        at=report.until,
    )


def _decayed(spec: ModelSpec, report: MonitorReport) -> Notice:
    lines = [f"{one.metric}: {one.why}" for one in report.performance.metrics if one.verdict == "decay"]
    return Notice(
        model=spec.name,
        kind="decay",
        event=_weekly("decay", report),
        subject=f"{spec.name}: the champion's performance has decayed",
        text=paragraphs(
            report.performance.why,
            listed(lines),
            f"{report.performance.labels:,} true values of predictions from {minute(report.since)} to "
            f"{minute(report.until)} were looked at.",
            *_consequence(spec, report),
        ),
        at=report.until,
    )


def _weekly(kind: str, report: MonitorReport) -> str:
    year, week, _ = report.until.isocalendar()
    return f"{kind}-{report.champion or 'none'}-{year}-W{week:02d}"


def _consequence(spec: ModelSpec, report: MonitorReport) -> tuple[str, str]:
    if report.retrain:
        what = f"A training starts by itself: {'; '.join(report.reasons)}. Only the gate promotes what comes of it."
    else:
        what = f"No training starts by itself: {report.blocked or 'the spec gives no reason to (retrain)'}."
    back = f"If the champion is at fault: perennial rollback {spec.name}"
    return what, f"To train now: perennial cycle model.yaml --force\n{back}"
