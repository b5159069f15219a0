"""Which columns a forest decides by: rows that are alike in them take the same ways through most of its trees.

A processor that guesses a comparison wrongly loses more time than the comparison takes. Where rows are sorted by the
columns that are asked first and most often, it guesses right (``perennial.scoring.arranging``).
"""

from __future__ import annotations

import numpy as np

from perennial.export.folding import Forest

MOST = 4
"""Columns by which rows are sorted: one more costs as much time as it saves."""
FEWEST_SPLITS = 1000
"""Of a forest, from which on sorting costs less than it saves."""


def deciding(forest: Forest) -> tuple[int, ...]:
    """The matrix columns that count most, in their order; none of a small forest.

    A split counts as one over the nodes of its depth in a full tree: as if rows went either way equally often.
    """
    if int((forest.true >= 0).sum()) < FEWEST_SPLITS:
        return ()
    share = np.zeros(len(forest.true))
    share[forest.roots] = 1.0
    level = forest.roots
    while len(level):
        inner = level[forest.true[level] >= 0]
        share[forest.true[inner]] = share[forest.false[inner]] = share[inner] / 2
        level = np.concatenate([forest.true[inner], forest.false[inner]])
    split = forest.true >= 0
    source = np.asarray([*range(forest.width), *(grouping.column for grouping in forest.groupings)], dtype=np.int64)
    weight = np.bincount(source[forest.column[split]], weights=share[split], minlength=forest.width)
    found = np.argsort(-weight, kind="stable")[:MOST]
    return tuple(int(column) for column in found if weight[column] > 0)
