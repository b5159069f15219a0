"""Validated rows as an Arrow table, and the same float64 matrix that ``RecordSchema.row`` makes, by columns."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from perennial.records import EPOCH, UNKNOWN, moment_parts
from perennial.spec import CategoryFeature, DateFeature, Feature, ModelSpec, NumberFeature

PICTURE_FIELDS = (
    pa.field("image", pa.string()),
    pa.field("fingerprint", pa.binary()),
    pa.field("group", pa.string()),
    pa.field("file", pa.string()),
)
"""Columns named as in ``spec_images.OWN_COLUMNS``."""
_TYPES = {"number": pa.float64(), "category": pa.string(), "date": pa.timestamp("us")}


def arrow_schema(spec: ModelSpec, *, labelled: bool = True) -> pa.Schema:
    """Columns of a validated table: the features in their order, then target, id and time where there are any.

    A number is float64, a category its label, a date timestamp[us] in UTC without a zone; null is missing.
    A row of a picture has besides ``image`` (the SHA-256 of its bytes, in hex), ``fingerprint`` (binary), ``group`` and
    ``file`` (where it came from), each null where it is not known.
    ``labelled=False`` leaves target, id and time out: the features of records that arrive to be scored.
    """
    fields = [pa.field(name, _TYPES[feature.type]) for name, feature in spec.features.items()]
    if labelled:
        target = pa.float64() if spec.task == "regression" else pa.string()
        fields.append(pa.field(spec.target.column, target))
        if spec.id is not None:
            fields.append(pa.field(spec.id, pa.string()))
        if spec.time is not None and spec.time not in spec.features:
            fields.append(pa.field(spec.time, pa.timestamp("us")))
        if spec.input == "image":
            fields += PICTURE_FIELDS
    return pa.schema(fields)


def encode(table: pa.Table, spec: ModelSpec) -> NDArray[np.float64]:
    """The features of a validated table as float64 [rows, columns], in the order of ``records.columns(spec)``.

    Bit-identical to ``RecordSchema.row`` of the same record: NaN is missing, -1.0 a value not in the spec.
    """
    blocks = [block for name, feature in spec.features.items() for block in encode_feature(table.column(name), feature)]
    return np.column_stack(blocks) if blocks else np.empty((table.num_rows, 0))


def numbers(column: pa.ChunkedArray) -> NDArray[np.float64]:
    """A float64 column as numpy, NaN for null."""
    values = np.array(column.to_numpy(), np.float64)
    values[column.is_null().to_numpy()] = np.nan
    return values


def target_values(table: pa.Table, spec: ModelSpec, classes: tuple[str, ...]) -> NDArray[np.float64]:
    """The target as float64 [rows]: index in ``classes``, or the value itself for a regression."""
    column = table.column(spec.target.column)
    if spec.task == "regression":
        return numbers(column)
    return numbers(pc.index_in(column, value_set=pa.array(classes, pa.string())).cast(pa.float64()))


def encode_feature(column: pa.ChunkedArray, feature: Feature) -> Iterator[NDArray[np.float64]]:
    """One validated feature as float64 [rows] each: one array, of a date its four parts."""
    match feature:
        case NumberFeature():
            yield numbers(column)
        case CategoryFeature():
            codes = pc.index_in(column, value_set=pa.array(feature.values, pa.string())).cast(pa.float64())
            values = np.array(codes.fill_null(UNKNOWN).to_numpy(), np.float64)
            values[column.is_null().to_numpy()] = np.nan
            yield values
        case DateFeature():
            yield from _date_columns(column).T


def _date_columns(column: pa.ChunkedArray) -> NDArray[np.float64]:
    """Days, month, weekday and hour of timestamps: each distinct moment once, by the code that serves."""
    moments = column.cast(pa.int64()).combine_chunks().dictionary_encode()
    parts = [moment_parts(EPOCH + timedelta(microseconds=value)) for value in moments.dictionary.to_pylist()]
    table = np.array([*parts, (np.nan,) * 4], np.float64)  # the last row stands for a missing moment
    found: NDArray[np.float64] = table[moments.indices.fill_null(len(parts)).to_numpy(zero_copy_only=False)]
    return found
