"""The data of the charts: what a model answered on the holdout, as points, bins and counts."""

from __future__ import annotations

import numpy as np

from perennial.training.answers import Answers, Floats
from perennial.training.evaluation import BarChart, Chart, Importance, MatrixChart, Series, XYChart
from perennial.training.metrics import measure

POINTS = 200
CLOUD = 500
BINS = 10
MAX_CURVES = 8
MAX_MATRIX = 30
MAX_BARS = 20


def classification_charts(answers: Answers, classes: tuple[str, ...]) -> list[Chart]:
    """ROC, precision-recall, confusion matrix and calibration; a chart that is undefined is left out."""
    binary = len(classes) == 2
    shown = [1] if binary else _shown(answers)
    found: list[Chart] = []
    if any(_both(answers.truth == k) for k in shown):
        found += [_roc(answers, classes, shown), _precision_recall(answers, classes, shown)]
    if len(classes) <= MAX_MATRIX:
        found.append(_confusion(answers, classes))
    found.append(_calibration(answers, classes[-1] if binary else None))
    return found


def regression_charts(answers: Answers, target: str, seed: int) -> list[Chart]:
    """Predicted against true, residuals, and calibration."""
    drawn = np.sort(np.random.default_rng(seed).permutation(answers.rows)[:CLOUD])
    truth, values = answers.truth[drawn], answers.values[drawn]
    low, high = float(min(truth.min(), values.min())), float(max(truth.max(), values.max()))
    cloud = f"{len(drawn):,} of {answers.rows:,} holdout rows"
    predicted = XYChart(
        name="predicted",
        title="Predicted against true",
        summary=f"{cloud}: points on the dashed line are predicted exactly.",
        x_label=f"true {target}",
        y_label=f"predicted {target}",
        square=True,
        series=(_series("exact", [low, high], [low, high], "reference"), _series("rows", truth, values, "points")),
    )
    residuals = XYChart(
        name="residuals",
        title="Residuals",
        summary=f"{cloud}: true less predicted value; above the dashed line the prediction was too low.",
        x_label=f"predicted {target}",
        y_label="true - predicted",
        series=(
            _series("exact", [float(values.min()), float(values.max())], [0.0, 0.0], "reference"),
            _series("rows", values, truth - values, "points"),
        ),
    )
    x, y, _ = _bins(answers.values, answers.truth)
    calibration = XYChart(
        name="calibration",
        title="Calibration",
        summary=f"Mean true value of {len(x)} equally large groups of rows, by their mean predicted value.",
        x_label=f"mean predicted {target}",
        y_label=f"mean true {target}",
        square=True,
        series=(_series("exact", [x[0], x[-1]], [x[0], x[-1]], "reference"), _series("groups of rows", x, y, "marked")),
    )
    return [predicted, residuals, calibration]


def importance_chart(found: tuple[Importance, ...], metric: str, rows: int) -> Chart:
    """The most important features."""
    top = found[:MAX_BARS]
    return BarChart(
        name="importance",
        title="Permutation importance",
        summary=f"How much worse {metric} gets on {rows:,} holdout rows when one feature's values are shuffled.",
        x_label=f"loss of {metric}",
        y_label="feature",
        labels=tuple(one.feature for one in top),
        values=tuple(_rounded(one.mean) for one in top),
        errors=tuple(_rounded(one.deviation) for one in top),
    )


def _roc(answers: Answers, classes: tuple[str, ...], shown: list[int]) -> Chart:
    series = [_series("chance", [0.0, 1.0], [0.0, 1.0], "reference")]
    for k in shown:
        positive = answers.truth == k
        if _both(positive):
            hits, misses = _steps(answers.probabilities[:, k], positive)
            x, y = np.r_[0.0, misses / misses[-1]], np.r_[0.0, hits / hits[-1]]
            series.append(_series(classes[k], *_thinned(x, y)))
    auc = measure("roc_auc", "binary" if len(classes) == 2 else "multiclass", answers)
    return XYChart(
        name="roc",
        title="ROC curve",
        summary=f"Found positives by false alarms as the threshold falls; the area is {auc:.4f}, chance is 0.5.",
        x_label="false positive rate",
        y_label="true positive rate",
        unit=True,
        square=True,
        series=tuple(series),
    )


def _precision_recall(answers: Answers, classes: tuple[str, ...], shown: list[int]) -> Chart:
    series = []
    for k in shown:
        positive = answers.truth == k
        if _both(positive):
            hits, misses = _steps(answers.probabilities[:, k], positive)
            series.append(_series(classes[k], *_thinned(hits / hits[-1], hits / (hits + misses))))
    if len(classes) == 2:
        share = float((answers.truth == 1).mean())
        series.insert(0, _series("share of positives", [0.0, 1.0], [share, share], "reference"))
    return XYChart(
        name="precision_recall",
        title="Precision and recall",
        summary="Share of alarms that are right by share of positives found, as the threshold falls.",
        x_label="recall",
        y_label="precision",
        unit=True,
        square=True,
        series=tuple(series),
    )


def _confusion(answers: Answers, classes: tuple[str, ...]) -> Chart:
    size = len(classes)
    cells = np.bincount(answers.truth.astype(np.int64) * size + answers.labels, minlength=size * size)
    right = int((answers.truth == answers.labels).sum())
    return MatrixChart(
        name="confusion",
        title="Confusion matrix",
        summary=f"Holdout rows by true and predicted class; {right:,} of {answers.rows:,} lie on the diagonal.",
        x_label="predicted",
        y_label="true",
        labels=classes,
        rows=tuple(tuple(int(cell) for cell in row) for row in cells.reshape(size, size)),
    )


def _calibration(answers: Answers, positive: str | None) -> Chart:
    """Binary: the positive class; multiclass: the class answered, whichever it is."""
    if positive is not None:
        score, hit = answers.probabilities[:, -1], answers.truth == answers.classes - 1
        labels = f"predicted probability of {positive}", f"observed share of {positive}"
    else:
        score, hit = answers.probabilities.max(axis=1), answers.labels == answers.truth
        labels = "probability of the predicted class", "share predicted rightly"
    x, y, _ = _bins(score, hit.astype(np.float64))
    return XYChart(
        name="calibration",
        title="Calibration",
        summary=f"Observed share in {len(x)} equally large groups of rows, by their mean predicted probability.",
        x_label=labels[0],
        y_label=labels[1],
        unit=True,
        square=True,
        series=(
            _series("exact", [0.0, 1.0], [0.0, 1.0], "reference"),
            _series("groups of rows", x, y, "marked"),
        ),
    )


def _shown(answers: Answers) -> list[int]:
    """The classes with most rows, in class order."""
    counts = np.bincount(answers.truth.astype(np.int64), minlength=answers.classes)
    return sorted(np.argsort(-counts, kind="stable")[:MAX_CURVES].tolist())


def _both(positive: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> bool:
    return bool(positive.any() and not positive.all())


def _steps(score: Floats, positive: Floats) -> tuple[Floats, Floats]:
    """Positives and negatives at or above each distinct score, from the highest down."""
    order = np.argsort(-score, kind="stable")
    ranked = score[order]
    ends = np.r_[np.flatnonzero(ranked[1:] != ranked[:-1]), len(ranked) - 1]
    hits = np.cumsum(positive[order])[ends].astype(np.float64)
    return hits, ends + 1.0 - hits


def _thinned(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """At most ``POINTS`` points of a curve, both ends included."""
    if len(x) <= POINTS:
        return x, y
    kept = np.unique(np.linspace(0, len(x) - 1, POINTS).round().astype(np.int64))
    return x[kept], y[kept]


def _bins(score: Floats, truth: Floats) -> tuple[Floats, Floats, Floats]:
    """Mean score, mean truth and rows of groups of equal size by score; equal scores stay in one group."""
    order = np.argsort(score, kind="stable")
    edges = np.unique(score[order][np.linspace(0, len(score) - 1, BINS + 1).round().astype(np.int64)])
    group = np.searchsorted(edges[1:-1], score, side="right") if len(edges) > 2 else np.zeros(len(score), np.int64)
    rows = np.bincount(group).astype(np.float64)
    filled = rows > 0
    means = [np.bincount(group, weights=values)[filled] / rows[filled] for values in (score, truth)]
    return means[0], means[1], rows[filled]


def _series(name: str, x: object, y: object, style: str = "line") -> Series:
    points = [tuple(_rounded(value) for value in np.asarray(axis, dtype=np.float64)) for axis in (x, y)]
    return Series.model_validate({"name": name, "x": points[0], "y": points[1], "style": style})


def _rounded(value: float) -> float:
    """Six significant digits: enough for a chart."""
    return float(f"{value:.6g}")
