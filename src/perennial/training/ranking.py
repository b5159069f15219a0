"""Metrics of how a model ranks rows: areas under the ROC and the precision-recall curve."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perennial.training.answers import Answers, Floats, Ints, Weighted, divide, share


@dataclass(frozen=True)
class Ranking:
    """Rows sorted by falling score; equal scores are one step of the curve."""

    order: Ints
    starts: Ints
    positive: Floats

    @classmethod
    def of(cls, score: Floats, positive: NDArray[np.bool_]) -> Ranking:
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


def _roc_auc_of(ranking: Ranking) -> Weighted:
    """Share of pairs in which the positive row scores higher, ties counting half (the Mann-Whitney statistic)."""

    def auc(weights: Floats) -> Floats:
        positives, negatives = ranking.steps(weights)
        below = negatives.sum(axis=1, keepdims=True) - np.cumsum(negatives, axis=1)
        won = (positives * (below + negatives / 2)).sum(axis=1)
        return divide(won, positives.sum(axis=1) * negatives.sum(axis=1))

    return auc


def roc_auc_binary(answers: Answers) -> Weighted:
    return _roc_auc_of(Ranking.of(answers.probabilities[:, -1], answers.truth == answers.classes - 1))


def roc_auc_multiclass(answers: Answers) -> Weighted:
    """One class against the rest, averaged over the classes."""
    each = [_roc_auc_of(Ranking.of(answers.probabilities[:, k], answers.truth == k)) for k in range(answers.classes)]

    def mean(weights: Floats) -> Floats:
        total, defined = np.zeros(len(weights)), np.zeros(len(weights))
        for auc in each:
            found = auc(weights)
            total += np.nan_to_num(found)
            defined += np.isfinite(found)
        return divide(total, defined)

    return mean


def average_precision(answers: Answers) -> Weighted:
    ranking = Ranking.of(answers.probabilities[:, -1], answers.truth == answers.classes - 1)

    def area(weights: Floats) -> Floats:
        positives, negatives = ranking.steps(weights)
        found = np.cumsum(positives, axis=1)
        precision = share(found, found + np.cumsum(negatives, axis=1))
        return divide((positives * precision).sum(axis=1), positives.sum(axis=1))

    return area
