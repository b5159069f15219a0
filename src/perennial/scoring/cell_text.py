"""Cells of the input as people see them: beside the predictions, and in the quarantine."""

from __future__ import annotations

import json

import pyarrow as pa

from perennial.datasets.text import holds_single_values, text_of


def cell_text(column: pa.Array) -> pa.Array:
    """A column of any kind as text: texts untouched, lists and structs as JSON, all else as its canonical text.

    Null stays null.
    """
    kind = column.type
    if pa.types.is_dictionary(kind) and pa.types.is_string(kind.value_type):
        return column.dictionary_decode()
    if pa.types.is_string(kind):
        return column
    if holds_single_values(column):
        return text_of(column)
    write = _json if pa.types.is_nested(kind) else str
    return pa.array([None if value is None else write(value) for value in column.to_pylist()], pa.string())


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
