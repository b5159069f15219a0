"""What a column of a data file seems to be: a number with a range, a category, a date, or nothing to learn from.

A draft judges rows nobody has seen yet, so it must allow for more than was seen: ranges are widened (see
``ranges``), and a category whose rarest value was seen rarely is taken to go on beyond the file, so unseen
values are legal. That is the argument of Good and Turing: what was seen rarely tells how much was not seen.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from perennial.datasets.cells import check_feature, check_number
from perennial.datasets.classes import class_order
from perennial.datasets.ranges import FEW, judge_range, often
from perennial.datasets.text import holds_single_values, is_missing_mark, text_of
from perennial.records import MAX_TEXT
from perennial.spec import CategoryFeature, DateFeature, Feature, NumberFeature, label

MOSTLY = 0.95
MOST_VALUES = 100
LONG_TEXT = 60
_ID_NAME = re.compile(r"(^|[\W_])(id|uuid|guid|key|index|rowid|rownum)$|[a-z](Id|ID)$", re.IGNORECASE)
_LOCAL_DATE = re.compile(r"^\d{1,2}[./-]\d{1,2}[./-]\d{2,4}\b")


@dataclass(frozen=True)
class Profile:
    """One column judged. ``feature`` is None where it is left out; ``note`` says why in a few words.

    ``scores`` stand for the values in the search for leaks: the numbers themselves, or the codes of categories,
    NaN where missing. ``doubtful`` marks what the owner should look at.
    """

    name: str
    feature: Feature | None
    note: str = ""
    scores: NDArray[np.float64] | None = None
    doubtful: bool = False


def profile(name: str, column: pa.Array, order: NDArray[np.intp] | None = None) -> Profile:
    """Judge one column (raw, as read) of at least one row; ``order`` holds the places of the rows by time."""
    if not holds_single_values(column):
        return Profile(name, None, f"holds no single values ({column.type})", doubtful=True)
    text = text_of(column)
    counts = present_counts(text)
    if not counts:
        return Profile(name, None, "no value at all", doubtful=True)
    present = sum(counts.values())
    if len(counts) == 1 and present == len(text):
        return Profile(name, None, f"always {next(iter(counts))!r}")
    number = _number(name, column, counts, order)
    if number is not None:
        return number
    dates = check_feature(text, DateFeature(type="date", missing=True))
    if present - int((dates.reason > 0).sum()) >= MOSTLY * present:
        missing = present < len(text)
        scores = np.array(dates.values.cast(pa.int64()).to_numpy(zero_copy_only=False), np.float64)
        return Profile(name, DateFeature(type="date", missing=missing), "", scores)
    return _text(name, text, counts)


def present_counts(text: pa.Array, *, keep_none: bool = False) -> Counter[str]:
    """How often each label occurs; missing marks are not counted. ``keep_none`` keeps the word None as a label."""
    found: Counter[str] = Counter()
    for row in pc.value_counts(text).to_pylist():
        value, times = row["values"], row["counts"]
        kept = keep_none and value is not None and value.lower() == "none"
        if value is not None and (kept or not is_missing_mark(value)):
            found[label(value)] += times
    return found


def _number(name: str, column: pa.Array, counts: Counter[str], order: NDArray[np.intp] | None) -> Profile | None:
    """A column of which nearly all values read as numbers; codes such as 007 do not count as numbers."""
    if pa.types.is_boolean(column.type) or any(re.match(r"^[+-]?0\d", value) for value in counts):
        return None
    checked = check_number(column, NumberFeature(type="number", missing=True))
    present = sum(counts.values())
    unreadable = int((checked.reason > 0).sum())
    values = np.array(checked.values.to_numpy(zero_copy_only=False), np.float64)
    seen = values[~np.isnan(values)]
    if not len(seen) or len(seen) < MOSTLY * present:
        return None
    integer = _written_whole(column, counts) and bool((seen == np.floor(seen)).all())
    if integer and (why := _row_counter(name, seen, len(values))):
        return Profile(name, None, why)
    found = judge_range(seen, integer=integer, by_time=None if order is None else values[order])
    feature = NumberFeature(
        type="number", min=found.low, max=found.high, integer=integer, missing=present < len(values)
    )
    note = found.note
    if unreadable:
        example = next(value for value in counts if check_number(pa.array([value]), feature).reason[0] > 0)
        note = f"{unreadable:,} cells are not numbers, such as {example!r}: their rows are refused"
    return Profile(name, feature, note, values, doubtful=bool(unreadable or found.note))


def _written_whole(column: pa.Array, counts: Counter[str]) -> bool:
    """Whether the numbers are integers by type, or written as such: 24.0 leaves room for 24.5."""
    if not pa.types.is_string(column.type):
        return bool(pa.types.is_integer(column.type))
    return not pc.any(pc.match_substring_regex(column, r"\d\.|[eE]")).as_py()


def _row_counter(name: str, seen: NDArray[np.float64], rows: int) -> str:
    """Why whole numbers identify rows rather than describe them, or nothing."""
    if len(seen) < rows or len(np.unique(seen)) < rows or rows < FEW:
        return ""
    if bool((np.diff(seen) > 0).all()):
        return "counts the rows up: an identifier"
    if seen.max() - seen.min() < 2 * rows or _ID_NAME.search(name):
        return "a different whole number in every row: an identifier"
    return ""


def _text(name: str, text: pa.Array, counts: Counter[str]) -> Profile:
    counts = present_counts(text, keep_none=True)
    present = sum(counts.values())
    if len(counts) == present and present > FEW:
        return Profile(name, None, "a different text in every row: an identifier")
    if sum(bool(_LOCAL_DATE.match(value)) for value in counts) > MOSTLY * len(counts):
        return Profile(name, None, "dates that are not ISO 8601 (2026-11-21)", doubtful=True)
    if len(counts) > FEW and len(counts) > present / 2:
        return Profile(name, None, "free text: most values occur once")
    lengths = [len(value) for value in counts]
    if (len(counts) > MOST_VALUES and float(np.median(lengths)) > LONG_TEXT) or max(lengths) > MAX_TEXT:
        return Profile(name, None, "free text: long values")
    kept = [value for value, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:MOST_VALUES]]
    rare = min(counts.values()) < often(present)
    note = ""
    if len(kept) < len(counts):
        note = f"the {MOST_VALUES} most frequent of {len(counts):,} values; the others count as unknown"
    elif rare:
        note = f"some values are rare, so unseen ones are legal and count as unknown ({len(counts)} seen)"
    settings: dict[str, Any] = {"unknown": "encode"} if rare or len(kept) < len(counts) else {}
    feature = CategoryFeature(type="category", values=tuple(class_order(kept)), missing=present < len(text), **settings)
    codes = pc.index_in(_labels(text), value_set=pa.array(feature.values, pa.string()))
    scores = np.array(codes.cast(pa.float64()).to_numpy(zero_copy_only=False), np.float64)
    return Profile(name, feature, note, scores)


def _labels(text: pa.Array) -> pa.Array:
    encoded = text.dictionary_encode()
    return pa.array([label(value) for value in encoded.dictionary.to_pylist()], pa.string()).take(encoded.indices)
