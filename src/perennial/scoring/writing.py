"""Rows that were scored as CSV or Parquet, and those that were not as CSV: the same rows always give the same bytes.

What a spreadsheet would take for a formula is given a leading apostrophe in CSV, since the texts come from strangers.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from perennial.scoring.results import Refused
from perennial.serving.batch_job import OutputFormat

GROUP_ROWS = 131_072
GROUP_BYTES = 32 << 20
"""A row group is written at so many rows, or at so many bytes in memory where rows are wide."""
SLICE_ROWS = 16_384
SLICE_BYTES = 16 << 20
"""Rows of CSV that are made at once: enough that a call costs nothing, few enough to stay in the processor's cache."""
FORMULA = "=+-@\t\r\n"
"""A text that begins with one of these is a formula to a spreadsheet, unless it is a number."""
QUARANTINE_COLUMNS = ("row", "column", "reason", "record")

_NUMBER = r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?"
_BEGINS = np.isin(np.arange(256), np.frombuffer(FORMULA.encode(), np.uint8))
_SPECIAL = (b'"', b",", b"\n", b"\r")
_TEXT = (pa.string(), pa.large_string(), pa.string_view())


class Sink(Protocol):
    """Where bytes go: a file opened for writing. It stays open."""

    def write(self, data: bytes, /) -> object: ...


class RowWriter(Protocol):
    """Takes the rows of a file, in order, a table at a time."""

    def write(self, table: pa.Table, /) -> None: ...
    def close(self) -> None:
        """Write what a file ends with. The sink stays open."""
        ...


class CsvWriter:
    """CSV as RFC 4180 has it, in UTF-8 with ``\\n`` line ends; quotes only where a cell needs them; null is empty.

    A number is the shortest text that reads back as the same. ``header=False`` is for what is put behind another.
    """

    def __init__(self, sink: Sink, schema: pa.Schema, header: bool = True) -> None:
        self._sink = sink
        if header:
            sink.write(_csv_lines([schema.names]))

    def write(self, table: pa.Table) -> None:
        for piece in _slices(table):
            self._sink.write(_rows(piece))

    def close(self) -> None:
        """CSV ends without more."""


class _Unfinished(pq.ParquetWriter):  # type: ignore[misc]
    """Dropped before it was closed it stays as it is: there is no use in an end, and its sink may be closed."""

    def __del__(self) -> None: ...


class ParquetWriter:
    """Parquet with Zstandard, in row groups of GROUP_ROWS rows whatever the tables that arrive."""

    def __init__(self, sink: Sink, schema: pa.Schema) -> None:
        texts = [field.name for field in schema if field.type in _TEXT]
        self._file = _Unfinished(sink, schema, compression="zstd", use_dictionary=texts)
        self._held: list[pa.Table] = []
        self._rows = self._bytes = 0

    def write(self, table: pa.Table) -> None:
        self._hold(table)
        if self._rows >= GROUP_ROWS or self._bytes >= GROUP_BYTES:
            whole, rows = pa.concat_tables(self._held), self._rows
            cut = rows - rows % GROUP_ROWS or rows
            self._file.write_table(whole.slice(0, cut), row_group_size=GROUP_ROWS)
            self._held, self._rows, self._bytes = [], 0, 0
            self._hold(whole.slice(cut))

    def _hold(self, table: pa.Table) -> None:
        if table.num_rows:
            self._held.append(table)
            self._rows += table.num_rows
            self._bytes += table.nbytes

    def close(self) -> None:
        if self._held:
            self._file.write_table(pa.concat_tables(self._held))
            self._held = []
        self._file.close()


class QuarantineWriter:
    """Refused rows as CSV: row, column, reason, and the record as JSON. The header stands there in any case."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        sink.write(_csv_lines([QUARANTINE_COLUMNS]))

    def write(self, refused: Sequence[Refused]) -> None:
        self._sink.write(_csv_lines([(str(one.row), one.column or "", one.reason, one.record) for one in refused]))

    def close(self) -> None:
        """CSV ends without more."""


def writer_of(format: OutputFormat, sink: Sink, schema: pa.Schema) -> RowWriter:
    """The writer of a format, at its defaults."""
    return CsvWriter(sink, schema) if format == "csv" else ParquetWriter(sink, schema)


def harmless(text: str) -> str:
    """A text as it may stand in a CSV that is opened in a spreadsheet."""
    return "'" + text if text and text[0] in FORMULA and not re.fullmatch(_NUMBER, text) else text


def _csv_lines(rows: Sequence[Sequence[str]]) -> bytes:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([harmless(cell) for cell in row] for row in rows)
    return out.getvalue().encode("utf-8", "replace")


def _slices(table: pa.Table) -> Iterator[pa.Table]:
    rows = min(SLICE_ROWS, max(1, SLICE_BYTES * table.num_rows // max(table.nbytes, 1)))
    return (table.slice(start, rows) for start in range(0, table.num_rows, rows))


def _rows(table: pa.Table) -> bytes:
    """The lines of a few rows: each column as text, joined row by row, whose texts then lie one behind the other."""
    cells = [_cells(column) for column in table.columns]
    ended = pc.binary_join_element_wise(cells[-1], "", "\n", null_handling="replace")
    lines = pc.binary_join_element_wise(*cells[:-1], ended, ",", null_handling="replace")
    return _bytes(lines).tobytes()


def _cells(column: pa.ChunkedArray) -> pa.Array:
    """A column as its cells stand in a CSV."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    is_text = column.type in _TEXT
    cells = pa.concat_arrays((column if column.type == pa.string() else column.cast(pa.string())).chunks)
    if not is_text:
        return cells
    return _quoted(_harmless(cells))


def _harmless(texts: pa.StringArray) -> pa.StringArray:
    bounds, data = _bounds(texts), _bytes(texts)
    starts = bounds[:-1][bounds[1:] > bounds[:-1]] - bounds[0]
    if not _BEGINS[data[starts]].any():
        return texts
    formula = pc.and_not(
        pc.match_substring_regex(texts, f"^[{re.escape(FORMULA)}]"), pc.match_substring_regex(texts, f"^{_NUMBER}$")
    )
    return pc.if_else(formula, pc.binary_join_element_wise("'", texts, ""), texts)


def _quoted(texts: pa.StringArray) -> pa.StringArray:
    data = _bytes(texts).tobytes()
    if not any(mark in data for mark in _SPECIAL):
        return texts
    doubled = pc.replace_substring(texts, '"', '""')
    quoted = pc.binary_join_element_wise('"', doubled, '"', "")
    return pc.if_else(pc.match_substring_regex(texts, r'[",\r\n]'), quoted, texts)


def _bounds(texts: pa.StringArray) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
    """Where each text begins in the buffer, and the byte behind the last."""
    return np.frombuffer(texts.buffers()[1], np.int32)[texts.offset : texts.offset + len(texts) + 1]


def _bytes(texts: pa.StringArray) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    """The bytes of all texts, one behind the other."""
    bounds, data = _bounds(texts), texts.buffers()[2]
    if data is None:
        return np.empty(0, np.uint8)
    return np.frombuffer(data, np.uint8)[bounds[0] : bounds[-1]]
