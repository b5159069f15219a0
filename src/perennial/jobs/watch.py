"""The steps of a monitoring pass. None of them needs the training's turn: a pass looks on while a training runs.

What a step finds is stored once, under its run; a retry finds it there, and puts whatever file is still missing.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from perennial import keys
from perennial.jobs.results import StepResult
from perennial.jobs.state import find_result, result_of, step_key
from perennial.jobs.trial import LOOK, TrialResult, trial_check
from perennial.jobs.watch_files import keep_newest, publish_reports
from perennial.jobs.watched import CheckResult, Watched, plan
from perennial.jobs.workspace import Workspace
from perennial.monitoring.results import DriftReport, Finding, MonitorReport, PerformanceReport, QualityReport
from perennial.spec import canonical

if TYPE_CHECKING:
    from perennial.monitoring.rendering import Kind


class QualityResult(StepResult):
    """What was found, and the names of its HTML reports."""

    report: QualityReport
    html: tuple[str, ...] = ()


class DriftResult(StepResult):
    report: DriftReport
    html: tuple[str, ...] = ()


class PerformanceResult(StepResult):
    """``waiting`` counts the predictions that the next training would learn from, once it collects them.

    That is beside what the ``collected`` files hold that were there.
    """

    report: PerformanceReport
    waiting: int
    collected: int
    html: tuple[str, ...] = ()


class RetainResult(StepResult):
    """Passes whose files were removed; their summaries stay."""

    removed: tuple[str, ...]


class PassResult(MonitorReport, StepResult):
    """A whole pass, as it is kept."""


def monitor_check(w: Workspace, at: datetime | None = None) -> CheckResult:
    """Fix the window and the champion of this run's pass: of the time before ``at``, or before now."""
    found = plan(w, at)
    if found.champion is None or not found.batches:
        w.progress("no predictions in the window" if found.champion else "there is no champion to watch")
    return found


def monitor_quality(w: Workspace, *, seen: Watched | None = None, html: bool = True) -> QualityResult:
    """Whether the window can be relied on.

    Raises:
        NotFoundError: the pass was not begun by ``monitor-check``.
    """
    from perennial.monitoring.quality import measure_quality

    seen = seen or Watched(w)

    def compute() -> QualityResult:
        return QualityResult(report=measure_quality(w.spec, seen.window, seen.truth, seen.baseline))

    found = w.once(step_key(w, "monitor-quality"), QualityResult, compute)
    _put(w, seen, "quality", found.report)
    return found.model_copy(update={"html": _html(seen, "quality", None) if html else ()})


def monitor_drift(w: Workspace, *, seen: Watched | None = None, html: bool = True) -> DriftResult:
    """Which features have moved away from the champion's training data. Raises as :func:`monitor_quality`."""
    from perennial.monitoring.drift import measure_drift

    seen = seen or Watched(w)

    def compute() -> DriftResult:
        return DriftResult(report=measure_drift(w.spec, seen.window.rows, seen.baseline))

    found = w.once(step_key(w, "monitor-drift"), DriftResult, compute)
    _put(w, seen, "drift", found.report)
    return found.model_copy(update={"html": _html(seen, "drift", found.report) if html else ()})


def monitor_performance(w: Workspace, *, seen: Watched | None = None, html: bool = True) -> PerformanceResult:
    """How the champion does on what turned out true. Raises as :func:`monitor_quality`."""
    from perennial.jobs.waiting import collected_count, waiting
    from perennial.monitoring.performance import measure_performance, unmeasured

    seen = seen or Watched(w)

    def compute() -> PerformanceResult:
        champion = seen.champion
        if isinstance(champion, str):
            report = unmeasured(w.spec, champion)
        else:
            report = measure_performance(w.spec, champion, seen.truth)
        collected = collected_count(w)
        return PerformanceResult(report=report, waiting=waiting(w, seen.truth), collected=collected)

    found = w.once(step_key(w, "monitor-performance"), PerformanceResult, compute)
    _put(w, seen, "performance", found.report)
    return found.model_copy(update={"html": _html(seen, "performance", None) if html else ()})


def monitor_retain(w: Workspace) -> RetainResult:
    """Remove the files of all but the newest ``monitor.keep_reports`` passes, never those of this one.

    What cannot be removed is said; the next pass tries again.
    """
    return RetainResult(removed=keep_newest(w, Watched(w).plan.name))


def monitor_summary(w: Workspace) -> PassResult:
    """The whole pass with its decision, kept for ever, and on the site while its reports are.

    Raises:
        NotFoundError: a part of the pass is missing.
    """
    seen = Watched(w)
    key = keys.monitor_summary(w.spec.name, seen.plan.name)
    found = w.once(key, PassResult, lambda: _summary(w, seen))
    _put(w, seen, "monitor", found)
    publish_reports(w, found)
    return found


def run_pass(w: Workspace, *, at: datetime | None = None, html: bool = True) -> PassResult:
    """A whole pass in this process, the rows read once."""
    monitor_check(w, at)
    seen = Watched(w)
    monitor_quality(w, seen=seen, html=False)
    drift = monitor_drift(w, seen=seen, html=False)
    monitor_performance(w, seen=seen, html=False)
    if html:
        from perennial.jobs.watch_html import add_reports

        add_reports(seen, ("quality", "drift", "performance"), drift.report)
    trial_check(w, at)
    monitor_retain(w)
    return monitor_summary(w)


def _summary(w: Workspace, seen: Watched) -> PassResult:
    from perennial.jobs.signals import of_pass
    from perennial.jobs.waiting import collected_count, waiting
    from perennial.monitoring.decision import decide

    about = seen.plan
    quality = result_of(w, "monitor-quality", QualityResult).report
    drift = result_of(w, "monitor-drift", DriftResult).report
    performance = result_of(w, "monitor-performance", PerformanceResult)
    trial = find_result(w, LOOK, TrialResult)  # none where the pass was begun by an earlier release
    same = performance.collected == collected_count(w)  # a training may have collected what waited
    still = performance.waiting if same else waiting(w, seen.truth)
    decision = decide(w.spec.retrain, of_pass(w, drift, performance.report, still))
    folder = keys.monitor_file(w.spec.name, about.name, "")
    html = [entry.key.removeprefix(folder) for entry in w.store.list(folder) if entry.key.endswith(".html")]
    return PassResult(
        model=w.spec.name,
        run=about.name,
        since=about.since,
        until=about.until,
        champion=about.champion,
        generation=about.generation,
        rows=quality.rows,
        quality=quality,
        drift=drift,
        performance=performance.report,
        html=tuple(html),
        retrain=decision.retrain,
        reasons=decision.reasons,
        blocked=decision.blocked,
        trial=trial.report if trial else None,
    )


def _put(w: Workspace, seen: Watched, name: str, report: Finding) -> None:
    key = keys.monitor_file(w.spec.name, seen.plan.name, f"{name}.json")
    w.store.put_new(key, canonical(report.model_dump(mode="json")))


def _html(seen: Watched, kind: Kind, drift: DriftReport | None) -> tuple[str, ...]:
    from perennial.jobs.watch_html import add_reports

    return add_reports(seen, (kind,), drift)
