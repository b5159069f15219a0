"""What a model answered for rows whose truth is known: what every metric is made from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perennial.serving.predictor import Scores

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


def divide(above: Floats, below: Floats) -> Floats:
    """NaN where the divisor is nought."""
    found: Floats = np.divide(above, below, out=np.full(np.shape(above), np.nan), where=below != 0)
    return found


def share(above: Floats, below: Floats) -> Floats:
    """Nought where the divisor is nought: a precision without predictions, as scikit-learn has it."""
    found: Floats = np.divide(above, below, out=np.zeros(np.shape(above)), where=below != 0)
    return found
