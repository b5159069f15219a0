"""The metrics a spec may name, each over many weightings of the same rows at once.

A bootstrap resample is a weighting: how often each row was drawn. A metric is therefore prepared once
for what a model answered (its sorting, its per-row losses), and then evaluated for a matrix of weights
[resamples, rows]. Weights of one give the metric itself. Definitions are scikit-learn's, with three
differences: what is undefined (one class only, no variance) is NaN instead of a warning; the multiclass
``roc_auc`` is the mean over the classes that have both positive and negative rows; ``brier_score`` and
the binary ``f1``, ``precision`` and ``recall`` are those of the last class.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perennial.serving.predictor import Scores
from perennial.spec import METRICS, Task

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Weighted = Callable[[Floats], Floats]
"""Weights [resamples, rows] -> the metric of each resample."""


@dataclass(frozen=True)
class Answers:
    """What was true and what a model answered, for n rows.

    ``truth`` holds class indices or values [n]; ``labels`` [n] and ``probabilities`` [n, classes] are empty
    for a regression, ``values`` [n] for a classification.
    """

    truth: Floats
    labels: Ints
    probabilities: Floats
    values: Floats

    @classmethod
    def of(cls, truth: Floats, scores: Scores) -> Answers:
        """Pair true values with what a predictor answered for the same rows."""
        if scores.values is not None:
            values = np.asarray(scores.values, dtype=np.float64).reshape(-1)
            return cls(truth, np.empty(0, dtype=np.int64), np.empty((0, 0)), values)
        assert scores.labels is not None and scores.probabilities is not None  # not a regression
        return cls(truth, scores.labels.astype(np.int64), scores.probabilities.astype(np.float64), np.empty(0))

    @property
    def rows(self) -> int:
        return len(self.truth)

    @property
    def classes(self) -> int:
        return int(self.probabilities.shape[1])

    def take(self, rows: NDArray[np.bool_] | Ints) -> Answers:
        """The answers of some of the rows, by mask or position."""
        return Answers(
            self.truth[rows],
            self.labels[rows] if len(self.labels) else self.labels,
            self.probabilities[rows] if len(self.probabilities) else self.probabilities,
            self.values[rows] if len(self.values) else self.values,
        )


def prepare(metric: str, task: Task, answers: Answers) -> Weighted:
    """A metric of ``spec.METRICS[task]``, ready for weights."""
    return _PREPARE[task][metric](answers)


def measure(metric: str, task: Task, answers: Answers) -> float:
    """The metric itself; NaN where it is undefined."""
    return float(prepare(metric, task, answers)(np.ones((1, answers.rows)))[0])


def measure_all(task: Task, answers: Answers) -> dict[str, float]:
    """Every metric of the task that is defined on these rows."""
    found = {name: measure(name, task, answers) for name in METRICS[task]}
    return {name: value for name, value in found.items() if np.isfinite(value)}


def _divide(above: Floats, below: Floats) -> Floats:
    """NaN where the divisor is nought."""
    found: Floats = np.divide(above, below, out=np.full(np.shape(above), np.nan), where=below != 0)
    return found


def _share(above: Floats, below: Floats) -> Floats:
    """Nought where the divisor is nought: a precision without predictions, as scikit-learn has it."""
    found: Floats = np.divide(above, below, out=np.zeros(np.shape(above)), where=below != 0)
    return found


def _mean_loss(losses: Floats) -> Weighted:
    return lambda weights: _divide(weights @ losses, weights.sum(axis=1))


def _accuracy(answers: Answers) -> Weighted:
    return _mean_loss((answers.labels == answers.truth).astype(np.float64))


def _log_loss(answers: Answers) -> Weighted:
    epsilon = np.finfo(np.float64).eps
    chosen = answers.probabilities[np.arange(answers.rows), answers.truth.astype(np.int64)]
    return _mean_loss(-np.log(np.clip(chosen, epsilon, 1 - epsilon)))


def _brier(answers: Answers) -> Weighted:
    return _mean_loss((answers.probabilities[:, -1] - (answers.truth == answers.classes - 1)) ** 2)


@dataclass(frozen=True)
class _Counts:
    """Per resample and class [resamples, classes]: rows of the class, rows predicted as it, rows that are both."""

    true: Floats
    predicted: Floats
    hits: Floats


def _counted(rule: Callable[[_Counts], Floats]) -> Callable[[Answers], Weighted]:
    """A metric that needs no more than the counts per class."""

    def prepared(answers: Answers) -> Weighted:
        identity = np.eye(answers.classes)
        true = identity[answers.truth.astype(np.int64)]
        predicted = identity[answers.labels]
        hits = true * predicted
        return lambda weights: rule(_Counts(weights @ true, weights @ predicted, weights @ hits))

    return prepared


def _precision(counts: _Counts) -> Floats:
    return _share(counts.hits, counts.predicted)


def _recall(counts: _Counts) -> Floats:
    return _share(counts.hits, counts.true)


def _f1(counts: _Counts) -> Floats:
    return _share(2 * counts.hits, counts.true + counts.predicted)


def _last(rule: Callable[[_Counts], Floats]) -> Callable[[_Counts], Floats]:
    return lambda counts: rule(counts)[:, -1]


def _macro(rule: Callable[[_Counts], Floats]) -> Callable[[_Counts], Floats]:
    """Mean over the classes that occur, as truth or as answer."""

    def mean(counts: _Counts) -> Floats:
        present = (counts.true + counts.predicted) > 0
        return _divide((rule(counts) * present).sum(axis=1), present.sum(axis=1).astype(np.float64))

    return mean


def _balanced_accuracy(counts: _Counts) -> Floats:
    present = counts.true > 0
    return _divide((_recall(counts) * present).sum(axis=1), present.sum(axis=1).astype(np.float64))


@dataclass(frozen=True)
class _Ranking:
    """Rows sorted by falling score; equal scores are one step of the curve."""

    order: Ints
    starts: Ints
    positive: Floats

    @classmethod
    def of(cls, score: Floats, positive: NDArray[np.bool_]) -> _Ranking:
        order = np.argsort(-score, kind="stable")
        ranked = score[order]
        starts = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]])
        return cls(order, starts, positive[order].astype(np.float64))

    def steps(self, weights: Floats) -> tuple[Floats, Floats]:
        """Weight of the positives and of the negatives within each step [resamples, steps]."""
        ranked = weights[:, self.order]
        positives = ranked * self.positive
        return (
            np.add.reduceat(positives, self.starts, axis=1),
            np.add.reduceat(ranked - positives, self.starts, axis=1),
        )


def _roc_auc_of(ranking: _Ranking) -> Weighted:
    """Share of pairs in which the positive row scores higher, ties counting half (the Mann-Whitney statistic)."""

    def auc(weights: Floats) -> Floats:
        positives, negatives = ranking.steps(weights)
        below = negatives.sum(axis=1, keepdims=True) - np.cumsum(negatives, axis=1)
        won = (positives * (below + negatives / 2)).sum(axis=1)
        return _divide(won, positives.sum(axis=1) * negatives.sum(axis=1))

    return auc


def _roc_auc_binary(answers: Answers) -> Weighted:
    return _roc_auc_of(_Ranking.of(answers.probabilities[:, -1], answers.truth == answers.classes - 1))


def _roc_auc_multiclass(answers: Answers) -> Weighted:
    """One class against the rest, averaged over the classes."""
    each = [_roc_auc_of(_Ranking.of(answers.probabilities[:, k], answers.truth == k)) for k in range(answers.classes)]

    def mean(weights: Floats) -> Floats:
        total, defined = np.zeros(len(weights)), np.zeros(len(weights))
        for auc in each:
            found = auc(weights)
            total += np.nan_to_num(found)
            defined += np.isfinite(found)
        return _divide(total, defined)

    return mean


def _average_precision(answers: Answers) -> Weighted:
    ranking = _Ranking.of(answers.probabilities[:, -1], answers.truth == answers.classes - 1)

    def area(weights: Floats) -> Floats:
        positives, negatives = ranking.steps(weights)
        found = np.cumsum(positives, axis=1)
        precision = _share(found, found + np.cumsum(negatives, axis=1))
        return _divide((positives * precision).sum(axis=1), positives.sum(axis=1))

    return area


def _absolute_error(answers: Answers) -> Weighted:
    return _mean_loss(np.abs(answers.truth - answers.values))


def _root_squared_error(answers: Answers) -> Weighted:
    mean = _mean_loss((answers.truth - answers.values) ** 2)
    return lambda weights: np.sqrt(mean(weights))


def _r2(answers: Answers) -> Weighted:
    centred = answers.truth - answers.truth.mean() if answers.rows else answers.truth
    errors = (answers.truth - answers.values) ** 2

    def share(weights: Floats) -> Floats:
        mean = _divide(weights @ centred, weights.sum(axis=1))
        spread = weights @ centred**2 - weights.sum(axis=1) * mean**2
        constant = spread <= 1e-12 * np.maximum(weights @ centred**2, np.finfo(np.float64).tiny)
        return np.where(constant, np.nan, 1 - _divide(weights @ errors, spread))

    return share


_PREPARE: dict[Task, dict[str, Callable[[Answers], Weighted]]] = {
    "binary": {
        "roc_auc": _roc_auc_binary,
        "average_precision": _average_precision,
        "accuracy": _accuracy,
        "balanced_accuracy": _counted(_balanced_accuracy),
        "f1": _counted(_last(_f1)),
        "precision": _counted(_last(_precision)),
        "recall": _counted(_last(_recall)),
        "log_loss": _log_loss,
        "brier_score": _brier,
    },
    "multiclass": {
        "roc_auc": _roc_auc_multiclass,
        "accuracy": _accuracy,
        "balanced_accuracy": _counted(_balanced_accuracy),
        "f1": _counted(_macro(_f1)),
        "precision": _counted(_macro(_precision)),
        "recall": _counted(_macro(_recall)),
        "log_loss": _log_loss,
    },
    "regression": {
        "mean_absolute_error": _absolute_error,
        "root_mean_squared_error": _root_squared_error,
        "r2": _r2,
    },
}
