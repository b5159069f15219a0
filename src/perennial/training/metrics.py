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

import numpy as np

from perennial.spec import METRICS, Task
from perennial.training import counts, ranking
from perennial.training.answers import Answers, Floats, Weighted, divide


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


def _mean_loss(losses: Floats) -> Weighted:
    return lambda weights: divide(weights @ losses, weights.sum(axis=1))


def _accuracy(answers: Answers) -> Weighted:
    return _mean_loss((answers.labels == answers.truth).astype(np.float64))


def _log_loss(answers: Answers) -> Weighted:
    epsilon = np.finfo(np.float64).eps
    chosen = answers.probabilities[np.arange(answers.rows), answers.truth.astype(np.int64)]
    return _mean_loss(-np.log(np.clip(chosen, epsilon, 1 - epsilon)))


def _brier(answers: Answers) -> Weighted:
    return _mean_loss((answers.probabilities[:, -1] - (answers.truth == answers.classes - 1)) ** 2)


def _absolute_error(answers: Answers) -> Weighted:
    return _mean_loss(np.abs(answers.truth - answers.values))


def _root_squared_error(answers: Answers) -> Weighted:
    mean = _mean_loss((answers.truth - answers.values) ** 2)
    return lambda weights: np.sqrt(mean(weights))


def _r2(answers: Answers) -> Weighted:
    centred = answers.truth - answers.truth.mean() if answers.rows else answers.truth
    errors = (answers.truth - answers.values) ** 2

    def share(weights: Floats) -> Floats:
        mean = divide(weights @ centred, weights.sum(axis=1))
        spread = weights @ centred**2 - weights.sum(axis=1) * mean**2
        constant = spread <= 1e-12 * np.maximum(weights @ centred**2, np.finfo(np.float64).tiny)
        return np.where(constant, np.nan, 1 - divide(weights @ errors, spread))

    return share


_PREPARE: dict[Task, dict[str, Callable[[Answers], Weighted]]] = {
    "binary": {
        "roc_auc": ranking.roc_auc_binary,
        "average_precision": ranking.average_precision,
        "accuracy": _accuracy,
        "balanced_accuracy": counts.counted(counts.balanced_accuracy),
        "f1": counts.counted(counts.last(counts.f1)),
        "precision": counts.counted(counts.last(counts.precision)),
        "recall": counts.counted(counts.last(counts.recall)),
        "log_loss": _log_loss,
        "brier_score": _brier,
    },
    "multiclass": {
        "roc_auc": ranking.roc_auc_multiclass,
        "accuracy": _accuracy,
        "balanced_accuracy": counts.counted(counts.balanced_accuracy),
        "f1": counts.counted(counts.macro(counts.f1)),
        "precision": counts.counted(counts.macro(counts.precision)),
        "recall": counts.counted(counts.macro(counts.recall)),
        "log_loss": _log_loss,
    },
    "regression": {
        "mean_absolute_error": _absolute_error,
        "root_mean_squared_error": _root_squared_error,
        "r2": _r2,
    },
}
