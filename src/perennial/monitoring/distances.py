"""How far two samples are apart, as an effect size from 0 to 1, and whether that could be chance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc, gammaln, kolmogorov

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
FEWEST_EXPECTED = 5.0


class Distance(NamedTuple):
    """``value`` 0 (alike) to 1 (nothing in common), and the probability of such a distance without any drift."""

    value: float
    p_value: float


def kolmogorov_smirnov(window: Floats, baseline: Floats) -> Distance:
    """The greatest difference between two cumulative distributions (Kolmogorov, Smirnov), by the exact samples.

    The p-value is asymptotic, with Stephens' correction for small samples (1970); ties make it larger, never smaller.
    NaN, a missing value, stands below every number: so its share counts too, and nothing is undefined.
    """
    window, baseline = np.sort(_below(window)), np.sort(_below(baseline))
    steps = np.concatenate([window, baseline])
    shares = [np.searchsorted(sample, steps, side="right") / len(sample) for sample in (window, baseline)]
    value = float(np.abs(shares[0] - shares[1]).max())
    root = np.sqrt(len(window) * len(baseline) / (len(window) + len(baseline)))
    return Distance(value, float(kolmogorov((root + 0.12 + 0.11 / root) * value)))


def total_variation(window: Counts, baseline: Counts) -> Distance:
    """Half the sum of the differences of shares, over the same categories, corrected for chance.

    A few rows spread over many categories differ from any baseline by chance alone. What is expected of two samples of
    these sizes from one distribution is taken off, as kappa does for agreement: 0 is what chance would give, 1 nothing
    in common. The p-value is Pearson's chi-squared, with rare categories put together until enough rows are expected of
    each group.
    """
    rows, of = int(window.sum()), int(baseline.sum())
    raw = float(np.abs(window / rows - baseline / of).sum() / 2)
    expected = _expected_variation((window + baseline) / (rows + of), rows, of)
    value = max(0.0, (raw - expected) / (1 - expected)) if expected < 1 else 0.0
    return Distance(value, _chi_squared(*_grouped(window, baseline)))


def unlikely(p_values: Sequence[float], level: float) -> list[bool]:
    """Which of several tests say that it is not chance, at most ``level`` being wrong in any of them (Holm, 1979)."""
    order = np.argsort(p_values, kind="stable")
    found = [False] * len(p_values)
    for rank, place in enumerate(order):
        if p_values[place] > level / (len(p_values) - rank):
            break
        found[place] = True
    return found


def _below(sample: Floats) -> Floats:
    return np.where(np.isnan(sample), -np.inf, sample)


def _expected_variation(shares: Floats, rows: int, of: int) -> float:
    """Of two samples without drift: the mean absolute deviation of Poisson counts (De Moivre's), also of rare ones."""
    size = rows * of / (rows + of)
    mean = shares[shares > 0] * size
    below = np.floor(mean)
    deviation = 2 * np.exp((below + 1) * np.log(mean) - mean - gammaln(below + 1))
    return float((deviation * np.sqrt(1 - mean / size)).sum() / size / 2)


def _grouped(window: Counts, baseline: Counts) -> tuple[Counts, Counts]:
    """Categories in groups that enough rows are expected of, from the commonest to the rarest of both together.

    Under no drift the sum says nothing of how a category is split between the two, so a choice by it is no bias;
    one by the baseline alone would be.
    """
    both = window + baseline
    order = np.argsort(-both, kind="stable")
    expected = both[order] * (min(window.sum(), baseline.sum()) / both.sum())
    groups, group, filled = np.zeros(len(order), np.int64), 0, 0.0
    for place, each in enumerate(expected):
        groups[place] = group
        filled += each
        if filled >= FEWEST_EXPECTED:
            group, filled = group + 1, 0.0
    if group:
        groups[groups == group] = group - 1  # what is left over joins the last whole group
    together = [np.bincount(groups, counts[order]).astype(np.int64) for counts in (window, baseline)]
    return together[0], together[1]


def _chi_squared(window: Counts, baseline: Counts) -> float:
    """The p-value that both samples are of one distribution."""
    both = np.stack([window, baseline]).astype(np.float64)
    both = both[:, both.sum(axis=0) > 0]
    if both.shape[1] < 2:
        return 1.0
    expected = both.sum(axis=1, keepdims=True) * both.sum(axis=0) / both.sum()
    return float(chdtrc(both.shape[1] - 1, ((both - expected) ** 2 / expected).sum()))
