"""Label files: ground truth that the model's owner lands, by the id of a prediction or by that of its record.

Unlike a data file, a label file is taken whole or not at all: a row that cannot be used is an error that names it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from uuid import UUID

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from perennial import keys
from perennial.datasets.cells import Checked, check_id, check_label, check_number
from perennial.datasets.collected import PREDICTION_ID
from perennial.datasets.parts import part_bytes
from perennial.datasets.reading import SEPARATORS, RawFile, read_file
from perennial.datasets.text import holds_single_values
from perennial.datasets.unpack import read_local
from perennial.datasets.validate import missing_column
from perennial.errors import DataError
from perennial.records import MAX_TRUTH
from perennial.registry.registry import Registry
from perennial.spec import ModelSpec, NumberFeature
from perennial.store import Store

_NUMBER = NumberFeature(type="number", min=-MAX_TRUTH, max=MAX_TRUTH)
KeyKind = Literal["prediction_id", "id"]


class LandedLabels(BaseModel):
    """A label file in the bucket. ``labels`` counts what it says, ``repeated`` the rows that said it again.

    ``new`` is False where the same labels had landed before, in whatever order and format.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    digest: str
    labels: int
    by_prediction: int
    by_id: int
    repeated: int
    new: bool


@dataclass(frozen=True)
class _Column:
    """A column of keys: its name in the file, what it is a key of, and its cells."""

    name: str
    kind: KeyKind
    checked: Checked


def land_labels(store: Store, spec: ModelSpec, path: Path) -> LandedLabels:
    """Put the labels of a local file into the bucket: CSV, also gzipped, or Parquet.

    It has the target's column and ``prediction_id`` or the spec's id column; where a row has both, the prediction id
    counts. A key that is unknown so far is kept: its prediction may be captured later. A later file that says
    otherwise of a key counts before an earlier one, and any file before what the API was told.

    Raises:
        DataError: the file cannot be read, lacks a column, or a row of it cannot be used; nothing is stored.
    """
    raw = read_file(str(path), read_local(path))
    if raw.malformed:
        bad = raw.malformed[0]
        raise DataError(
            f"{bad.why(len(raw.header.names))}.",
            file=raw.name,
            row=bad.row,
            remedy="Put text that holds a comma into quotes.",
        )
    truth = _truth(store, spec, raw)
    names, by = _keys(spec, raw)
    table, repeated = _distinct(spec, raw, names, by, truth)
    data = part_bytes(table)
    digest = hashlib.sha256(data).hexdigest()
    key = keys.label_file(spec.name, digest)
    new = not store.exists(key)
    store.put_new(key, data)
    by_id = table.column("by").to_pylist().count("id")
    return LandedLabels(
        key=key,
        digest=digest,
        labels=table.num_rows,
        by_prediction=table.num_rows - by_id,
        by_id=by_id,
        repeated=repeated,
        new=new,
    )


def _truth(store: Store, spec: ModelSpec, raw: RawFile) -> pa.Array:
    """The target's column, checked; the classes are those the spec declares, or those the champion knows."""
    column = spec.target.column
    if column.strip() not in raw.header.names:
        raise missing_column(raw.name, raw.header, column, "the target")
    cells = _cells(raw, column)
    if spec.task == "regression":
        checked, remedy = check_number(cells, _NUMBER), "Write the number that is true."
    else:
        classes = _classes(store, spec)
        checked = check_label(cells, classes)
        remedy = f"The model knows {', '.join(map(repr, classes))}." if classes else "Name a class."
    _refuse_first(raw, column, checked, remedy)
    return checked.values


def _classes(store: Store, spec: ModelSpec) -> tuple[str, ...] | None:
    if spec.target.classes is not None:
        return spec.target.classes
    registry = Registry(store)
    head = registry.head(spec.name)
    return registry.manifest(spec.name, head.version).classes if head else None


def _keys(spec: ModelSpec, raw: RawFile) -> tuple[list[str], list[KeyKind]]:
    """For each row its key, and what it is a key of."""
    columns = _key_columns(spec, raw)
    if not columns:
        other = f" or '{spec.id}'" if spec.id else ""
        separator = raw.header.separator
        raise DataError(
            f"looks separated by {SEPARATORS[separator]}, not by commas." if separator else "holds no key of its rows.",
            file=raw.name,
            column=None if separator else PREDICTION_ID,
            remedy="Save it with commas." if separator else f"Add a column 'prediction_id'{other}.",
        )
    cells = [one.checked.values.to_pylist() for one in columns]
    names: list[str] = []
    by: list[KeyKind] = []
    for place, row in enumerate(raw.rows.tolist()):
        found = next(((one, cell[place]) for one, cell in zip(columns, cells, strict=True) if cell[place]), None)
        if found is None:
            shown = " and ".join(f"'{one.name}'" for one in columns)
            raise DataError(f"has no key in {shown}.", file=raw.name, row=row, remedy="Give one, or drop the row.")
        one, name = found
        name = _prediction_id(name) if one.kind == "prediction_id" else name
        if not name:
            raise DataError(
                "is no prediction id.",
                file=raw.name,
                row=row,
                column=one.name,
                remedy="Copy it as the API answered it, such as 019aa4c4-7d00-7000-8000-000000000000.",
            )
        names.append(name)
        by.append(one.kind)
    return names, by


def _prediction_id(text: str) -> str:
    """The id as the API writes it; empty for what is none."""
    try:
        found = UUID(text)
    except ValueError:
        return ""
    return str(found) if found.version == 7 else ""


def _key_columns(spec: ModelSpec, raw: RawFile) -> list[_Column]:
    wanted: list[tuple[str, KeyKind]] = [(PREDICTION_ID, "prediction_id")]
    if spec.id is not None and spec.id != PREDICTION_ID:
        wanted.append((spec.id, "id"))
    found = [(name, kind) for name, kind in wanted if name.strip() in raw.header.names]
    columns = [_Column(name, kind, check_id(_cells(raw, name))) for name, kind in found]
    for one in columns:
        _refuse_first(raw, one.name, one.checked, "Shorten it, or drop the row.")
    return columns


def _cells(raw: RawFile, column: str) -> pa.Array:
    cells = raw.columns[column.strip()]
    if not holds_single_values(cells):
        raise DataError(
            f"holds no single values but {cells.type}.", file=raw.name, column=column, remedy="Flatten it into columns."
        )
    return cells


def _refuse_first(raw: RawFile, column: str, checked: Checked, remedy: str) -> None:
    places: NDArray[np.intp] = np.flatnonzero(checked.reason)
    if len(places):
        more = f" ({len(places):,} rows have such a cell)" if len(places) > 1 else ""
        raise DataError(
            f"{checked.reasons[checked.reason[places[0]] - 1]}{more}.",
            file=raw.name,
            row=int(raw.rows[places[0]]),
            column=column,
            remedy=remedy,
        )


def _distinct(
    spec: ModelSpec, raw: RawFile, names: Sequence[str], by: Sequence[KeyKind], truth: pa.Array
) -> tuple[pa.Table, int]:
    """Each key once, sorted, and how many rows said again what another had said."""
    said: dict[tuple[KeyKind, str], tuple[object, int]] = {}
    for row, name, kind, value in zip(raw.rows.tolist(), names, by, truth.to_pylist(), strict=True):
        before = said.setdefault((kind, name), (value, row))
        if before[0] != value:
            raise DataError(
                f"contradicts row {before[1]}: both are of {name}.",
                file=raw.name,
                row=row,
                column=spec.target.column,
                remedy="Keep the one that is true.",
            )
    ordered = sorted(said)
    columns = {
        "key": pa.array([name for _, name in ordered], pa.string()),
        "by": pa.array([kind for kind, _ in ordered], pa.string()),
        "truth": pa.array([said[one][0] for one in ordered], truth.type),
    }
    return pa.table(columns), len(names) - len(ordered)
