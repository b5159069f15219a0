"""Bytes of a data file -> its columns, unconverted. CSV and Parquet, plain or gzipped, told apart by content.

CSV is separated by commas, as RFC 4180 has it; any other separator is an error that names it, since a
guess that is wrong once would be wrong silently. Every CSV cell stays text until a spec says what it is.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from perennial.datasets.csv_table import Malformed, csv_table
from perennial.datasets.unpack import csv_text, is_parquet, unpacked
from perennial.errors import DataError

__all__ = ["SEPARATORS", "Header", "Malformed", "RawFile", "read_file", "read_header"]

BLOCK_BYTES = 1 << 24
SEPARATORS = {";": "semicolons (;)", "\t": "tabs", "|": "bars (|)"}


@dataclass(frozen=True)
class Header:
    """Column names of a file, and the separator it seems to have been written with instead of commas."""

    names: tuple[str, ...]
    separator: str | None = None


@dataclass(frozen=True)
class RawFile:
    """A file as read: columns by name (text for CSV, the file's own types for Parquet), all of one length.

    ``rows`` holds the row number of each (1-based, header excluded); malformed rows are missing from it.
    """

    name: str
    header: Header
    columns: Mapping[str, pa.Array]
    rows: NDArray[np.int64]
    malformed: tuple[Malformed, ...] = ()


def read_header(name: str, data: bytes) -> Header:
    """Names of the columns, without reading the rows.

    Raises:
        DataError: the file is empty, not UTF-8, not CSV or Parquet, has no rows, or repeats a column name.
    """
    data = unpacked(name, data)
    if is_parquet(data):
        file = _parquet(name, data)
        header = Header(tuple(column.strip() for column in file.schema_arrow.names))
        has_rows = file.metadata.num_rows > 0
    else:
        header, has_rows = _csv_header(name, csv_text(name, data))
    repeated = [column for column, times in Counter(header.names).items() if times > 1 and column]
    if repeated:
        raise DataError("appears more than once.", file=name, column=repeated[0], remedy="Rename or drop the copies.")
    if not has_rows:
        raise DataError("holds a header but no rows.", file=name, remedy="Give a file with at least one row.")
    return header


def read_file(name: str, data: bytes) -> RawFile:
    """Read all columns. Raises DataError as :func:`read_header` does, or when the rows cannot be told apart."""
    header = read_header(name, data)
    data = unpacked(name, data)
    if is_parquet(data):
        return _read_parquet(name, data, header)
    return _read_csv(name, csv_text(name, data), header)


def _csv_header(name: str, data: bytes) -> tuple[Header, bool]:
    """The header, and whether a row follows it."""
    lines = io.TextIOWrapper(io.BytesIO(data), "utf-8", newline="")
    try:
        fields = next(csv.reader(lines))
        has_rows = any(line.strip() for line in lines)
    except csv.Error as error:
        raise DataError(
            f"cannot be read as CSV ({error}).", file=name, remedy="Check its quotes near the start."
        ) from error
    names = tuple(field.strip() for field in fields)
    line = data.split(b"\n", 1)[0].decode()
    widest = max(SEPARATORS, key=line.count)
    return Header(names, widest if line.count(widest) >= len(names) else None), has_rows


def _read_csv(name: str, data: bytes, header: Header) -> RawFile:
    try:  # the header is read as a row, since names may be anything
        parsed = csv_table(data, [pa.string()] * len(header.names), block_bytes=BLOCK_BYTES, width_of_first=True)
    except pa.ArrowInvalid as error:
        reason = str(error).split("\n", 1)[0]
        raise DataError(
            f"cannot be read as CSV ({reason}).", file=name, remedy="Check it for a quote that never closes."
        ) from error
    table = parsed.table.slice(1)
    malformed = tuple(replace(row, row=row.row - 1) for row in parsed.malformed)
    columns = {column: _whole(table.column(i)) for i, column in enumerate(header.names) if column}
    if data.count(b'"') % 2:
        _refuse_open_quote(name, table, malformed)
    return RawFile(name, header, columns, parsed.numbers[1:] - 1, malformed)


def _refuse_open_quote(name: str, table: pa.Table, malformed: tuple[Malformed, ...]) -> None:
    """A quote that never closes swallows the rest of the file into the last row, which nothing else would notice."""
    total = table.num_rows + len(malformed)
    if malformed and malformed[-1].row == total:
        cells: list[str] = [malformed[-1].text]
    else:
        cells = [column[-1].as_py() for column in table.columns] if table.num_rows else []
    if any("\n" in cell.rstrip("\r\n") or cell.endswith("\n") for cell in cells):
        raise DataError("has a quote that never closes.", file=name, row=total, remedy="Close or double it.")


def _parquet(name: str, data: bytes) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(pa.BufferReader(data))
    except (pa.ArrowException, OSError) as error:
        raise DataError("is damaged Parquet.", file=name, remedy="Write or transfer it again.") from error


def _read_parquet(name: str, data: bytes, header: Header) -> RawFile:
    file = _parquet(name, data)
    try:
        table = file.read()
    except (pa.ArrowException, OSError) as error:
        raise DataError("is damaged Parquet.", file=name, remedy="Write or transfer it again.") from error
    columns = {column: _whole(table.column(i)) for i, column in enumerate(header.names) if column}
    return RawFile(name, header, columns, np.arange(1, table.num_rows + 1, dtype=np.int64))


def _whole(column: pa.ChunkedArray) -> pa.Array:
    """One array of plain values, whatever way the file encodes them."""
    array = column.combine_chunks()
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array
