"""What reports can draw: one value out of all proportion makes a histogram of its column impossible."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from perennial.datasets.arrow import numbers
from perennial.monitoring.rendering import Sheet

SPANS = 1000.0
"""How many spans of the middle 98 % of a column beyond them a value may lie; there it is drawn."""
MOST = 1e100


def within_reach(sheet: Sheet) -> tuple[Sheet, tuple[str, ...]]:
    """The sheet with the numbers that lie too far out moved to where they can be drawn, and a note on each such column.

    What lies too far is told by the reference where there is one, else by the rows themselves.
    """
    current, reference, notes = sheet.current, sheet.reference, list[str]()
    for name in sheet.numbers:
        low, high = _reach((current if reference is None else reference).column(name))
        current, moved = _moved(current, name, low, high)
        reference, before = (None, 0) if reference is None else _moved(reference, name, low, high)
        if count := moved + before:
            notes.append(f"{count:,} values of {name} lie so far out that the {sheet.kind} report draws them nearer")
    return replace(sheet, current=current, reference=reference), tuple(notes)


def _reach(column: pa.ChunkedArray) -> tuple[float, float]:
    values = numbers(column)
    values = values[np.isfinite(values)]
    if not len(values):
        return -MOST, MOST
    low, high = np.clip(np.quantile(np.clip(values, -MOST, MOST), [0.01, 0.99]), -MOST, MOST).tolist()
    span = (high - low) or max(abs(low), abs(high), 1.0)
    return low - SPANS * span, high + SPANS * span


def _moved(table: pa.Table, name: str, low: float, high: float) -> tuple[pa.Table, int]:
    """The table with a column between the two, and how many values that moved; what is missing stays so."""
    column, place = table.column(name), table.column_names.index(name)
    near = pc.if_else(pc.greater(column, high), high, pc.if_else(pc.less(column, low), low, column))
    count = pc.sum(pc.not_equal(near, column)).as_py() or 0
    return (table.set_column(place, name, near), count) if count else (table, 0)
