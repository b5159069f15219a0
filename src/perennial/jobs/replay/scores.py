"""The two series of a replay, measured by the metrics of training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from perennial.serving.predictor import Prediction
from perennial.spec import ModelSpec
from perennial.training.answers import Answers
from perennial.training.metrics import measure, measure_all

Truth = str | float


@dataclass(frozen=True)
class Pair:
    """The truth of a row beside what was answered."""

    truth: Truth
    prediction: Prediction


def score_all(spec: ModelSpec, classes: Sequence[str], pairs: Sequence[Pair]) -> dict[str, float]:
    """Every metric of the task that is defined on these rows, by its scikit-learn name."""
    return measure_all(spec.task, answers_of(spec, classes, pairs)) if pairs else {}


def score(spec: ModelSpec, classes: Sequence[str], pairs: Sequence[Pair]) -> float | None:
    """The spec's metric; None where it is undefined."""
    if not pairs:
        return None
    value = measure(spec.metric, spec.task, answers_of(spec, classes, pairs))
    return value if np.isfinite(value) else None


def answers_of(spec: ModelSpec, classes: Sequence[str], pairs: Sequence[Pair]) -> Answers:
    """Rows as every metric takes them.

    Args:
        classes: all labels that occur, in the order of class indices; not looked at in a regression.
    """
    if spec.task == "regression":
        truth = np.array([pair.truth for pair in pairs], np.float64)
        values = np.array([pair.prediction.prediction for pair in pairs], np.float64)
        return Answers(truth, np.empty(0, np.int64), np.empty((0, 0)), values)
    index = {name: place for place, name in enumerate(classes)}
    chances = np.zeros((len(pairs), len(classes)))
    for row, pair in enumerate(pairs):
        for name, value in (pair.prediction.probabilities or {}).items():
            chances[row, index[name]] = value
    return Answers(
        truth=np.array([index[str(pair.truth)] for pair in pairs], np.float64),
        labels=np.array([index[str(pair.prediction.prediction)] for pair in pairs], np.int64),
        probabilities=chances,
        values=np.empty(0),
    )
