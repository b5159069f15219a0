"""What kind of task a target column makes: its classes and which of them is the positive, or a regression."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from perennial.datasets.cells import check_number
from perennial.datasets.classes import class_order
from perennial.datasets.profile import present_counts
from perennial.datasets.text import holds_single_values, text_of
from perennial.errors import DataError
from perennial.spec import NumberFeature, Task, label

MOST_CLASSES = 100
MOST_NUMERIC_CLASSES = 20
ROWS_PER_CLASS = 10
POSITIVE_WORDS = frozenset(
    ("1", "yes", "y", "true", "t", "positive", "pos", "present", "sick", "ill", "fraud", "spam", "churned", "default",
     "failed", "failure", "bad", "success", "won", "up", "high")
)  # fmt: skip


@dataclass(frozen=True)
class TargetProfile:
    """``classes`` in their order (none for a regression), the positive one last for a binary task.

    ``y`` float64 [rows] is the class index or the value, NaN where the row has no usable target. ``baseline``
    is the accuracy of the commonest class, or the mean absolute error of the median.
    """

    task: Task
    classes: tuple[str, ...]
    y: NDArray[np.float64]
    baseline: float
    note: str
    warnings: tuple[str, ...] = ()


def profile_target(file: str, name: str, column: pa.Array) -> TargetProfile:
    """Judge the target's column.

    Two distinct values make a binary task; numbers that are many or broken a regression; else classes.

    Raises:
        DataError: it holds no value, one value only, or too many texts to be classes.
    """
    if not holds_single_values(column):
        raise DataError(f"holds no single values ({column.type}).", file=file, column=name, remedy="Name another.")
    text = text_of(column)
    counts = present_counts(text)
    numeric = check_number(column, NumberFeature(type="number", missing=True))
    is_numeric = bool(counts) and not (numeric.reason > 0).any()
    if not is_numeric:
        counts = present_counts(text, keep_none=True)
    if not counts:
        raise DataError("holds no value at all.", file=file, column=name, remedy="Name another target.")
    if len(counts) == 1:
        only = next(iter(counts))
        raise DataError(f"holds one class only ({only!r}).", file=file, column=name, remedy="Add rows of another.")
    if is_numeric and len(counts) > 2:
        values = np.array(numeric.values.to_numpy(zero_copy_only=False), np.float64)
        if _is_quantity(values, len(counts)):
            return _regression(name, values)
    if len(counts) > MOST_CLASSES:
        raise DataError(
            f"holds {len(counts):,} different texts: neither classes nor numbers.",
            file=file, column=name, remedy="Name another target, or mend the cells that are no numbers.",
        )  # fmt: skip
    return _classes(file, name, text, counts)


def positive_class(counts: dict[str, int]) -> str:
    """Of two classes, the one that is the event: named like one (yes, 1, >50K), else the rarer, else the last."""
    named = [name for name in counts if name.lower() in POSITIVE_WORDS]
    if len(named) != 1:
        named = [name for name in counts if name.startswith(">")]
    if len(named) == 1:
        return named[0]
    return min(counts, key=lambda name: (counts[name], -class_order(counts).index(name)))


def _is_quantity(values: NDArray[np.float64], distinct: int) -> bool:
    seen = values[~np.isnan(values)]
    whole = bool((seen == np.floor(seen)).all())
    return not whole or distinct > MOST_NUMERIC_CLASSES or len(seen) < ROWS_PER_CLASS * distinct


def _regression(name: str, values: NDArray[np.float64]) -> TargetProfile:
    seen = values[~np.isnan(values)]
    error = float(np.abs(seen - np.median(seen)).mean())
    note = f"a number from {seen.min():g} to {seen.max():g}, median {np.median(seen):g}"
    return TargetProfile("regression", (), values, error, note, _unlabelled(name, len(values) - len(seen)))


def _classes(file: str, name: str, text: pa.Array, counts: dict[str, int]) -> TargetProfile:
    warnings: list[str] = []
    single = [value for value in class_order(counts) if counts[value] < 2]
    if single:
        shown = ", ".join(repr(value) for value in single[:5])
        if len(counts) - len(single) < 2:
            raise DataError(
                f"holds a class with a single row ({shown}).", file=file, column=name, remedy="Add rows of it."
            )
        warnings.append(f"'{name}': classes seen once are left out, their rows will be refused: {shown}.")
        counts = {value: times for value, times in counts.items() if times > 1}
    order = class_order(counts)
    if len(order) == 2:
        positive = positive_class(counts)
        order = [*(value for value in order if value != positive), positive]
    places = {value: float(index) for index, value in enumerate(order)}
    encoded = text.dictionary_encode()
    index = pa.array([places.get(label(value)) for value in encoded.dictionary.to_pylist()], pa.float64())
    y = np.array(index.take(encoded.indices).to_numpy(zero_copy_only=False), np.float64)
    total = sum(counts.values())
    shown = ", ".join(f"{counts[value] / total:.1%} {value}" for value in order[-3:])
    missing = len(text) - total - len(single)
    task: Task = "binary" if len(order) == 2 else "multiclass"
    baseline = max(counts.values()) / total
    return TargetProfile(task, tuple(order), y, baseline, shown, (*warnings, *_unlabelled(name, missing)))


def _unlabelled(name: str, missing: int) -> tuple[str, ...]:
    return (f"'{name}': {missing:,} rows have no target and will be refused.",) if missing else ()
