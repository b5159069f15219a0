"""Cells as text, and which texts mean that there is no value."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from perennial.spec import label

MISSING_MARKS = frozenset({"", "?", "na", "n/a", "nan", "null", "none", "#n/a", "<na>"})


def is_missing_mark(text: str) -> bool:
    """Whether trimmed text is one of the usual ways to write "no value"."""
    return text.lower() in MISSING_MARKS


def text_of(column: pa.Array) -> pa.Array:
    """Any flat column as trimmed text; a number as its label, a moment as ISO 8601 in UTC. Null stays null."""
    kind = column.type
    if pa.types.is_timestamp(kind) and kind.tz is not None:
        column = column.cast(pa.int64()).cast(pa.timestamp(kind.unit))
    elif pa.types.is_boolean(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        encoded = column.dictionary_encode()
        labels = [value if value is None else label(value) for value in encoded.dictionary.to_pylist()]
        column = pa.array(labels, pa.string()).take(encoded.indices)
    elif pa.types.is_duration(kind) or pa.types.is_time(kind):
        column = pa.array([None if value is None else str(value) for value in column.to_pylist()], pa.string())
    return pc.utf8_trim_whitespace(column.cast(pa.string()))


def holds_single_values(column: pa.Array) -> bool:
    """Whether each cell is one value with a text form: no list, no struct, no bytes."""
    kind = column.type
    return not (
        pa.types.is_nested(kind)
        or pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_fixed_size_binary(kind)
        or pa.types.is_binary_view(kind)
        or pa.types.is_interval(kind)
    )
