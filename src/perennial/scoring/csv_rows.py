"""A block of CSV -> its columns: numbers as float64 and categories as dictionaries, or all as they stand there."""

from __future__ import annotations

import math
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from perennial.datasets.csv_table import CsvTable, csv_table, numbers_without
from perennial.datasets.reading import Header, Malformed, RawFile
from perennial.datasets.text import MISSING_MARKS
from perennial.errors import DataError
from perennial.scoring.blocks import MAX_RECORD_BYTES
from perennial.scoring.encoding import is_utf8
from perennial.scoring.results import Encoding
from perennial.scoring.salvage import salvage
from perennial.spec import CategoryFeature, Feature, ModelSpec, NumberFeature

_NULLS = sorted({form for mark in MISSING_MARKS for form in (mark, mark.upper(), mark.title())} | {"NaN"})
_TEXT, _NUMBER, _CATEGORY = pa.string(), pa.float64(), pa.dictionary(pa.int32(), pa.string())


class CsvRows:
    """How the rows of one file are read. Safe to share between threads."""

    def __init__(self, file: str, names: tuple[str, ...], delimiter: str, spec: ModelSpec) -> None:
        self._file, self._delimiter = file, delimiter
        self._header = Header(names)
        self._places: dict[str, int] = {}
        for place, name in enumerate(names):
            if name:
                self._places.setdefault(name, place)
        self._texts = [_TEXT] * len(names)
        self._types = list(self._texts)
        for column, feature in spec.features.items():
            if column.strip() in self._places:
                self._types[self._places[column.strip()]] = _type_of(feature)

    def read(self, data: bytes, encoding: Encoding | None, *, typed: bool) -> RawFile:
        """The rows of a block, numbered from 1.

        With ``typed`` numbers and categories are no text, where every number of the block can be read as one; a null is
        a usual mark of a missing value, and every other number is finite. Rows that hold NUL bytes, or that the
        encoding has no characters for, are malformed.

        Raises:
            DataError: the rows cannot be told apart.
        """
        text = _as_utf8(data, encoding)
        if text is not None and b"\x00" not in text:
            return self._parsed(text, typed=typed)
        kept, bad = salvage(data, encoding, self._delimiter, self._header.names)
        return _among(self._parsed(kept, typed=typed), bad)

    def too_long(self, data: bytes) -> RawFile:
        """One row that is malformed for its length; ``data`` is how it begins."""
        row = Malformed(1, 0, data.decode("utf-8", "replace"), f"is longer than {MAX_RECORD_BYTES:,} bytes")
        return _among(self._parsed(b"", typed=False), (row,))

    def _parsed(self, data: bytes, *, typed: bool) -> RawFile:
        found = self._typed(data) if typed else None
        if found is None:
            found = self._texts_of(data)
        columns = {name: _whole(found.table.column(place)) for name, place in self._places.items()}
        return RawFile(self._file, self._header, columns, found.numbers, found.malformed)

    def _typed(self, data: bytes) -> CsvTable | None:
        """None where a number cannot be read as one, or is not finite: its text alone tells which it is."""
        try:
            found = csv_table(data, self._types, delimiter=self._delimiter, nulls=_NULLS)
        except pa.ArrowInvalid:
            return None
        for place, kind in enumerate(self._types):
            if kind == _NUMBER and not _all_finite(found.table.column(place)):
                return None
        return found

    def _texts_of(self, data: bytes) -> CsvTable:
        try:
            return csv_table(data, self._texts, delimiter=self._delimiter)
        except pa.ArrowInvalid as error:
            reason = str(error).split("\n", 1)[0]
            raise DataError(
                f"cannot be read as CSV ({reason}).", file=self._file, remedy="Check its quotes."
            ) from error


def _type_of(feature: Feature) -> pa.DataType:
    if isinstance(feature, NumberFeature):
        return _NUMBER
    return _CATEGORY if isinstance(feature, CategoryFeature) else _TEXT


def _all_finite(column: pa.ChunkedArray) -> bool:
    """Of the values that are there; where any is not finite, so is their sum, and else seldom."""
    total = pc.sum(column).as_py()
    return total is None or math.isfinite(total) or bool(pc.all(pc.is_finite(column)).as_py())


def _whole(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _as_utf8(data: bytes, encoding: Encoding | None) -> bytes | None:
    """None where some of it is not in the encoding."""
    if encoding != "cp1252" or data.isascii():
        return data if is_utf8(data) else None
    try:
        return data.decode("cp1252").encode()
    except UnicodeDecodeError:
        return None


def _among(raw: RawFile, bad: tuple[Malformed, ...]) -> RawFile:
    """The rows with the numbers they have where the bad ones stand among them."""
    numbers = numbers_without(len(raw.rows) + len(raw.malformed), [row.row for row in bad])
    moved = [replace(row, row=int(numbers[row.row - 1])) for row in raw.malformed]
    malformed = tuple(sorted([*moved, *bad], key=lambda row: row.row))
    return replace(raw, rows=numbers[raw.rows - 1], malformed=malformed)
