"""Signs that a column tells the target rather than predicts it. Each is a warning: only the owner can know.

A single column is judged by what it predicts alone: the mean target (or commonest class) per value or per
hundredth of its range, learnt on a random half of the rows and measured on the other. A sum that makes up the target is
found by least squares whose residual vanishes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from perennial.spec import Task

TOO_GOOD = {"binary": 0.98, "multiclass": 0.97, "regression": 0.95}
MEASURE = {"binary": "ROC AUC", "multiclass": "accuracy above chance", "regression": "R²"}
FEWEST_ROWS = 50
MOST_ROWS = 20_000
BINS = 100

Floats = NDArray[np.float64]


def suspects(task: Task, target: str, y: Floats, features: Mapping[str, Floats]) -> dict[str, str]:
    """Column -> why it may leak, in one sentence without a full stop.

    ``y`` float64 [rows] is the class index or the value, NaN where the target is missing; each feature is
    float64 [rows], codes for categories, NaN where missing.
    """
    found: dict[str, str] = {}
    wanted = _words(target)
    for name in features:
        if wanted and wanted <= _words(name):
            found[name] = "its name contains the target's"
    known = np.flatnonzero(~np.isnan(y))
    known = np.random.default_rng(0).permutation(known)[:MOST_ROWS]  # seeded: a draft is the same each time
    if len(known) < FEWEST_ROWS:
        return found
    y = y[known]
    picked = {name: values[known] for name, values in features.items()}
    for name, values in picked.items():
        score = _alone(task, y, values)
        if score >= TOO_GOOD[task]:
            found[name] = f"alone it predicts the target almost perfectly ({MEASURE[task]} {score:.3f})"
    if task == "regression":
        summands = exact_sum(y, picked)
        for name in summands:
            found[name] = f"{_formula(summands)} gives {target} exactly"
    return found


def exact_sum(y: Floats, features: Mapping[str, Floats]) -> dict[str, float]:
    """The fewest columns whose weighted sum, plus a constant, is ``y`` on every complete row: column -> weight.

    Empty where there is none. Columns are dropped one by one as long as the least-squares residual stays nil.
    """
    names = [name for name, values in features.items() if np.isfinite(values).all() and np.ptp(values) > 0]
    if len(y) < 2 * len(names) + 10 or not names or np.ptp(y) == 0:
        return {}
    x = np.column_stack([features[name] for name in names])
    if not _is_exact(x, y):
        return {}
    for name in list(names):
        rest = [i for i, other in enumerate(names) if other != name]
        if rest and _is_exact(x[:, rest], y):
            names, x = [names[i] for i in rest], x[:, rest]
    return dict(zip(names, _weights(x, y)[:-1].tolist(), strict=True))


def _alone(task: Task, y: Floats, values: Floats) -> float:
    """How well one column of shuffled rows predicts the target, out of sample: AUC, accuracy above chance, or R²."""
    bins = _bins(values)
    learnt, asked = slice(0, len(y) // 2), slice(len(y) // 2, None)
    if task == "multiclass":
        return _accuracy_gain(bins[learnt], y[learnt], bins[asked], y[asked])
    count = np.bincount(bins[learnt], minlength=bins.max() + 1)
    total = np.bincount(bins[learnt], weights=y[learnt], minlength=bins.max() + 1)
    overall = float(y[learnt].mean())
    mean = (total + overall) / (count + 1.0)
    guess, truth = mean[bins[asked]], y[asked]
    if task == "binary":
        return _auc(guess, truth)
    spread = float(((truth - truth.mean()) ** 2).sum())
    return 1.0 - float(((truth - guess) ** 2).sum()) / spread if spread else 0.0


def _bins(values: Floats) -> NDArray[np.int64]:
    """Few distinct values: one bin each; many: hundredths by rank. Missing is a bin of its own."""
    missing = np.isnan(values)
    distinct = np.unique(values[~missing])
    if len(distinct) > BINS:
        distinct = np.unique(np.quantile(values[~missing], np.linspace(0, 1, BINS + 1)[1:-1]))
    bins = np.searchsorted(distinct, values, side="left").astype(np.int64)
    bins[missing] = len(distinct) + 1
    return bins


def _auc(scores: Floats, truth: Floats) -> float:
    """ROC AUC by mean ranks (Mann-Whitney); 0.5 where one class is absent."""
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2.0)[inverse]
    positives = float(truth.sum())
    negatives = len(truth) - positives
    if not positives or not negatives:
        return 0.5
    return float((ranks[truth == 1].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def _accuracy_gain(bins: NDArray[np.int64], y: Floats, asked: NDArray[np.int64], truth: Floats) -> float:
    classes = int(max(y.max(), truth.max())) + 1
    width = int(max(bins.max(), asked.max())) + 1
    votes = np.bincount(bins * classes + y.astype(np.int64), minlength=width * classes).reshape(width, classes)
    right = float((votes.argmax(axis=1)[asked] == truth).mean())
    chance = float(np.bincount(truth.astype(np.int64)).max() / len(truth))
    return (right - chance) / (1.0 - chance) if chance < 1 else 0.0


def _is_exact(x: Floats, y: Floats) -> bool:
    weights = _weights(x, y)
    residual = np.abs(x @ weights[:-1] + weights[-1] - y).max()
    return bool(residual <= 1e-7 * max(float(np.abs(y).max()), float(np.ptp(y))))


def _weights(x: Floats, y: Floats) -> Floats:
    """Least squares with a constant (last), on columns scaled to comparable size."""
    scale = np.abs(x).max(axis=0)
    design = np.column_stack([x / scale, np.ones(len(y))])
    weights = np.linalg.lstsq(design, y, rcond=None)[0]
    return np.asarray(weights / np.append(scale, 1.0))


def _formula(weights: Mapping[str, float]) -> str:
    terms = [name if abs(weight - 1) < 1e-6 else f"{weight:.6g} x {name}" for name, weight in weights.items()]
    return " + ".join(terms)


def _words(name: str) -> frozenset[str]:
    spaced = re.sub(r"([a-z])([A-Z])", r"\1 \2", name)
    return frozenset(re.findall(r"[a-z0-9]+", spaced.lower()))
