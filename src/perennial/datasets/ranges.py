"""The range of numbers a draft accepts: what was seen, and room for what was not.

A short scale without gaps is taken to end where its last value was seen often; any other end is moved
outwards, far where the values have a long tail. Where rows have a time, a value counts as seen only if it was
seen in the earlier half already, and a column that grows with time has no bound on that side.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

import numpy as np
from numpy.typing import NDArray

FEW = 10
RARE_SHARE = 0.001
LONGEST_SCALE = 31
MARGIN = 0.5
TAIL_MARGIN = 2.0
GROWTH = 0.9

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Range:
    """Inclusive bounds, None where there is none; ``note`` says what the owner should know."""

    low: float | None
    high: float | None
    note: str = ""


def judge_range(seen: Floats, *, integer: bool, by_time: Floats | None = None) -> Range:
    """The range of ``seen``, float64 without NaN, at least one value.

    ``by_time`` float64 [rows] are the same values in the order of time, with NaN where missing.
    """
    early = seen
    if by_time is not None:
        early = by_time[: len(by_time) // 2]
        trend = _trend(by_time[~np.isnan(by_time)])
        if abs(trend) > GROWTH:
            bottom, top = _moved(seen, integer)
            note = "moves with time, which no model can follow beyond what it saw: consider leaving it out"
            return Range(bottom, None, note) if trend > 0 else Range(None, top, note)
    values = np.unique(seen)
    low, high = float(values[0]), float(values[-1])
    bottom, top = _moved(seen, integer)
    ends = [int((early == end).sum()) for end in (low, high)]
    if (low, high) == (0.0, 1.0) and len(values) == 2 and min(ends) > 0:
        return Range(low, high)
    whole = bool((values == np.floor(values)).all())
    if whole and len(values) == high - low + 1 and len(values) <= LONGEST_SCALE:
        enough = often(len(early))
        return Range(low if ends[0] >= enough else bottom, high if ends[1] >= enough else top)
    return Range(bottom, top)


def often(rows: int) -> float:
    """How many occurrences in so many rows make a value ordinary."""
    return max(FEW, RARE_SHARE * rows)


def widened(low: float, high: float, below: float = MARGIN, above: float = MARGIN) -> tuple[float, float]:
    """A range longer by shares of its length at either end, rounded outwards to two digits, not across zero."""
    length = high - low or abs(high) or 1.0
    bottom = low - below * length if low < 0 else max(0.0, low - below * length)
    top = high + above * length if high > 0 or low == high == 0 else min(0.0, high + above * length)
    if not (math.isfinite(bottom) and math.isfinite(top)):
        return low, high
    digits = Decimal(1).scaleb(math.floor(math.log10(max(abs(bottom), abs(top)))) - 1)
    return (
        float((_decimal(bottom) / digits).to_integral_value(ROUND_FLOOR) * digits),
        float((_decimal(top) / digits).to_integral_value(ROUND_CEILING) * digits),
    )


def _moved(seen: Floats, integer: bool) -> tuple[float, float]:
    """Both ends moved outwards; far at an end whose last hundredth is longer than the rest of its half."""
    low, first, middle, last, high = (float(cut) for cut in np.quantile(seen, [0, 0.01, 0.5, 0.99, 1]))
    bottom, top = widened(
        low,
        high,
        TAIL_MARGIN if first - low > middle - first else MARGIN,
        TAIL_MARGIN if high - last > last - middle else MARGIN,
    )
    return (float(math.floor(bottom)), float(math.ceil(top))) if integer else (bottom, top)


def _trend(values: Floats) -> float:
    """Rank correlation of values in order of time with that order (Spearman); 0 for few distinct values."""
    distinct, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    if len(distinct) <= FEW:
        return 0.0
    ranks = (np.cumsum(counts) - (counts - 1) / 2.0)[place]
    return float(np.corrcoef(ranks, np.arange(len(values)))[0, 1])


def _decimal(value: float) -> Decimal:
    """Without the last digits, in which 0.0015 is a little more than it seems."""
    return Decimal(f"{value:.12g}")
