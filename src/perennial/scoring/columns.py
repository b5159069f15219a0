"""Columns as read -> the float64 matrix of the model, with a reason for each row that does not fit: the fast lane.

The rules are those of ``datasets.validate`` and ``datasets.arrow.encode``, and so are the answers, bit for bit. Only
the work is less: numbers that are plainly fine are judged by their smallest and largest, and of any other column each
distinct cell is judged once, by the very functions that judge whole columns there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from perennial.datasets.arrow import encode_feature
from perennial.datasets.cells import FINE, MISSING, Checked, check_feature
from perennial.datasets.reading import RawFile
from perennial.datasets.text import holds_single_values
from perennial.datasets.validate import nested_column
from perennial.records import DATE_PARTS
from perennial.serving.predictor import Matrix
from perennial.spec import CategoryFeature, DateFeature, Feature, ModelSpec, NumberFeature


@dataclass(frozen=True)
class Encoded:
    """``x``: float64 [rows, columns], in the order of ``records.columns``. ``reason``: per row, 0 where it fits.

    Any other reason is 1 + the index of its (column, words) in ``reasons``, that of the first column to break a rule.
    What ``x`` holds of such a row means nothing. ``reason`` is None where every row fits.
    """

    x: Matrix
    reason: NDArray[np.int16] | None
    reasons: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class _Column:
    """One feature: ``values`` float64 [rows] or [rows, 4], ``reason`` per row as in ``Checked``, None where all fit."""

    values: Matrix
    reason: NDArray[np.int8] | None = None
    reasons: tuple[str, ...] = ()

    @property
    def width(self) -> int:
        """How many columns of the matrix it is."""
        return 1 if self.values.ndim == 1 else self.values.shape[1]


def encode_columns(raw: RawFile, spec: ModelSpec) -> Encoded:
    """Check and encode every row. A feature the file has no column for is missing in all of them.

    Raises:
        DataError: a column the spec names holds lists, structs or bytes.
    """
    rows = len(raw.rows)
    found = {name: _column(raw, name, feature, spec) for name, feature in spec.features.items()}
    x = np.empty((rows, sum(one.width for one in found.values())))
    reason: NDArray[np.int16] | None = None
    reasons: list[tuple[str, str]] = []
    place = 0
    for name, one in found.items():
        x[:, place if one.values.ndim == 1 else slice(place, place + one.width)] = one.values
        place += one.width
        if one.reason is None:
            continue
        reason = np.zeros(rows, np.int16) if reason is None else reason
        broken = (one.reason > FINE) & (reason == FINE)
        reason[broken] = one.reason[broken] + len(reasons)
        reasons += [(name, text) for text in one.reasons]
    return Encoded(x, reason, tuple(reasons))


def _column(raw: RawFile, name: str, feature: Feature, spec: ModelSpec) -> _Column:
    if name == spec.time:  # as in training: a row without a time has no place in a chronology
        feature = feature.model_copy(update={"missing": False})
    column = raw.columns.get(name)
    if column is None:
        column = pa.nulls(len(raw.rows), pa.string())
    if not holds_single_values(column):
        raise nested_column(raw.name, name, column.type)
    return _number(column, feature) if isinstance(feature, NumberFeature) else _distinct(column, feature)


def _number(column: pa.Array, feature: NumberFeature) -> _Column:
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _distinct(column, feature)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        values: Matrix = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
        if _plain(values, feature):
            return _Column(_canonical(values) if feature.missing else values)
    return _judged(check_feature(column, feature), feature)


def _plain(values: Matrix, feature: NumberFeature) -> bool:
    """Whether no value breaks a rule of the feature; NaN, which is no value, does where it must not be missing."""
    if not len(values):
        return True
    least, most = (np.fmin, np.fmax) if feature.missing else (np.minimum, np.maximum)
    low, high = float(least.reduce(values)), float(most.reduce(values))
    if math.isnan(low):
        return feature.missing
    if not (math.isfinite(low) and math.isfinite(high)):
        return False
    if (feature.min is not None and low < feature.min) or (feature.max is not None and high > feature.max):
        return False
    return not feature.integer or bool(((values == np.floor(values)) | np.isnan(values)).all())


def _canonical(values: Matrix) -> Matrix:
    """NaN as numpy writes it, whatever bits stood in the file."""
    missing = np.isnan(values)
    return np.where(missing, np.nan, values) if missing.any() else values


def _distinct(column: pa.Array, feature: Feature) -> _Column:
    """Judge and encode each distinct cell once, and look the rows up."""
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    one = _declared(column.dictionary, feature) or _judged(check_feature(column.dictionary, feature), feature)
    indices = column.indices
    absent = len(column.dictionary)  # the place behind the last stands for null
    if indices.null_count:
        indices = indices.fill_null(absent)
    places = indices.to_numpy(zero_copy_only=False)
    values = np.concatenate([one.values, np.full((1, *one.values.shape[1:]), np.nan)])
    reason, reasons = _with_null(one, column.indices.null_count > 0, optional=feature.missing)
    return _Column(values[places], None if reason is None else reason[places], reasons)


def _declared(cells: pa.Array, feature: Feature) -> _Column | None:
    """The codes of cells that are all written as the spec writes them; None where any is not."""
    if not isinstance(feature, CategoryFeature) or not pa.types.is_string(cells.type):
        return None
    codes = list(map(_codes(feature.values).get, cells.to_pylist()))
    return None if None in codes else _Column(np.array(codes, np.float64))


@lru_cache(maxsize=1024)
def _codes(values: tuple[str, ...]) -> dict[str | None, float]:
    return {value: float(code) for code, value in enumerate(values)}


def _with_null(one: _Column, has_null: bool, *, optional: bool) -> tuple[NDArray[np.int8] | None, tuple[str, ...]]:
    """The reasons of the distinct cells, and behind them that of null."""
    refused = has_null and not optional
    if one.reason is None and not refused:
        return None, ()
    reasons = (*one.reasons, MISSING) if refused and MISSING not in one.reasons else one.reasons
    of_cells = np.zeros(len(one.values), np.int8) if one.reason is None else one.reason
    return np.append(of_cells, np.int8(1 + reasons.index(MISSING) if refused else FINE)), reasons


def _judged(checked: Checked, feature: Feature) -> _Column:
    """What the general lane made of a column."""
    blocks = list(encode_feature(pa.chunked_array([checked.values]), feature))
    values = np.column_stack(blocks) if isinstance(feature, DateFeature) else blocks[0]
    assert values.shape[1:] in ((), (len(DATE_PARTS),))
    return _Column(values, checked.reason, checked.reasons) if checked.reason.any() else _Column(values)
