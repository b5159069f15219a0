"""One landing file made ready for a version: read, validated, its refused rows in quarantine, its rows keyed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from perennial import keys
from perennial.datasets.arrow import arrow_schema
from perennial.datasets.collected import prediction_column
from perennial.datasets.landing import LandedFile
from perennial.datasets.manifest import schema_digest
from perennial.datasets.reading import Header, RawFile, read_file
from perennial.datasets.rowkeys import RowKeys, row_keys
from perennial.datasets.validate import Validated, common_reasons, quarantine_lines, validate
from perennial.errors import AlreadyExistsError, DataError, IntegrityError
from perennial.keys import LandingKind
from perennial.spec import ModelSpec
from perennial.store import Store


@dataclass(frozen=True)
class Prepared:
    """The accepted rows of one source (``digest``), with row numbers and keys; ``refused`` counts the others.

    ``predictions`` holds the id of each row's prediction where it was collected from one, else nothing.
    """

    name: str
    digest: str
    kind: LandingKind
    table: pa.Table
    rows: NDArray[np.int64]
    keys: RowKeys
    refused: int
    predictions: tuple[str, ...] = ()


def prepare(
    store: Store, spec: ModelSpec, landed: LandedFile, progress: Callable[[str], None] | None = None
) -> Prepared:
    """Read and validate one landing file, and write its refused rows to quarantine.

    What was collected from predictions or pulled from a database cannot be mended by anyone: where the spec has changed
    since, a column that it lacks is taken for missing, and all of its rows may be refused.

    Raises:
        DataError: the file cannot be used, or every row of one that its owner landed is refused.
        IntegrityError: it changed since it was listed.
    """
    data = store.get(landed.key).data
    if hashlib.sha256(data).hexdigest() != landed.digest:
        raise IntegrityError(f"{landed.key} changed while it was read.", remedy="Land changed data as a new file.")
    kind, by_hand = keys.landing_kind(spec.name, landed.key), keys.landed_by_hand(spec.name, landed.key)
    try:
        raw = read_file(landed.key, data)
        checked = accepted(store, spec, raw if by_hand else _with_columns(raw, spec), progress=progress)
    except DataError as error:
        error.remedy = f"{error.remedy or ''} Remove {landed.key} to go on without it.".strip()
        raise
    quarantine = keys.quarantine(spec.name, landed.digest, schema_digest(spec))
    if checked.refused:
        _put_quarantine(store, quarantine, landed.key, checked)
    if not checked.table.num_rows and by_hand:
        raise DataError(
            f"every one of its {len(checked.refused):,} rows is refused: {common_reasons(checked.refused)}.",
            file=landed.key,
            remedy=f"See {quarantine}; mend the spec, or land a mended file and remove this one.",
        )
    return Prepared(
        name=landed.key,
        digest=landed.digest,
        kind=kind,
        table=checked.table,
        rows=checked.rows,
        keys=row_keys(checked.table, spec),
        refused=len(checked.refused),
        predictions=() if kind == "landed" else _predictions(raw, checked.rows),
    )


def accepted(
    store: Store,
    spec: ModelSpec,
    raw: RawFile,
    *,
    only: NDArray[np.bool_] | None = None,
    progress: Callable[[str], None] | None = None,
) -> Validated:
    """The rows of a file that fit the spec, and those that do not; of pictures ``only`` some are looked at.

    Raises:
        DataError: a column that the spec names is missing, or is nested.
    """
    if spec.input != "image":
        return validate(raw, spec)
    from perennial.datasets.picture_rows import validate_pictures  # Pillow is imported where there are pictures

    return validate_pictures(store, spec, raw, only=only, progress=progress)


def _predictions(raw: RawFile, rows: NDArray[np.int64]) -> tuple[str, ...]:
    column = prediction_column(raw.header.names)
    if column is None:
        return ()
    places = np.searchsorted(raw.rows, rows)
    return tuple(raw.columns[column].take(pa.array(places)).to_pylist())


def _with_columns(raw: RawFile, spec: ModelSpec) -> RawFile:
    """The file with an empty column for each that the spec names and it lacks."""
    lacking = [name.strip() for name in arrow_schema(spec).names if name.strip() not in raw.header.names]
    empty = {name: pa.nulls(len(raw.rows), pa.string()) for name in lacking}
    return replace(raw, header=Header((*raw.header.names, *lacking)), columns={**raw.columns, **empty})


def _put_quarantine(store: Store, key: str, name: str, checked: Validated) -> None:
    try:
        store.put_new(key, quarantine_lines(name, checked.refused))
    except AlreadyExistsError:
        return  # the same content, judged by the same schema, under another file name
