"""A file's rows against the spec: the accepted as a typed table, the refused each with column and reason.

Checks run over whole columns; only refused rows are looked at one by one.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from perennial.datasets.arrow import arrow_schema
from perennial.datasets.cells import Checked, check_feature, check_id, check_label, check_number, check_time
from perennial.datasets.reading import SEPARATORS, Header, RawFile
from perennial.datasets.text import holds_single_values, text_of
from perennial.errors import DataError
from perennial.spec import ModelSpec, NumberFeature, canonical


@dataclass(frozen=True)
class Refusal:
    """A row that does not fit the spec. ``row`` is 1-based without the header; ``values`` are its cells as read.

    A malformed CSV row has no cells: its ``text`` is kept instead.
    """

    row: int
    column: str | None
    reason: str
    values: Mapping[str, str | None] | None = None
    text: str | None = None


@dataclass(frozen=True)
class Validated:
    """``table`` has the columns of ``arrow_schema(spec)``; ``rows`` holds the row number of each of its rows."""

    table: pa.Table
    rows: NDArray[np.int64]
    refused: tuple[Refusal, ...]


def check_header(name: str, header: Header, spec: ModelSpec, *, labelled: bool = True) -> None:
    """Raise DataError unless the file has every column the spec names."""
    for column in arrow_schema(spec, labelled=labelled).names:
        if column.strip() not in header.names:
            role = "the target" if column == spec.target.column else "in the spec"
            raise missing_column(name, header, column, role, taken=arrow_schema(spec, labelled=labelled).names)


def missing_column(file: str, header: Header, column: str, role: str, *, taken: Collection[str] = ()) -> DataError:
    """The error for a column a file lacks: most often the file is separated by something else, or it is a typo.

    ``taken`` names the columns that are something else already.
    """
    if header.separator is not None:
        return DataError(
            f"looks separated by {SEPARATORS[header.separator]}, not by commas.",
            file=file,
            remedy="Save it with commas between the columns.",
        )
    others = {name.strip() for name in taken}
    lowered = {name.lower(): name for name in header.names if name not in others}
    near = [lowered[name] for name in difflib.get_close_matches(column.lower(), lowered, n=1)]
    return DataError(
        f"is {role} but not in the file.",
        file=file,
        column=column,
        remedy=f"Did you mean '{near[0]}'?" if near else f"The file has {_shortened(header.names) or 'no column'}.",
    )


def nested_column(file: str, column: str, kind: pa.DataType) -> DataError:
    """The error for a column the spec names whose cells are lists, structs or bytes."""
    return DataError(
        f"holds no single values but {kind}.",
        file=file,
        column=column,
        remedy="Flatten it into columns of numbers, texts or dates.",
    )


def validate(raw: RawFile, spec: ModelSpec, *, labelled: bool = True) -> Validated:
    """Check every row. ``labelled=False`` looks at the features only.

    Raises:
        DataError: a column the spec names is missing, or is nested.
    """
    check_header(raw.name, raw.header, spec, labelled=labelled)
    schema = arrow_schema(spec, labelled=labelled)
    names = {column: column.strip() for column in schema.names}
    values: list[pa.Array] = []
    reason = np.zeros(len(raw.rows), np.int16)
    reasons: list[tuple[str, str]] = []
    for column, name in names.items():
        checked = _check(raw, name, column, spec)
        broken = (checked.reason > 0) & (reason == 0)
        reason[broken] = checked.reason[broken] + len(reasons)
        reasons += [(column, text) for text in checked.reasons]
        values.append(checked.values)
    accepted = reason == 0
    table = pa.Table.from_arrays(values, schema=schema).filter(pa.array(accepted))
    refused = _refused(raw, np.flatnonzero(~accepted), [reasons[code - 1] for code in reason[~accepted]])
    return Validated(table.combine_chunks(), raw.rows[accepted], refused)


def quarantine_lines(name: str, refused: tuple[Refusal, ...]) -> bytes:
    """One canonical JSON object a line and refused row: file, row, column, reason and the row's own cells."""
    lines = [
        canonical(
            {"file": name, "row": one.row, "column": one.column, "reason": one.reason}
            | ({"values": one.values} if one.values is not None else {"text": one.text})
        )
        for one in refused
    ]
    return b"".join(line + b"\n" for line in lines)


def common_reasons(refused: tuple[Refusal, ...]) -> str:
    """The three most frequent reasons, in words: ``'Age' is missing (12 rows, first row 3)``."""
    counted = Counter((one.column or "", one.reason) for one in refused)
    first = {(one.column or "", one.reason): one.row for one in reversed(refused)}
    ranked = sorted(counted.items(), key=lambda item: (-item[1], item[0]))[:3]
    return "; ".join(
        f"{f'{column!r} ' if column else 'a row '}{reason} ({times:,} rows, first row {first[column, reason]})"
        for (column, reason), times in ranked
    )


def _check(raw: RawFile, name: str, column: str, spec: ModelSpec) -> Checked:
    """One column of a spec, in the role it plays there; a row without a time has no place in a chronology."""
    cells = raw.columns[name]
    if not holds_single_values(cells):
        raise nested_column(raw.name, column, cells.type)
    if column in spec.features:
        feature = spec.features[column]
        return check_feature(cells, feature.model_copy(update={"missing": False}) if column == spec.time else feature)
    if column == spec.target.column:
        if spec.task == "regression":
            return check_number(cells, NumberFeature(type="number"))
        return check_label(cells, spec.target.classes)
    return check_id(cells) if column == spec.id else check_time(cells)


def _refused(raw: RawFile, places: NDArray[np.intp], why: list[tuple[str, str]]) -> tuple[Refusal, ...]:
    """Refused and malformed rows together, by row number."""
    take = pa.array(places)
    cells = {name: text_or_none(column.take(take)) for name, column in raw.columns.items()} if len(places) else {}
    found = [
        Refusal(int(raw.rows[place]), column, reason, values={name: cells[name][i] for name in cells})
        for i, (place, (column, reason)) in enumerate(zip(places, why, strict=True))
    ]
    found += [Refusal(bad.row, bad.column, bad.why(len(raw.header.names)), text=bad.text) for bad in raw.malformed]
    return tuple(sorted(found, key=lambda one: one.row))


def text_or_none(column: pa.Array) -> list[str | None]:
    """Cells as text for people; what has no text form of its own is shown by its Python value."""
    if not holds_single_values(column):
        return [None if value is None else str(value)[:200] for value in column.to_pylist()]
    return list((column if pa.types.is_string(column.type) else text_of(column)).to_pylist())


def _shortened(names: tuple[str, ...]) -> str:
    shown = ", ".join(repr(name) for name in names[:8])
    return shown + (f" and {len(names) - 8} more" if len(names) > 8 else "")
