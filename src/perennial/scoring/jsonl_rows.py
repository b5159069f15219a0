"""A block of JSON Lines -> its columns, with the meaning that the endpoint gives to the same record.

Arrow parses what is plainly fine. Where it is not, a block is halved until the lines that are not are few, and those
are read one by one: both ways come to the same.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.json as pa_json

from perennial.datasets.reading import Header, Malformed, RawFile
from perennial.datasets.text import is_missing_mark, text_of
from perennial.scoring.blocks import MAX_RECORD_BYTES
from perennial.scoring.json_line import BLANK, Unreadable, cells_of, record_of, text_of_line
from perennial.scoring.plain_json import plain_lines
from perennial.scoring.results import Encoding
from perennial.spec import CategoryFeature, ModelSpec, NumberFeature, label

FEW_BYTES = 128 << 10
"""Lines of so many bytes are read one by one, once Arrow has refused them."""
SHOWN = 1000
_TEXT, _NUMBER = pa.string(), pa.float64()


@dataclass(frozen=True)
class _Piece:
    """Some lines: ``columns`` of those that are records, all of one length, and the others, numbered from 1."""

    columns: Mapping[str, pa.Array]
    rows: int
    malformed: tuple[Malformed, ...] = ()


class JsonRows:
    """How the rows of one file are read: ``columns`` of them, those of the spec's features beside whatever is kept.

    Safe to share between threads.
    """

    def __init__(self, file: str, columns: tuple[str, ...], spec: ModelSpec) -> None:
        self._file, self._columns, self._features = file, columns, spec.features
        self._wanted = frozenset(columns)
        self._shown = self._wanted - {*spec.features, spec.id or ""}
        self._numbers = {name for name in columns if isinstance(spec.features.get(name), NumberFeature)}

    def read(self, data: bytes, encoding: Encoding | None) -> RawFile:
        """The rows of some whole lines, numbered from 1; blank lines are none. Text is UTF-8 unless said otherwise.

        Numbers are float64 where every one of the block is a number of JSON, else text; all else is text, of a category
        as dictionary. A line that is no object with single values is malformed.
        """
        return self._raw(list(self._pieces(data, encoding)))

    def too_long(self, data: bytes) -> RawFile:
        """One row that is malformed for its length; ``data`` is how it begins."""
        return self._raw([self._one_by_one(b"", None), _refused(data, f"is longer than {MAX_RECORD_BYTES:,} bytes")])

    def _raw(self, pieces: list[_Piece]) -> RawFile:
        malformed: list[Malformed] = []
        total = 0
        for piece in pieces:
            malformed += [_moved(one, total) for one in piece.malformed]
            total += piece.rows
        rows = np.setdiff1d(np.arange(1, total + 1), [one.row for one in malformed], assume_unique=True)
        found = [piece.columns for piece in pieces if piece.columns]
        columns = {name: self._column(name, [each[name] for each in found]) for name in self._columns}
        return RawFile(self._file, Header(self._columns), columns, rows, tuple(malformed))

    def _column(self, name: str, arrays: list[pa.Array]) -> pa.Array:
        if any(array.type != arrays[0].type for array in arrays):
            arrays = [array.cast(_TEXT) for array in arrays]
        column = pa.concat_arrays(arrays)
        feature = self._features.get(name)
        return _as_told(column.dictionary_encode(), feature) if isinstance(feature, CategoryFeature) else column

    def _pieces(self, data: bytes, encoding: Encoding | None) -> Iterator[_Piece]:
        piece = self._at_once(data, encoding)
        cut = 0 if piece or len(data) <= FEW_BYTES else _middle(data)
        if piece is not None:
            yield piece
        elif cut:
            yield from self._pieces(data[:cut], encoding)
            yield from self._pieces(data[cut:], encoding)
        else:
            yield self._one_by_one(data, encoding)

    def _at_once(self, data: bytes, encoding: Encoding | None) -> _Piece | None:
        """None where Arrow would refuse it, or might take it for something else than what it is."""
        if encoding == "cp1252" and not data.isascii():
            return None
        rows = plain_lines(data)
        if not rows:
            return None
        schema = self._schema(data)
        try:
            table = pa_json.read_json(
                pa.py_buffer(data),
                read_options=pa_json.ReadOptions(use_threads=False, block_size=len(data)),
                parse_options=pa_json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore"),
            )
        except pa.ArrowInvalid:
            return None
        columns = {name: table.column(name).combine_chunks() for name in self._columns}
        if table.num_rows != rows or not all(_is_plain(array) for array in columns.values()):
            return None
        return _Piece({name: _settled(array) for name, array in columns.items()}, rows)

    def _schema(self, data: bytes) -> pa.Schema:
        """What Arrow is told to expect: what the first line holds, and else what the spec says."""
        try:
            first = record_of(text_of_line(data.split(b"\n", 1)[0], None))
        except Unreadable:
            first = {}
        return pa.schema([(name, self._type(name, first.get(name))) for name in self._columns])

    def _type(self, name: str, value: object) -> pa.DataType:
        if name in self._numbers:
            return _TEXT if isinstance(value, str) else _NUMBER
        if isinstance(value, bool):
            return pa.bool_()
        return pa.int64() if isinstance(value, int) else _TEXT

    def _one_by_one(self, data: bytes, encoding: Encoding | None) -> _Piece:
        cells: dict[str, list[object]] = {name: [] for name in self._columns}
        malformed: list[Malformed] = []
        row = 0
        for line in data.split(b"\n"):
            if not line.strip(BLANK):
                continue
            row += 1
            try:
                found = cells_of(text_of_line(line, encoding), self._wanted, self._shown)
            except Unreadable as error:
                text = line.decode("cp1252" if encoding == "cp1252" else "utf-8", "replace")
                malformed.append(Malformed(row, 0, text.strip()[:SHOWN], error.reason, error.column))
                continue
            for name in self._columns:
                cells[name].append(found.get(name))
        columns = {name: self._array(name, values) for name, values in cells.items()}
        return _Piece(columns, row, tuple(malformed))

    def _array(self, name: str, values: list[Any]) -> pa.Array:
        write: Callable[[Any], str] = label
        if name in self._numbers:
            if not any(isinstance(value, (str, bool)) for value in values):
                return pa.array([None if value is None else _float(value) for value in values], _NUMBER)
            write = _exact
        return pa.array([value if value is None or isinstance(value, str) else write(value) for value in values], _TEXT)


def _as_told(column: pa.DictionaryArray, feature: CategoryFeature) -> pa.DictionaryArray:
    """A category whose texts are what the endpoint takes them for.

    There a text is a declared value to the letter, or none: ``NA`` or ``" Pune "`` are as unknown as any other, where a
    cell of CSV is trimmed first, and may stand for a missing value. Here they are put in quotes, which are no such
    thing either.
    """
    if feature.unknown == "refuse":
        return column
    texts = column.dictionary.to_pylist()
    told = [_quoted(text) if _is_taken_for_another(text, feature.values) else text for text in texts]
    return column if told == texts else pa.DictionaryArray.from_arrays(column.indices, pa.array(told, _TEXT))


def _is_taken_for_another(text: str, values: tuple[str, ...]) -> bool:
    return text not in values and (is_missing_mark(text.strip()) or label(text) in values)


def _quoted(text: str) -> str:
    return json.dumps(label(text), ensure_ascii=False)


def _settled(array: pa.Array) -> pa.Array:
    """Text of what is neither number nor text already."""
    return array if array.type in (_TEXT, _NUMBER) else text_of(array)


def _is_plain(array: pa.Array) -> bool:
    """Whether every number is finite, and none is ``-0``: that is an integer to some, and not to Arrow."""
    if array.type != _NUMBER:
        return True
    values = array.drop_null().to_numpy(zero_copy_only=False)
    return bool(np.isfinite(values).all()) and not bool(np.signbit(values[values == 0]).any())


def _middle(data: bytes) -> int:
    """The byte behind a line end near the middle, 0 where there is but one line."""
    half = len(data) // 2
    cut = data.rfind(b"\n", 0, half) + 1 or data.find(b"\n", half) + 1
    return cut if cut < len(data) else 0


def _refused(line: bytes, reason: str) -> _Piece:
    return _Piece({}, 1, (Malformed(1, 0, line.decode("utf-8", "replace")[:SHOWN], reason),))


def _moved(one: Malformed, rows: int) -> Malformed:
    return Malformed(one.row + rows, one.fields, one.text, one.reason, one.column)


def _float(value: int | float) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def _exact(value: float | bool) -> str:
    """A number as text that is read back as the very same, which its label is not of ``-0.0``."""
    return label(value) if isinstance(value, bool) else repr(value)
