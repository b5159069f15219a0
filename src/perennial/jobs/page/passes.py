"""The monitoring passes of a model, turned into columns that a chart can draw."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from perennial import keys
from perennial.jobs.page.data import FeatureHistory, MetricHistory, PassView
from perennial.jobs.page.read import read_all, read_model
from perennial.monitoring.results import FeatureQuality, MonitorReport, TrialReport
from perennial.spec import LOWER_IS_BETTER
from perennial.store import Store

PASSES = 200
REPORT = ".html"


@dataclass(frozen=True)
class Passes:
    """What the page says of monitoring. Passes and columns: oldest first; ``quality`` is the newest pass's."""

    views: tuple[PassView, ...]
    quality: tuple[FeatureQuality, ...]
    drift: tuple[FeatureHistory, ...]
    performance: tuple[MetricHistory, ...]
    tried: TrialReport | None
    left_out: tuple[str, ...]


def passes(store: Store, m: str) -> Passes:
    """The newest passes of a model.

    Raises:
        StoreUnavailable: S3 does not answer; a summary that is damaged is left out and named.
    """
    summaries = [entry.key for entry in store.list(keys.monitor_history(m))][-PASSES:]
    found = read_all(summaries, lambda key: read_model(store, key, MonitorReport))
    reports = sorted(found.values.values(), key=lambda report: (report.until, report.run))
    html = reports_of(entry.key for entry in store.list(keys.monitor_runs(m)))
    return Passes(
        views=tuple(_view(report, html.get(report.run, frozenset())) for report in reports),
        quality=reports[-1].quality.features if reports else (),
        drift=tuple(_drift(feature, reports) for feature in _features(reports)),
        performance=tuple(_performance(metric, reports) for metric in _metrics(reports)),
        tried=reports[-1].trial if reports else None,
        left_out=found.left_out,
    )


def reports_of(listed: Iterable[str]) -> Mapping[str, frozenset[str]]:
    """The names of the HTML reports among keys, by the folder they stand in: the run."""
    found: dict[str, set[str]] = {}
    for key in listed:
        path = PurePosixPath(key)
        if path.suffix == REPORT:
            found.setdefault(path.parent.name, set()).add(path.name)
    return {run: frozenset(names) for run, names in found.items()}


def _view(report: MonitorReport, kept: frozenset[str]) -> PassView:
    quality, drift, performance = report.quality, report.drift, report.performance
    return PassView(
        run=report.run,
        since=report.since,
        until=report.until,
        champion=report.champion,
        measured=performance.version,
        rows=report.rows,
        served=quality.served,
        lost=quality.lost,
        duplicates=quality.duplicates,
        labels=quality.labels,
        unmatched_labels=quality.unmatched_labels,
        contradicted=quality.contradicted,
        quality=quality.status,
        quality_reasons=quality.reasons,
        drift=drift.status,
        drift_why=drift.why,
        drift_share=drift.share,
        drift_bound=drift.bound,
        drift_moved=drift.moved,
        drift_judged=drift.judged,
        performance=performance.status,
        performance_why=performance.why,
        needed=performance.needed,
        retrain=report.retrain,
        reasons=report.reasons,
        blocked=report.blocked,
        html=tuple(sorted(kept)),
    )


def _features(reports: list[MonitorReport]) -> list[str]:
    """Features that any pass judged, in the order of the newest."""
    return list(dict.fromkeys(found.feature for report in reversed(reports) for found in report.drift.features))


def _drift(feature: str, reports: list[MonitorReport]) -> FeatureHistory:
    column = [next((one for one in report.drift.features if one.feature == feature), None) for report in reports]
    newest = next(one for one in reversed(column) if one is not None)
    return FeatureHistory(
        feature=feature,
        kind=newest.kind,
        statistic=newest.statistic,
        threshold=newest.threshold,
        baseline_rows=newest.baseline_rows,
        window_rows=newest.window_rows,
        note=newest.note,
        value=tuple(one.value if one else None for one in column),
        p_value=tuple(one.p_value if one else None for one in column),
        moved=tuple(one.moved if one else None for one in column),
    )


def _metrics(reports: list[MonitorReport]) -> list[str]:
    return list(dict.fromkeys(found.metric for report in reversed(reports) for found in report.performance.metrics))


def _performance(metric: str, reports: list[MonitorReport]) -> MetricHistory:
    column = [next((one for one in report.performance.metrics if one.metric == metric), None) for report in reports]
    newest = next(one for one in reversed(column) if one is not None)
    return MetricHistory(
        metric=metric,
        lower_is_better=metric in LOWER_IS_BETTER,
        why=newest.why,
        value=tuple(one.value if one else None for one in column),
        low=tuple(one.low if one else None for one in column),
        high=tuple(one.high if one else None for one in column),
        holdout=tuple(one.holdout if one else None for one in column),
        bound=tuple(one.bound if one else None for one in column),
        verdict=tuple(one.verdict if one else None for one in column),
    )
