"""How far a share can be told from what was seen so far, however often and whenever somebody looks.

An ordinary 95 % interval holds for one look: who looks after each row, and stops at the first bad one, stops almost any
challenger in the end. These hold at all looks at once. For a share p, the likelihood of every other share, averaged
evenly, over that of p is a martingale that begins at 1 (Robbins, 1970, Ann. Math. Statist. 41); by Ville's inequality
(1939) it ever exceeds 1/alpha with a probability of at most alpha. The shares where it has not are a confidence
sequence (Howard, Ramdas, McAuliffe & Sekhon, 2021, Ann. Statist. 49). It holds for means of values from 0 to 1 as
well: the likelihood ratio is convex in each value, so that for such a mean it is a supermartingale.
"""

from __future__ import annotations

import math

ALPHA = 0.025
"""Of one bound of a trial: with two of them, a trial of a challenger within its bounds is stopped once in twenty."""
_HALVINGS = 60


def evidence(total: float, rows: int, share: float) -> float:
    """Natural logarithm of the evidence against a share (0..1), by ``rows`` values from 0 to 1 that sum to ``total``.

    Reaches ``log(1 / alpha)`` with a probability of at most alpha, at whatever row, where the share is the true one.
    """
    average = math.lgamma(total + 1) + math.lgamma(rows - total + 1) - math.lgamma(rows + 2)
    return average - _times(total, share) - _times(rows - total, 1 - share)


def bounds(total: float, rows: int, alpha: float = ALPHA) -> tuple[float, float]:
    """The lowest and the highest share that ``rows`` values from 0 to 1, which sum to ``total``, leave room for."""
    if rows == 0:
        return 0.0, 1.0
    middle, most = total / rows, math.log(1 / alpha)
    return _edge(total, rows, middle, 0.0, most), _edge(total, rows, middle, 1.0, most)


def _edge(total: float, rows: int, inside: float, outside: float, most: float) -> float:
    """Where the evidence reaches ``most``, between a share with less of it and the end of the scale."""
    if evidence(total, rows, outside) < most:
        return outside
    for _ in range(_HALVINGS):
        between = (inside + outside) / 2
        if evidence(total, rows, between) < most:
            inside = between
        else:
            outside = between
    return inside


def _times(count: float, share: float) -> float:
    """``count * log(share)``, nought where there is nothing to count."""
    if count <= 0:
        return 0.0
    return count * math.log(share) if share > 0 else -math.inf
