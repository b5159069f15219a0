"""Whether to train a model again: a pure function of what is known, with its reasons.

It starts a training, never a promotion: that is the gate's affair.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from perennial.monitoring.results import DriftReport, Finding, PerformanceReport
from perennial.spec_policy import Retrain

Cause = Literal["manual", "schedule", "files", "monitor"]


class Signals(Finding):
    """What is known of a model when it is asked whether to train it.

    ``cause`` is what asks, and ``because`` the reasons it brings along. ``fresh_rows`` counts the labelled rows that no
    training has seen; ``trained_before`` says that there are none and the spec is the same. ``since_last`` is the time
    since the last training, None before the first. ``running`` is the run that trains this model now.
    """

    cause: Cause
    because: str = ""
    forced: bool = False
    first: bool = False
    trained_before: bool = False
    fresh_rows: int = 0
    drift: DriftReport | None = None
    performance: PerformanceReport | None = None
    since_last: timedelta | None = None
    running: str | None = None


class RetrainDecision(Finding):
    """``retrain`` with its ``reasons``; where there are reasons and it does not, ``blocked`` says why not."""

    retrain: bool
    reasons: tuple[str, ...]
    blocked: str | None = None


def decide(policy: Retrain, signals: Signals) -> RetrainDecision:
    """Decide by the spec's ``retrain``.

    A person is waited for by no cooldown. Without new rows there is nothing to learn: the same data, spec and seed
    give the same version, so neither drift nor decay starts a training then.
    """
    reasons = _reasons(policy, signals)
    blocked = _blocked(policy, signals) if reasons else None
    return RetrainDecision(retrain=bool(reasons) and blocked is None, reasons=reasons, blocked=blocked)


def _reasons(policy: Retrain, signals: Signals) -> tuple[str, ...]:
    found = []
    if signals.forced:
        found.append("it was asked for")
    if signals.because:
        found.append(signals.because)
    if signals.first:
        found.append("nothing has been trained yet")
    if signals.fresh_rows >= policy.new_rows:
        found.append(f"{signals.fresh_rows:,} new rows with their truth, at least {policy.new_rows:,} were waited for")
    if signals.drift is not None and signals.drift.status == "drift":
        found.append(f"drift: {signals.drift.why}")
    if signals.performance is not None and signals.performance.status == "decay":
        found.append(f"decay: {signals.performance.why}")
    if not found and signals.cause == "schedule":
        found.append("its schedule says so")
    if not found and signals.cause == "manual":
        found.append("this dataset and spec have not been trained on before")
    return tuple(found)


def _blocked(policy: Retrain, signals: Signals) -> str | None:
    if signals.running is not None:
        return f"run {signals.running} is training it"
    if signals.forced:
        return None
    if signals.trained_before:
        return "this dataset has been trained on with this spec before"
    if signals.cause == "manual" or signals.first or signals.since_last is None:
        return None
    since = abs(signals.since_last)  # a clock that was set back must not block for as long as that
    if since < policy.cooldown:
        return f"the last training was {_told(since)} ago, and the cooldown is {_told(policy.cooldown)}"
    return None


def _told(span: timedelta) -> str:
    """A span in the largest unit that leaves at least two of it."""
    seconds = int(span.total_seconds())
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} seconds"
