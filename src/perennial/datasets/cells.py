"""One column of a file against what the spec says of it: values, and a reason for each cell refused.

The rules are those of :class:`perennial.records.RecordSchema`, applied to whole columns. Text is trimmed
first; a usual mark of a missing value counts as missing unless it is one of a category's declared values.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from perennial.datasets.text import MISSING_MARKS, is_missing_mark, text_of
from perennial.records import EPOCH, MAX_DATE_TEXT, MAX_TEXT, parse_date
from perennial.spec import CategoryFeature, Feature, NumberFeature, label

MICROSECOND = timedelta(microseconds=1)
_NUMBER = r"^[+-]?(([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?|inf|infinity|nan)$"
_WITH_COMMA = r"^[+-]?[0-9][0-9.]*,[0-9.,]*$"

FINE = 0
MISSING = "is missing"
UNDECLARED = "is not one of the declared values"
NOT_A_NUMBER = "is not a number"
COMMA = "has a comma; decimals take a point"
NOT_FINITE = "is not a finite number"
NOT_WHOLE = "is not a whole number"
NOT_A_DATE = "is not an ISO 8601 date"
NOT_A_TIME = "is neither an ISO 8601 date nor a number of seconds"
TOO_LONG = f"is longer than {MAX_TEXT} characters"


@dataclass(frozen=True)
class Checked:
    """``values``: Arrow array, null where missing or refused. ``reason``: per row, 0 or 1 + index in ``reasons``."""

    values: pa.Array
    reason: NDArray[np.int8]
    reasons: tuple[str, ...]


def check_feature(column: pa.Array, feature: Feature) -> Checked:
    """A feature's column: float64, string or timestamp[us] values."""
    if isinstance(feature, NumberFeature):
        return check_number(column, feature)
    if isinstance(feature, CategoryFeature):
        return _check_category(column, feature)
    return _check_each(column, pa.timestamp("us"), _date, optional=feature.missing)


def check_number(column: pa.Array, feature: NumberFeature) -> Checked:
    """A column of numbers within the feature's bounds."""
    values, missing, readable = _numbers(column)
    commas = readable if readable.all() else _commas(column)
    finite = np.isfinite(values)
    rules: list[tuple[str, NDArray[np.bool_]]] = [
        (COMMA, ~readable & commas),
        (NOT_A_NUMBER, ~readable),
        (NOT_FINITE, ~finite),
    ]
    if not feature.missing:
        rules.insert(0, (MISSING, missing))
    if feature.min is not None:
        rules.append((f"is below the minimum {label(feature.min)}", values < feature.min))
    if feature.max is not None:
        rules.append((f"is above the maximum {label(feature.max)}", values > feature.max))
    if feature.integer:
        rules.append((NOT_WHOLE, finite & (values != np.floor(values))))
    reason = np.zeros(len(values), np.int8)
    for index, (rule, broken) in enumerate(rules):
        applies = broken if rule == MISSING else broken & ~missing
        reason[applies & (reason == FINE)] = index + 1
    absent = missing | (reason != FINE)
    return Checked(pa.array(values, pa.float64(), mask=absent), reason, tuple(rule for rule, _ in rules))


def check_label(column: pa.Array, classes: tuple[str, ...] | None) -> Checked:
    """A target's column of class labels; with ``classes`` given, no other is accepted."""

    def judge(text: str) -> tuple[str, str | None]:
        name = label(text)
        if classes is not None:
            return name, None if name in classes else UNDECLARED
        return name, TOO_LONG if len(name) > MAX_TEXT else None

    return _check_each(column, pa.string(), judge, kept=frozenset(classes or ()))


def check_id(column: pa.Array) -> Checked:
    """An id's column: any text, canonical as labels are; it may be missing."""
    return _check_each(
        column, pa.string(), lambda text: (label(text), TOO_LONG if len(text) > MAX_TEXT else None), optional=True
    )


def check_time(column: pa.Array) -> Checked:
    """The time column where it is no feature: an ISO 8601 date, or a number taken as seconds since 1970."""
    return _check_each(column, pa.timestamp("us"), _time)


def _check_category(column: pa.Array, feature: CategoryFeature) -> Checked:
    declared = frozenset(feature.values)

    def judge(text: str) -> tuple[str, str | None]:
        name = label(text)
        if name in declared:
            return name, None
        if feature.unknown == "refuse":
            return name, UNDECLARED
        return name, TOO_LONG if len(name) > MAX_TEXT else None

    return _check_each(column, pa.string(), judge, optional=feature.missing, kept=declared)


def _check_each(
    column: pa.Array,
    kind: pa.DataType,
    judge: Callable[[str], tuple[Any, str | None]],
    *,
    optional: bool = False,
    kept: frozenset[str] = frozenset(),
) -> Checked:
    """Judge each distinct text once: its value and why it is refused, if it is. ``kept`` are no missing marks."""
    encoded = text_of(column).dictionary_encode()
    reasons: list[str] = []
    values: list[Any] = []
    codes: list[int] = []
    for text in encoded.dictionary.to_pylist():
        if is_missing_mark(text) and label(text) not in kept:
            value, reason = None, None if optional else MISSING
        else:
            value, reason = judge(text)
        if reason is not None and reason not in reasons:
            reasons.append(reason)
        values.append(value if reason is None else None)
        codes.append(FINE if reason is None else 1 + reasons.index(reason))
    indices = encoded.indices
    absent = indices.is_null().to_numpy(zero_copy_only=False)
    if absent.any() and not optional and MISSING not in reasons:
        reasons.append(MISSING)
    place = indices.fill_null(0).to_numpy(zero_copy_only=False)
    reason_of = np.array(codes or [FINE], np.int8)[place]
    reason_of[absent] = FINE if optional else 1 + reasons.index(MISSING) if absent.any() else FINE
    return Checked(pa.array(values, kind).take(indices), reason_of, tuple(reasons))


def _numbers(column: pa.Array) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_]]:
    """Values (NaN where there is none), which are missing, and which could be read as a number."""
    kind = column.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        values = _float64(column.cast(pa.float64(), safe=False))
        return values, np.isnan(values), np.ones(len(values), np.bool_)
    text = text_of(column)
    marks = pc.is_in(pc.utf8_lower(text), value_set=pa.array(sorted(MISSING_MARKS)))
    missing = pc.or_kleene(marks, text.is_null())
    text = pc.if_else(missing, pa.scalar(None, pa.string()), text)
    readable = np.ones(len(text), np.bool_)
    try:
        numbers = text.cast(pa.float64())
    except pa.ArrowInvalid:
        matched = pc.match_substring_regex(text, _NUMBER, ignore_case=True)
        readable = matched.fill_null(True).to_numpy(zero_copy_only=False)
        numbers = pc.if_else(matched, text, pa.scalar(None, pa.string())).cast(pa.float64())
    return _float64(numbers), missing.to_numpy(zero_copy_only=False), readable


def _commas(column: pa.Array) -> NDArray[np.bool_]:
    """Which would be numbers but for commas, as where a decimal comma is the custom."""
    found: NDArray[np.bool_] = (
        pc.match_substring_regex(text_of(column), _WITH_COMMA).fill_null(False).to_numpy(zero_copy_only=False)
    )
    return found


def _float64(column: pa.Array) -> NDArray[np.float64]:
    values = np.array(column.to_numpy(zero_copy_only=False), np.float64)
    values[column.is_null().to_numpy(zero_copy_only=False)] = np.nan
    return values


def _date(text: str) -> tuple[int | None, str | None]:
    """Microseconds since 1970 of a date feature's text."""
    if len(text) > MAX_DATE_TEXT:
        return None, NOT_A_DATE
    try:
        return _microseconds(parse_date(text)), None
    except (ValueError, OverflowError):
        return None, NOT_A_DATE


def _time(text: str) -> tuple[int | None, str | None]:
    try:
        seconds = float(text)
    except ValueError:
        moment, reason = _date(text)
        return moment, reason and NOT_A_TIME
    if not math.isfinite(seconds) or abs(seconds) > 9e12:
        return None, NOT_A_TIME
    return round(seconds * 1_000_000), None


def _microseconds(moment: datetime) -> int:
    return (moment - EPOCH) // MICROSECOND
