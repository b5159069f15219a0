"""Quality: whether what was captured in a window can be relied on, and whether its values are what they should be."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from perennial.datasets.arrow import numbers
from perennial.monitoring.baseline import Baseline
from perennial.monitoring.observed import Labelled, Observed
from perennial.monitoring.results import FeatureQuality, QualityReport
from perennial.spec import CategoryFeature, Feature, ModelSpec, NumberFeature

TOLERATED = 0.01
"""Share of predictions lost, values out of range, or labels that do not fit, from which it is a problem."""
_LIMIT = f"more than {TOLERATED:.0%} is a problem"


def measure_quality(spec: ModelSpec, seen: Observed, found: Labelled, baseline: Baseline) -> QualityReport:
    """Look at a window.

    A problem is named where predictions were lost on the way, values are out of the spec's range, labels contradict
    each other or have no prediction; and where a feature is missing or unseen more often than in training by at least
    ``monitor.effect``, which takes ``monitor.minimum_rows`` rows to say.

    Args:
        spec: today's spec.
        seen: the window's predictions.
        found: those of the window whose truth is known.
        baseline: the champion's training rows, for the share of missing values.
    """
    features = tuple(_feature(name, feature, seen.rows, baseline) for name, feature in spec.features.items())
    labels, told = found.rows.num_rows, found.rows.num_rows + found.unmatched
    reasons = [
        f"{reason} ({share:.1%}, {_LIMIT})"
        for share, reason in (
            (_share(seen.lost, seen.total + seen.lost), f"{_predictions(seen.lost)} lost before being stored"),
            (_share(found.contradicted, labels), f"{_predictions(found.contradicted)} told different truths"),
            (
                _share(found.unmatched, told) if spec.monitor.capture == 1 else 0.0,
                f"{found.unmatched:,} labels are of predictions that were not captured",
            ),
        )
        if share > TOLERATED
    ]
    if seen.total:
        reasons += [reason for each in features for reason in _reasons(spec, each, seen.rows, baseline)]
    else:
        reasons.append("there are no predictions in the window")
    return QualityReport(
        status="unknown" if not seen.total else "problems" if reasons else "ok",
        reasons=tuple(reasons),
        rows=seen.total,
        served=seen.served,
        lost=seen.lost,
        duplicates=seen.duplicates,
        labels=labels,
        unmatched_labels=found.unmatched,
        contradicted=found.contradicted,
        features=features,
    )


def _feature(name: str, feature: Feature, rows: pa.Table, baseline: Baseline) -> FeatureQuality:
    column = rows.column(name)
    return FeatureQuality(
        feature=name,
        missing=_share(column.null_count, len(column)),
        baseline_missing=_missing_before(name, feature, baseline),
        out_of_range=_share(_out_of_range(column, feature), len(column)),
        unseen=_share(_unseen(column, feature), len(column)),
    )


def _reasons(spec: ModelSpec, one: FeatureQuality, rows: pa.Table, baseline: Baseline) -> list[str]:
    found = []
    if one.out_of_range > TOLERATED:
        found.append(f"{one.feature}: {one.out_of_range:.1%} of the values are out of the spec's range ({_LIMIT})")
    limit = f"{spec.monitor.effect:.0%} or more above training is a problem"
    if rows.num_rows < spec.monitor.minimum_rows or one.baseline_missing is None:
        return found
    if one.missing - one.baseline_missing >= spec.monitor.effect:
        found.append(f"{one.feature}: {one.missing:.0%} are missing, in training {one.baseline_missing:.0%} ({limit})")
    was = _unseen(baseline.rows.column(one.feature), spec.features[one.feature]) / baseline.rows.num_rows
    if one.unseen - was >= spec.monitor.effect:
        found.append(
            f"{one.feature}: {one.unseen:.0%} are values the spec does not name, in training {was:.0%} ({limit})"
        )
    return found


def _missing_before(name: str, feature: Feature, baseline: Baseline) -> float | None:
    was = baseline.features.get(name)
    if was is None or was.type != feature.type or not baseline.rows.num_rows:
        return None
    return _share(baseline.rows.column(name).null_count, baseline.rows.num_rows)


def _out_of_range(column: pa.ChunkedArray, feature: Feature) -> int:
    if not isinstance(feature, NumberFeature):
        return 0
    values = numbers(column)
    low = -np.inf if feature.min is None else feature.min
    high = np.inf if feature.max is None else feature.max
    broken = (values < low) | (values > high)
    if feature.integer:
        broken |= values != np.floor(values)
    return int((broken & ~np.isnan(values)).sum())


def _unseen(column: pa.ChunkedArray, feature: Feature) -> int:
    if not isinstance(feature, CategoryFeature):
        return 0
    known = pc.is_in(column, value_set=pa.array(feature.values, pa.string()))
    seen: int = pc.sum(known).as_py() or 0
    return len(column) - int(column.null_count) - seen


def _predictions(count: int) -> str:
    return "1 prediction was" if count == 1 else f"{count:,} predictions were"


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
