"""Columns whose categories are grouped before anything looks at them: one table lookup each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from perennial.export.features import Code
from perennial.export.graph import Graph


def grouped_input(graph: Graph, value: str, groupings: Sequence[Code]) -> str:
    """``value`` [N, columns] with one more column for each grouping: the group's number; unseen and missing are -1."""
    if not groupings:
        return value
    sizes = [len(grouping.groups) + 1 for grouping in groupings]
    table = np.concatenate([np.asarray([-1, *grouping.groups], dtype=np.float64) for grouping in groupings])
    starts = np.cumsum([0, *sizes[:-1]]) + 1
    codes = graph.op("Gather", value, graph.constant([each.column for each in groupings], np.int64), axis=1)
    known = graph.op("Where", graph.op("IsNaN", codes), graph.constant(-1.0), codes)
    place = graph.cast(graph.op("Add", known, graph.constant(starts)), "int64")
    groups = graph.op("Gather", graph.constant(table), place, axis=0)
    return graph.op("Concat", value, groups, axis=1)
