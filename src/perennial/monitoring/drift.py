"""Drift: each feature of the window against the rows the champion was trained on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from perennial.datasets.arrow import numbers
from perennial.monitoring.baseline import Baseline
from perennial.monitoring.distances import Counts, Distance, Floats, kolmogorov_smirnov, total_variation, unlikely
from perennial.monitoring.results import DriftReport, FeatureDrift
from perennial.spec import CategoryFeature, Feature, ModelSpec

LEVEL = 0.01
"""How often any feature at all may be called moved by chance alone."""


@dataclass(frozen=True)
class _Judged:
    distance: Distance | None
    baseline_rows: int
    note: str = ""


def measure_drift(spec: ModelSpec, window: pa.Table, baseline: Baseline) -> DriftReport:
    """Judge every feature of the spec.

    A feature has moved where its distance reaches ``monitor.effect`` and is no chance (Holm over all features at
    ``LEVEL``); the dataset has drifted where more than ``retrain.drift_share`` of the judged features moved. The time
    column is not judged, since time always moves.

    Args:
        spec: today's spec; a feature that the champion does not have is not judged.
        window: rows with the features' columns as in ``arrow_schema(spec)``.
        baseline: the champion's training rows.
    """
    judged = {name: _judge(spec, name, feature, window, baseline) for name, feature in spec.features.items()}
    distances = {name: one.distance for name, one in judged.items() if one.distance is not None}
    no_chance = dict(zip(distances, unlikely([one.p_value for one in distances.values()], LEVEL), strict=True))
    features = tuple(
        FeatureDrift(
            feature=name,
            kind=spec.features[name].type,
            statistic="total_variation" if spec.features[name].type == "category" else "kolmogorov_smirnov",
            value=one.distance.value if one.distance else None,
            p_value=one.distance.p_value if one.distance else None,
            threshold=spec.monitor.effect,
            moved=_far(spec, one) and no_chance[name] if one.distance else None,
            baseline_rows=one.baseline_rows,
            window_rows=window.num_rows,
            note=one.note if no_chance.get(name, True) or not _far(spec, one) else _chance(one),
        )
        for name, one in judged.items()
    )
    return _report(spec, window.num_rows, baseline, features)


def _predictions(count: int) -> str:
    return f"{count:,} prediction" if count == 1 else f"{count:,} predictions"


def _far(spec: ModelSpec, one: _Judged) -> bool:
    return one.distance is not None and one.distance.value >= spec.monitor.effect


def _chance(one: _Judged) -> str:
    """Why a feature that is far from its baseline has not moved."""
    p_value = f" (p={one.distance.p_value:.2g})" if one.distance else ""
    return "; ".join(filter(None, [one.note, f"chance is not ruled out{p_value}"]))


def _report(spec: ModelSpec, rows: int, baseline: Baseline, features: tuple[FeatureDrift, ...]) -> DriftReport:
    needed, bound = spec.monitor.minimum_rows, spec.retrain.drift_share
    moved = [each.feature for each in features if each.moved]
    judged = sum(each.moved is not None for each in features)
    share = len(moved) / judged if judged else None
    status = "unknown" if share is None else "drift" if share > bound else "ok"
    if rows < needed:
        why = f"{_predictions(rows)} in the window, {needed:,} are needed"
    elif share is None:
        why = baseline.why or "no feature could be judged"
    else:
        verb = "is" if share > bound else "would be"
        why = f"{len(moved)} of {judged} features moved ({share:.0%}), drift {verb} more than {bound:.0%}"
        why += f": {', '.join(moved)}" if moved else ""
    return DriftReport.model_validate(
        {"status": status, "why": why, "rows": rows, "needed": needed, "judged": judged, "moved": len(moved),
         "share": share, "bound": bound, "features": features}
    )  # fmt: skip


def _judge(spec: ModelSpec, name: str, feature: Feature, window: pa.Table, baseline: Baseline) -> _Judged:
    rows, needed, was = baseline.rows.num_rows, spec.monitor.minimum_rows, baseline.features.get(name)
    if baseline.why:
        return _Judged(None, 0, baseline.why)
    if name == spec.time:
        return _Judged(None, rows, "the time column always moves")
    if was is None:
        return _Judged(None, 0, "the champion was trained without it")
    if was.type != feature.type:
        return _Judged(None, 0, f"the champion was trained with it as a {was.type}")
    if rows < needed:
        return _Judged(None, rows, f"the champion was trained on {rows:,} rows, {needed:,} are needed")
    if window.num_rows < needed:
        return _Judged(None, rows, f"{_predictions(window.num_rows)} in the window, {needed:,} are needed")
    now, before = window.column(name), baseline.rows.column(name)
    if isinstance(feature, CategoryFeature) and isinstance(was, CategoryFeature):
        values = pa.array(dict.fromkeys((*feature.values, *was.values)), pa.string())
        distance = total_variation(_counts(now, values), _counts(before, values))
    else:
        distance = kolmogorov_smirnov(_values(now), _values(before))
    return _Judged(distance, rows, _note(now, before))


def _counts(column: pa.ChunkedArray, values: pa.Array) -> Counts:
    """How often each value stands there, then any other, then none."""
    codes = pc.index_in(column, value_set=values).fill_null(len(values))
    codes = pc.if_else(column.is_null(), len(values) + 1, codes)
    return np.bincount(codes.to_numpy(), minlength=len(values) + 2).astype(np.int64)


def _values(column: pa.ChunkedArray) -> Floats:
    """A number, or a moment in microseconds, NaN for a missing one."""
    return numbers(column.cast(pa.int64()).cast(pa.float64(), safe=False)) if _is_date(column) else numbers(column)


def _is_date(column: pa.ChunkedArray) -> bool:
    return bool(pa.types.is_timestamp(column.type))


def _note(now: pa.ChunkedArray, before: pa.ChunkedArray) -> str:
    here, there = now.null_count == len(now), before.null_count == len(before)
    if here and there:
        return "always missing, as in training"
    return "always missing in the window" if here else "always missing in training" if there else ""
