"""The rows at which a graph would differ first: where a comparison turns, and where input is odd.

Every row is a real one with one column changed, or, at a split deep in a tree, a row led there
(see :mod:`perennial.export.witness`). The choice is deterministic and bounded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from perennial.export.compiler import Fitted, folded
from perennial.export.features import FLOAT32_MAX, Matrix, Number
from perennial.export.witness import split_rows
from perennial.records import Column

MAX_ROWS = 10_000
MAX_NUMBERS = 10_000_000
"""What all rows together may hold, so that wide ones stay within 80 MB: fewer of them then."""
BASES = 2
QUANTILES = 9
SEED = 0

EXTREMES = (
    np.nan, 0.0, -0.0, 1.0, -1.0, 5e-324, -5e-324, 1e-30, -1e-30, 1e15, -1e15, 1e30, -1e30,
    FLOAT32_MAX, -FLOAT32_MAX, 1e39, -1e39, 1e300, -1e300,
)  # fmt: skip


def boundary_rows(fitted: Fitted, columns: Sequence[Column], holdout_x: Matrix, limit: int = MAX_ROWS) -> Matrix:
    """At most ``limit`` rows [rows, columns] for a fitted pipeline, based on the rows of ``holdout_x``.

    Wide rows are fewer: ``MAX_NUMBERS`` bounds them all.
    """
    rng = np.random.default_rng(SEED)
    base = holdout_x if len(holdout_x) else np.zeros((1, len(columns)))
    fills = {each.column: each.fill for each in fitted.features if isinstance(each, Number) and each.fill is not None}
    limit = min(limit, max(1, MAX_NUMBERS // max(1, len(columns))))
    trees = folded(fitted, columns)
    rows = _each_column(columns, base, fills, limit if trees is None else limit // 2, rng)
    if trees is not None:
        forest = trees[1]
        rows = np.concatenate([rows, split_rows(forest, columns, base, fills, limit - len(rows), rng)])
    return rows


def _each_column(
    columns: Sequence[Column], base: Matrix, fills: Mapping[int, float], limit: int, rng: np.random.Generator
) -> Matrix:
    """Real rows with one column changed, evenly thinned to ``limit``; the first two have nothing known.

    Which row, which column and what value is chosen for all of them, before a row is made of any.
    """
    rows, places, values = [np.zeros(2, np.int64)], [np.zeros(2, np.int64)], [np.zeros(2)]
    for index, column in enumerate(columns):
        changes = _codes(column) if column.kind == "category" else _numbers(base[:, index], fills.get(index))
        for row in rng.integers(len(base), size=BASES):
            rows.append(np.full(len(changes), row))
            places.append(np.full(len(changes), index))
            values.append(changes)
    of, at, value = np.concatenate(rows), np.concatenate(places), np.concatenate(values)
    kept = np.arange(len(of))
    if len(of) > limit:
        kept = np.linspace(0, len(of) - 1, limit).astype(np.int64)
    found: Matrix = base[of[kept]]
    changed = kept >= 2
    found[np.flatnonzero(changed), at[kept[changed]]] = value[kept[changed]]
    emptied = _emptied(base[:1], columns)
    found[~changed] = emptied[kept[~changed]]
    return found


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
