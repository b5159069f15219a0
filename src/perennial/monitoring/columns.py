"""Captured predictions as Arrow columns: what was asked beside what was answered.

A record was valid for the version that answered it, whose spec may be another than today's: a cell that does not fit
today's type counts as missing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pyarrow as pa
from pydantic import JsonValue

from perennial.datasets.arrow import arrow_schema
from perennial.datasets.cells import check_feature, check_time
from perennial.serving.captured import CapturedPrediction
from perennial.spec import DateFeature, ModelSpec, label

CHUNK = 4096
_DATE = DateFeature(type="date", missing=True)


def about_schema(spec: ModelSpec) -> pa.Schema:
    """What is known of a prediction besides its record.

    ``prediction`` is a class label, or the float64 value of a regression, for which ``probabilities`` is null.
    """
    return pa.schema(
        [
            ("prediction_id", pa.string()),
            ("version", pa.string()),
            ("time", pa.timestamp("us", "UTC")),
            ("prediction", pa.float64() if spec.task == "regression" else pa.string()),
            ("probabilities", pa.map_(pa.string(), pa.float64())),
        ]
    )


def record_schema(spec: ModelSpec) -> pa.Schema:
    """The columns of a record: the features, then id and time where there are any. All of a training row but the truth.

    An id is canonical text, as in datasets; a time that was not given is that of the prediction.
    """
    schema = arrow_schema(spec)
    return schema.remove(schema.get_field_index(spec.target.column))


class Columns:
    """Collects predictions and turns them into columns chunk by chunk, so that few are held as Python objects."""

    def __init__(self, spec: ModelSpec) -> None:
        self._spec = spec
        self._pending: list[CapturedPrediction] = []
        self._rows: list[pa.RecordBatch] = []
        self._about: list[pa.RecordBatch] = []

    def add(self, line: CapturedPrediction) -> None:
        self._pending.append(line)
        if len(self._pending) >= CHUNK:
            self._flush()

    def tables(self) -> tuple[pa.Table, pa.Table]:
        """The records (:func:`record_schema`) and what is known besides (:func:`about_schema`), row by row."""
        self._flush()
        rows = pa.Table.from_batches(self._rows, record_schema(self._spec))
        return rows.combine_chunks(), pa.Table.from_batches(self._about, about_schema(self._spec)).combine_chunks()

    def _flush(self) -> None:
        lines, self._pending = self._pending, []
        if lines:
            self._rows.append(_records(lines, self._spec))
            self._about.append(_about(lines, self._spec))


def _records(lines: Sequence[CapturedPrediction], spec: ModelSpec) -> pa.RecordBatch:
    schema = record_schema(spec)
    columns = []
    for field in schema:
        cells = [line.record.get(field.name) for line in lines]
        if field.name == spec.time:
            cells = [line.time.isoformat() if cell is None else cell for cell, line in zip(cells, lines, strict=True)]
        columns.append(_typed(cells, field.type, is_time=field.name == spec.time))
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _about(lines: Sequence[CapturedPrediction], spec: ModelSpec) -> pa.RecordBatch:
    schema = about_schema(spec)
    answers: list[JsonValue] = [line.prediction for line in lines]
    chances = [list(line.probabilities.items()) if line.probabilities is not None else None for line in lines]
    columns = [
        pa.array([line.prediction_id for line in lines], pa.string()),
        pa.array([line.version for line in lines], pa.string()),
        pa.array([line.time for line in lines], schema.field("time").type),
        _typed(answers, schema.field("prediction").type),
        pa.array(chances, schema.field("probabilities").type),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _typed(cells: Sequence[JsonValue], kind: pa.DataType, *, is_time: bool = False) -> pa.Array:
    """Cells as a column of float64, text, bytes or timestamp[us]; null where one does not fit."""
    if pa.types.is_floating(kind):
        return _column(cells, kind, _number)
    if pa.types.is_binary(kind):
        return pa.nulls(len(cells), kind)  # a record is JSON, which holds none
    encoded = _column(cells, pa.string(), _text).dictionary_encode()
    distinct = pa.array([label(text) for text in encoded.dictionary.to_pylist()], pa.string())
    if pa.types.is_timestamp(kind):
        distinct = (check_time(distinct) if is_time else check_feature(distinct, _DATE)).values
    return distinct.take(encoded.indices)


def _column(cells: Sequence[JsonValue], kind: pa.DataType, fitted: Callable[[JsonValue], object]) -> pa.Array:
    """Cell by cell only where one is of another type, which is rare."""
    try:
        return pa.array(cells, kind)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        return pa.array([fitted(cell) for cell in cells], kind)


def _number(cell: JsonValue) -> float | None:
    try:
        return float(cell) if isinstance(cell, (int, float, str)) else None
    except (ValueError, OverflowError):
        return None


def _text(cell: JsonValue) -> str | None:
    return None if cell is None or isinstance(cell, (dict, list)) else label(cell)
