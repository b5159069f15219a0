"""A block of CSV -> its columns: numbers as float64 and categories as dictionaries, or all as it stands there."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
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

    def __init__(
        self,
        file: str,
        names: tuple[str, ...],
        delimiter: str,
        spec: ModelSpec,
        keep: bool | Sequence[str] = True,
    ) -> None:
        """``keep`` are the columns to read beside the features and the id, or all; as text there are all of them."""
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
        wanted = {*(name.strip() for name in spec.features), spec.id, *(names if keep is True else keep or ())}
        self._wanted = {name: place for name, place in self._places.items() if name in wanted} or self._places
        self._numbers = [f"f{place}" for place in self._wanted.values() if self._types[place] == _NUMBER]

    def read(self, data: bytes, encoding: Encoding | None, *, typed: bool) -> RawFile:
        """The rows of a block, numbered from 1.

        With ``typed`` categories are dictionaries, and a column of numbers is float64 where all of it can be read
        so: null is a usual mark of a missing value then, and every other number is finite. Rows that hold NUL bytes, or
        that the encoding has no characters for, are malformed.

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
        places = self._wanted if typed else self._places
        found = self._typed(data) if typed else self._table(data, self._texts, places)
        columns = {name: _whole(found.table.column(f"f{place}")) for name, place in places.items()}
        return RawFile(self._file, self._header, columns, found.numbers, found.malformed)

    def _typed(self, data: bytes) -> CsvTable:
        """All numbers at once, or where some are none each column that can be read as such."""
        places = list(self._wanted.values())
        try:
            found = csv_table(data, self._types, delimiter=self._delimiter, places=places, nulls=_NULLS)
            if all(_is_finite(found.table.column(name)) for name in self._numbers):
                return found
        except pa.ArrowInvalid:
            pass
        found = self._table(data, [_TEXT if kind == _NUMBER else kind for kind in self._types], self._wanted)
        table = found.table
        for name in self._numbers:
            table = table.set_column(table.schema.get_field_index(name), name, _as_numbers(table.column(name)))
        return replace(found, table=table)

    def _table(self, data: bytes, types: Sequence[pa.DataType], places: Mapping[str, int]) -> CsvTable:
        try:
            return csv_table(data, types, delimiter=self._delimiter, places=list(places.values()))
        except pa.ArrowInvalid as error:
            reason = str(error).split("\n", 1)[0]
            raise DataError(
                f"cannot be read as CSV ({reason}).", file=self._file, remedy="Check its quotes."
            ) from error


def _type_of(feature: Feature) -> pa.DataType:
    if isinstance(feature, NumberFeature):
        return _NUMBER
    return _CATEGORY if isinstance(feature, CategoryFeature) else _TEXT


def _as_numbers(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The texts of a column as float64, or as they are where one is no finite number: its text tells what it is."""
    missing = pc.is_in(column, value_set=pa.array(_NULLS))
    try:
        numbers = pc.if_else(missing, pa.scalar(None, _TEXT), column).cast(_NUMBER)
    except pa.ArrowInvalid:
        return column
    return numbers if _is_finite(numbers) else column


def _is_finite(column: pa.ChunkedArray) -> bool:
    """Whether all values are that are there: where one is not, neither is their sum, and else seldom."""
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
