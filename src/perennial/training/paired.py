"""Two models on the same rows: how much better one is, and how far that may be chance.

Both are measured on the same bootstrap resamples of the rows (Efron, 1979), so that what makes a row easy or hard for
either cancels out; the percentiles of the differences bound the gain, and its p-value is their share beyond nought
(Davison & Hinkley, 1997, ch. 4). Beside it stands McNemar's exact test (1947) of which model is right more often.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import bdtr

from perennial.spec import LOWER_IS_BETTER, Task
from perennial.training.answers import Answers, Floats
from perennial.training.bootstrap import PERCENTILES, resample_count, resamples
from perennial.training.metrics import prepare

PAIRED_RESAMPLES = 1000


@dataclass(frozen=True)
class Paired:
    """The gain of a challenger over a champion, positive where it is better.

    ``low`` to ``high`` is its 95 % interval, ``bound`` the lower end of the one at the confidence asked for, and
    ``p_value`` two-sided; None where fewer than half of the resamples define the metric. ``mcnemar`` is None for a
    regression.
    """

    gain: float
    low: float | None
    high: float | None
    bound: float | None
    p_value: float | None
    mcnemar: float | None


def paired(
    metric: str, task: Task, champion: Answers, challenger: Answers, *, seed: int, confidence: float | None = None
) -> Paired:
    """Compare two models by a metric of ``spec.METRICS[task]``.

    Args:
        champion: what it answered, for the same rows and in the same order of classes as ``challenger``.
        seed: of the resamples.
        confidence: of the interval whose lower end is ``bound``; None asks for no bound.
    """
    sign = -1.0 if metric in LOWER_IS_BETTER else 1.0
    before, now = prepare(metric, task, champion), prepare(metric, task, challenger)

    def gains(weights: Floats) -> Floats:
        return sign * (now(weights) - before(weights))

    count = resample_count(challenger, PAIRED_RESAMPLES)
    drawn = np.concatenate([gains(weights) for weights in resamples(challenger.rows, seed, count)])
    gain = float(gains(np.ones((1, challenger.rows)))[0])
    right = None if task == "regression" else mcnemar(champion, challenger)
    finite = drawn[np.isfinite(drawn)]
    if len(finite) < len(drawn) / 2 or not np.isfinite(gain):
        return Paired(gain, None, None, None, None, right)
    low, high = np.percentile(finite, PERCENTILES)
    bound = None if confidence is None else float(np.percentile(finite, 50 * (1 - confidence)))
    return Paired(gain, float(low), float(high), bound, _p_value(finite), right)


def mcnemar(champion: Answers, challenger: Answers) -> float:
    """Two-sided exact p-value: of the rows that only one of the two answers rightly, how many each has."""
    before, now = champion.labels == champion.truth, challenger.labels == challenger.truth
    won, lost = int((now & ~before).sum()), int((before & ~now).sum())
    return min(1.0, 2.0 * float(bdtr(min(won, lost), won + lost, 0.5)))


def _p_value(drawn: Floats) -> float:
    """Two-sided; the resample that was measured counts as one more, so that it is never nought."""
    beyond = min(int((drawn <= 0).sum()), int((drawn >= 0).sum()))
    return min(1.0, 2.0 * (1 + beyond) / (1 + len(drawn)))
