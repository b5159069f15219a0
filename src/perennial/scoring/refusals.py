"""Rows that were not scored, as the quarantine tells of them: only these are looked at one by one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from json.encoder import encode_basestring

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from perennial.datasets.reading import Malformed, RawFile
from perennial.scoring.cell_text import cell_text
from perennial.scoring.results import Refused

MAX_CELL = 200
"""Characters of one cell that a record shows."""
MAX_RECORD = 4000
"""Characters from which on a record leaves out the rest of its columns."""
CUT = "…"

Reason = tuple[str | None, str]


def refusals(raw: RawFile, places: NDArray[np.intp], why: Sequence[Reason]) -> list[Refused]:
    """The rows at ``places`` of a file, each with the column and the reason it was refused for, and what it held."""
    return [
        Refused(row, column, reason, record)
        for row, (column, reason), record in zip(raw.rows[places].tolist(), why, _records(raw, places), strict=True)
    ]


def malformed(raw: RawFile) -> list[Refused]:
    """The rows that have no cells, each as the text it was."""
    return [_malformed(one, len(raw.header.names)) for one in raw.malformed]


def _malformed(one: Malformed, names: int) -> Refused:
    return Refused(one.row, one.column, one.why(names), json.dumps(_cut(one.text, MAX_RECORD), ensure_ascii=False))


def _records(raw: RawFile, places: NDArray[np.intp]) -> Iterable[str]:
    """Of each row a JSON object of its cells as text, null where there is none."""
    take = pa.array(places)
    keys = [encode_basestring(name) + ": " for name in raw.columns]
    cells = [_shown(column.take(take)) for column in raw.columns.values()]
    return (_object(keys, row) for row in zip(*cells, strict=True))


def _object(keys: Sequence[str], cells: Sequence[str]) -> str:
    whole = "{" + ", ".join(map(str.__add__, keys, cells)) + "}"
    if len(whole) <= MAX_RECORD:
        return whole
    kept: list[str] = []
    room = MAX_RECORD
    for key, cell in zip(keys, cells, strict=True):
        room -= len(key) + len(cell) + 2
        if room < 0:
            break
        kept.append(key + cell)
    left = len(keys) - len(kept)
    return "{" + ", ".join([*kept, f'"{CUT}": "{left} more columns"']) + "}"


def _shown(column: pa.Array) -> list[str]:
    """Each cell as JSON text."""
    texts: Iterable[str | None]
    if pa.types.is_floating(column.type):
        texts = (None if value is None else repr(value).removesuffix(".0") for value in column.to_pylist())
    else:
        texts = cell_text(column).to_pylist()
    return [
        "null" if text is None else encode_basestring(text if len(text) <= MAX_CELL else _cut(text, MAX_CELL))
        for text in texts
    ]


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + CUT
