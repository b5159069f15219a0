"""Metrics that need no more than the rows of each class, the rows predicted as it, and the rows that are both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from perennial.training.answers import Answers, Floats, Ints, Weighted, divide, share


@dataclass(frozen=True)
class Counts:
    """Per resample and class [resamples, classes]: rows of the class, rows predicted as it, rows that are both."""

    true: Floats
    predicted: Floats
    hits: Floats


def counted(rule: Callable[[Counts], Floats]) -> Callable[[Answers], Weighted]:
    """A metric that needs no more than the counts per class."""

    def prepared(answers: Answers) -> Weighted:
        true, predicted = answers.truth.astype(np.int64), answers.labels
        hit = np.flatnonzero(true == predicted)

        def count(places: Ints, weights: Floats) -> Floats:
            return np.array([np.bincount(places, weights=row, minlength=answers.classes) for row in weights])

        return lambda weights: rule(
            Counts(count(true, weights), count(predicted, weights), count(true[hit], weights[:, hit]))
        )

    return prepared


def precision(counts: Counts) -> Floats:
    return share(counts.hits, counts.predicted)


def recall(counts: Counts) -> Floats:
    return share(counts.hits, counts.true)


def f1(counts: Counts) -> Floats:
    return share(2 * counts.hits, counts.true + counts.predicted)


def last(rule: Callable[[Counts], Floats]) -> Callable[[Counts], Floats]:
    return lambda counts: rule(counts)[:, -1]


def macro(rule: Callable[[Counts], Floats]) -> Callable[[Counts], Floats]:
    """Mean over the classes that occur, as truth or as answer."""

    def mean(counts: Counts) -> Floats:
        present = (counts.true + counts.predicted) > 0
        return divide((rule(counts) * present).sum(axis=1), present.sum(axis=1).astype(np.float64))

    return mean


def balanced_accuracy(counts: Counts) -> Floats:
    present = counts.true > 0
    return divide((recall(counts) * present).sum(axis=1), present.sum(axis=1).astype(np.float64))
