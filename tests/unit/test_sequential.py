"""Bounds that hold at every look: what they leave room for, and how seldom they are wrong."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import betaln

from perennial.monitoring.sequential import ALPHA, bounds, evidence

LOOKS = 2000


@pytest.mark.parametrize(("total", "rows"), [(0, 1), (1, 1), (3, 10), (0, 500), (500, 500), (12.5, 100), (10, 100_000)])
def test_what_was_seen_lies_within(total: float, rows: int) -> None:
    low, high = bounds(total, rows)
    assert 0 <= low <= total / rows <= high <= 1
    for edge in (low, high):
        if 0 < edge < 1:
            assert evidence(total, rows, edge) == pytest.approx(math.log(1 / ALPHA), abs=1e-6)


def test_nothing_seen_leaves_everything_open() -> None:
    assert bounds(0, 0) == (0.0, 1.0)


def test_more_rows_tell_more() -> None:
    widths = [high - low for low, high in (bounds(rows * 0.1, rows) for rows in (10, 100, 1000, 10_000))]
    assert widths == sorted(widths, reverse=True) and widths[-1] < 0.03


def test_it_is_the_average_of_the_likelihood_ratios() -> None:
    shares = (np.arange(20_000) + 0.5) / 20_000
    ratios = (shares / 0.2) ** 7 * ((1 - shares) / 0.8) ** 33
    assert evidence(7, 40, 0.2) == pytest.approx(math.log(ratios.mean()), abs=1e-6)


@pytest.mark.parametrize("share", [0.01, 0.2])
@pytest.mark.parametrize("spread", [False, True])
def test_looking_after_each_row_is_wrong_no_more_often_than_it_says(share: float, spread: bool) -> None:
    """A thousand trials right at the bound. With ``spread`` the values are not just 0 and 1, with the same mean."""
    rng = np.random.default_rng(1)
    values = rng.random((1000, LOOKS)) < (share / 0.5 if spread else share)
    totals = np.cumsum(values * (0.5 if spread else 1.0), axis=1)
    rows = np.arange(1, LOOKS + 1)
    against = betaln(totals + 1, rows - totals + 1) - totals * math.log(share) - (rows - totals) * math.log1p(-share)
    ever = (against >= math.log(1 / ALPHA)).any(axis=1).mean()
    assert ever <= ALPHA + 3 * (ALPHA * (1 - ALPHA) / 1000) ** 0.5
    assert against[0, -1] == pytest.approx(evidence(float(totals[0, -1]), LOOKS, share), abs=1e-6)


def test_what_is_far_beyond_a_bound_is_known_soon() -> None:
    assert bounds(5, 5)[0] > 0.01  # five failures of five
    assert bounds(30, 100)[0] > 0.15
    assert bounds(1, 20)[0] < 0.01
