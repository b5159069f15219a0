"""Performance: how the champion does on what turned out true, with its uncertainty."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from perennial.datasets.arrow import numbers, target_values
from perennial.monitoring.observed import Labelled
from perennial.monitoring.results import MetricNow, PerformanceReport
from perennial.registry.manifest import Metric, ModelManifest
from perennial.spec import LOWER_IS_BETTER, METRICS, ModelSpec
from perennial.training.answers import Answers, Floats
from perennial.training.bootstrap import intervals

NEEDED = 200
"""Labels that are needed where the spec names no number."""
SEED = 0
Verdict = Literal["ok", "decay", "unknown"]


def unmeasured(spec: ModelSpec, why: str, version: str | None = None) -> PerformanceReport:
    """Nothing is known, and why."""
    return PerformanceReport(status="unknown", why=why, version=version, labels=0, needed=_needed(spec), metrics=())


def measure_performance(spec: ModelSpec, champion: ModelManifest, found: Labelled) -> PerformanceReport:
    """Measure the champion's own answers against the ground truth, with 95 % intervals.

    It has decayed where the whole interval of a metric lies beyond its bound (``retrain.performance``); on fewer labels
    than are needed nothing is said. Without a bound the holdout is what it is compared with, and no verdict follows.

    Args:
        spec: today's spec, whose bounds count.
        champion: the version that serves; predictions of any other are left out.
        found: labelled predictions.
    """
    needed, version = _needed(spec), champion.version
    if why := _of_another_kind(champion.spec, spec):
        return unmeasured(spec, f"{why}: train it again", version)
    answers, strange = _answers(champion, found)
    if answers.rows == 0:
        return unmeasured(spec, f"no prediction of {version} has its truth yet", version)
    bounds = spec.retrain.performance.bounds if spec.retrain.performance else {}
    values = intervals(champion.spec.task, answers, SEED)
    enough = answers.rows >= needed
    metrics = tuple(
        _metric(name, values.get(name), champion.metrics.get(name), bounds.get(name), enough)
        for name in METRICS[champion.spec.task]
    )
    status, why = _verdict(spec, metrics, bounds, answers.rows, needed)
    if strange:
        why += f"; {strange:,} labels are of classes it does not know"
    return PerformanceReport(
        status=status, why=why, version=version, labels=answers.rows, needed=needed, metrics=metrics
    )


def champions_own(champion: ModelManifest, found: Labelled) -> Labelled:
    """The predictions that this version made."""
    own = pc.equal(found.about.column("version"), champion.version)
    return replace(found, rows=found.rows.filter(own), about=found.about.filter(own))


def _of_another_kind(served: ModelSpec, spec: ModelSpec) -> str:
    """Why the ground truth of today's spec is none of this version's; empty where it is."""
    if served.task != spec.task:
        return f"its task is {served.task}, the spec's {spec.task}"
    if served.target.column != spec.target.column:
        return f"it predicts {served.target.column!r}, the spec asks for {spec.target.column!r}"
    return ""


def _needed(spec: ModelSpec) -> int:
    return spec.retrain.performance.labels if spec.retrain.performance else NEEDED


def _answers(champion: ModelManifest, found: Labelled) -> tuple[Answers, int]:
    """What the champion answered beside the truth, and how many truths are no class of its."""
    own = champions_own(champion, found)
    answers, sound = answered(champion, own.rows, own.about)
    strange = 0 if champion.spec.task == "regression" else int((~np.isfinite(answers.truth)).sum())
    return answers.take(sound), strange


def answered(of: ModelManifest, rows: pa.Table, about: pa.Table) -> tuple[Answers, NDArray[np.bool_]]:
    """What was answered beside the truth, row by row as in the tables, and in which rows both are whole.

    Args:
        of: a version with the classes of those that answered.
        rows: with the truth, as ``Labelled.rows``.
        about: with the answers, as ``Labelled.about``.
    """
    truth = target_values(rows, of.spec, of.classes)
    if of.spec.task == "regression":
        values = numbers(about.column("prediction"))
        answers = Answers(truth, np.empty(0, np.int64), np.empty((0, 0)), values)
        return answers, np.isfinite(truth) & np.isfinite(values)
    known = pa.array(of.classes, pa.string())
    labels = numbers(pc.index_in(about.column("prediction"), value_set=known).cast(pa.float64()))
    chances = _probabilities(about.column("probabilities"), known)
    sound = np.isfinite(truth) & np.isfinite(labels) & np.isfinite(chances).all(axis=1)
    return Answers(truth, np.nan_to_num(labels, nan=-1).astype(np.int64), chances, np.empty(0)), sound


def _probabilities(column: pa.ChunkedArray, classes: pa.Array) -> Floats:
    """Maps of class to probability as float64 [rows, classes], NaN where one is not given."""
    maps = column.combine_chunks()
    found = np.full((len(maps), len(classes)), np.nan)
    for chunk in maps.chunks if isinstance(maps, pa.ChunkedArray) else [maps]:
        places = pc.index_in(chunk.keys, value_set=classes)
        rows = np.repeat(np.arange(len(chunk)), np.diff(chunk.offsets.to_numpy()))
        known = places.is_valid().to_numpy(zero_copy_only=False)
        found[rows[known], places.drop_null().to_numpy()] = chunk.items.to_numpy(zero_copy_only=False)[known]
    return found


def _metric(name: str, now: Metric | None, holdout: Metric | None, bound: float | None, enough: bool) -> MetricNow:
    verdict: Verdict = "ok"
    if now is None:
        verdict, why = "unknown", "undefined on these labels"
    elif not enough:
        verdict, why = "unknown", "too few labels"
    elif bound is None:
        why = "no bound in retrain.performance"
    elif now.low is None or now.high is None:
        verdict, why = "unknown", "too few labels for an interval"
    elif now.low > bound if name in LOWER_IS_BETTER else now.high < bound:
        verdict, why = "decay", f"its whole interval is {_beyond(name)} the bound {bound:g}"
    else:
        why = f"its interval is not wholly {_beyond(name)} the bound {bound:g}"
    if now is not None and holdout is not None:
        why += f"; {abs(now.value - holdout.value):.4g} {_than(name, now.value, holdout.value)} than on the holdout"
    return MetricNow(
        metric=name,
        value=now.value if now else None,
        low=now.low if now else None,
        high=now.high if now else None,
        holdout=holdout.value if holdout else None,
        bound=bound,
        verdict=verdict,
        why=why,
    )


def _verdict(
    spec: ModelSpec, metrics: tuple[MetricNow, ...], bounds: dict[str, float], labels: int, needed: int
) -> tuple[Verdict, str]:
    if labels < needed:
        return "unknown", f"{labels:,} labels, {needed:,} are needed"
    judged = [one for one in metrics if one.metric in bounds] or [one for one in metrics if one.metric == spec.metric]
    told = "; ".join(_told(one) for one in judged)
    for verdict in ("decay", "unknown"):
        if any(one.verdict == verdict for one in judged):
            return verdict, f"{told} ({labels:,} labels)"
    return "ok", f"{told} ({labels:,} labels)"


def _told(one: MetricNow) -> str:
    if one.value is None:
        return f"{one.metric} is {one.why}"
    interval = f" ({one.low:.4g} to {one.high:.4g})" if one.low is not None and one.high is not None else ""
    return f"{one.metric} {one.value:.4g}{interval}: {one.why}"


def _beyond(name: str) -> str:
    return "above" if name in LOWER_IS_BETTER else "below"


def _than(name: str, now: float, before: float) -> str:
    return "better" if (now < before) == (name in LOWER_IS_BETTER) else "worse"
