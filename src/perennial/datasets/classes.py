"""What a dataset must hold before anything is trained on it: rows on both sides, classes, and values."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc

from perennial.errors import DataError
from perennial.spec import ModelSpec


def checked_classes(spec: ModelSpec, train: list[pa.Table], holdout: list[pa.Table]) -> tuple[str, ...]:
    """The classes in the order of their index, the positive one last; none for a regression.

    The spec's own order where it declares classes, else numbers by value and text by the alphabet.

    Raises:
        DataError: a side has no rows or a single class, a class is unknown to training, or a binary task has
            more than two.
    """
    for side, tables in (("training", train), ("holdout", holdout)):
        if not any(table.num_rows for table in tables):
            raise DataError(f"No row is left for {side}.", remedy="Land more data, or change `holdout.fraction`.")
    if spec.task == "regression":
        return ()
    column = spec.target.column
    trained, held = _labels(train, column), _labels(holdout, column)
    if len(trained) < 2:
        raise DataError(
            f"holds only the class {min(trained)!r} for training.", column=column, remedy="Land rows of another class."
        )
    if len(held) < 2:
        raise DataError(
            f"holds only the class {min(held)!r} in the holdout.",
            column=column,
            remedy="Land more rows of each class, or change `holdout.fraction`.",
        )
    if held - trained:
        raise DataError(
            f"holds the class {min(held - trained)!r} in the holdout only.",
            column=column,
            remedy="Land more rows of it, or leave it out of `target.classes`.",
        )
    return _ordered(spec, trained)


def refuse_empty_columns(spec: ModelSpec, tables: list[pa.Table]) -> None:
    """Raise DataError for a feature without a single value."""
    for name in spec.features:
        if all(table.column(name).null_count == table.num_rows for table in tables):
            raise DataError("holds no value at all.", column=name, remedy="Take it out of `features`.")


def class_order(labels: Iterable[str]) -> list[str]:
    """Labels sorted: by value where all are numbers, else by the alphabet."""
    names = sorted(labels)
    try:
        return sorted(names, key=float)
    except ValueError:
        return names


def _ordered(spec: ModelSpec, found: set[str]) -> tuple[str, ...]:
    target = spec.target
    order = [name for name in target.classes if name in found] if target.classes else class_order(found)
    if spec.task != "binary":
        return tuple(order)
    if len(order) > 2:
        shown = ", ".join(repr(name) for name in order[:5])
        raise DataError(
            f"holds {len(order)} classes ({shown}) where a binary task has two.",
            column=target.column,
            remedy="Name the two in `target.classes`, or set `task: multiclass`.",
        )
    if target.positive is None:
        return tuple(order)
    if target.positive not in order:
        raise DataError(
            f"never holds the positive class {target.positive!r}, only {order[0]!r} and {order[1]!r}.",
            column=target.column,
            remedy="Correct `target.positive`.",
        )
    return (*(name for name in order if name != target.positive), target.positive)


def _labels(tables: list[pa.Table], column: str) -> set[str]:
    return {str(name) for table in tables for name in pc.unique(table.column(column)).to_pylist()}
