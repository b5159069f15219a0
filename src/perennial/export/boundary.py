"""The rows at which a graph would differ first: where a comparison turns, and where input is odd.

Every row is a real one with one column changed, or, at a split deep in a tree, a row led there
(see :mod:`perennial.export.witness`). The choice is deterministic and bounded.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from perennial.export.compiler import Fitted, folded
from perennial.export.features import FLOAT32_MAX, Matrix, Number
from perennial.export.witness import split_rows
from perennial.records import Column

MAX_ROWS = 10_000
BASES = 2
QUANTILES = 9
SEED = 0

EXTREMES = (
    np.nan, 0.0, -0.0, 1.0, -1.0, 5e-324, -5e-324, 1e-30, -1e-30, 1e15, -1e15, 1e30, -1e30,
    FLOAT32_MAX, -FLOAT32_MAX, 1e39, -1e39, 1e300, -1e300,
)  # fmt: skip


def boundary_rows(fitted: Fitted, columns: Sequence[Column], holdout_x: Matrix, limit: int = MAX_ROWS) -> Matrix:
    """At most ``limit`` rows [rows, columns] for a fitted pipeline, based on the rows of ``holdout_x``."""
    rng = np.random.default_rng(SEED)
    base = holdout_x if len(holdout_x) else np.zeros((1, len(columns)))
    fills = {each.column: each.fill for each in fitted.features if isinstance(each, Number) and each.fill is not None}
    parts = [_emptied(base[:1], columns)]
    for index, column in enumerate(columns):
        values = _codes(column) if column.kind == "category" else _numbers(base[:, index], fills.get(index))
        for row in base[rng.integers(len(base), size=BASES)]:
            parts.append(_varied(row, index, values))
    rows = np.concatenate(parts)
    trees = folded(fitted, columns)
    rows = _thinned(rows, limit if trees is None else limit // 2)
    if trees is not None:
        forest = trees[1]
        rows = np.concatenate([rows, split_rows(forest, columns, base, fills, limit - len(rows), rng)])
    return rows


def _numbers(values: Matrix, fill: float | None) -> Matrix:
    """Extremes, then quantiles of what was seen and the imputed value, each with a neighbour on either side."""
    known = values[np.isfinite(values)]
    points = np.quantile(known, np.linspace(0, 1, QUANTILES)) if len(known) else np.zeros(1)
    if fill is not None:
        points = np.append(points, fill)
    return np.concatenate([EXTREMES, points, np.nextafter(points, -np.inf), np.nextafter(points, np.inf)])


def _codes(column: Column) -> Matrix:
    """Missing, unseen, and every category."""
    return np.concatenate([[np.nan, -1.0], np.arange(len(column.values))])


def _emptied(row: Matrix, columns: Sequence[Column]) -> Matrix:
    """One row with nothing known: all missing; then all categories unseen."""
    missing = np.full_like(row, np.nan)
    categories = [index for index, column in enumerate(columns) if column.kind == "category"]
    unseen = row.copy()
    unseen[:, categories] = -1.0
    return np.concatenate([missing, unseen])


def _varied(row: Matrix, index: int, values: Matrix) -> Matrix:
    rows = np.repeat(row[None, :], len(values), axis=0)
    rows[:, index] = values
    return rows


def _thinned(rows: Matrix, limit: int) -> Matrix:
    if len(rows) <= limit:
        return rows
    return rows[np.linspace(0, len(rows) - 1, limit).astype(np.int64)]
