"""One landing file made ready for a version: read, validated, its refused rows in quarantine, its rows keyed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from perennial import keys
from perennial.datasets.landing import LandedFile
from perennial.datasets.manifest import schema_digest
from perennial.datasets.reading import read_file
from perennial.datasets.rowkeys import RowKeys, row_keys
from perennial.datasets.validate import Validated, common_reasons, quarantine_lines, validate
from perennial.errors import AlreadyExistsError, DataError, IntegrityError
from perennial.spec import ModelSpec
from perennial.store import Store


@dataclass(frozen=True)
class Prepared:
    """The accepted rows of one source (``digest``), with row numbers and keys; ``refused`` counts the others."""

    name: str
    digest: str
    table: pa.Table
    rows: NDArray[np.int64]
    keys: RowKeys
    refused: int


def prepare(store: Store, spec: ModelSpec, landed: LandedFile) -> Prepared:
    """Read and validate one landing file, and write its refused rows to quarantine.

    Raises:
        DataError: the file cannot be used, or every row of it is refused.
        IntegrityError: it changed since it was listed.
    """
    data = store.get(landed.key).data
    if hashlib.sha256(data).hexdigest() != landed.digest:
        raise IntegrityError(f"{landed.key} changed while it was read.", remedy="Land changed data as a new file.")
    try:
        checked = validate(read_file(landed.key, data), spec)
    except DataError as error:
        error.remedy = f"{error.remedy or ''} Remove {landed.key} to go on without it.".strip()
        raise
    quarantine = keys.quarantine(spec.name, landed.digest, schema_digest(spec))
    if checked.refused:
        _put_quarantine(store, quarantine, landed.key, checked)
    if not checked.table.num_rows:
        raise DataError(
            f"every one of its {len(checked.refused):,} rows is refused: {common_reasons(checked.refused)}.",
            file=landed.key,
            remedy=f"See {quarantine}; mend the spec, or land a mended file and remove this one.",
        )
    return Prepared(
        landed.key, landed.digest, checked.table, checked.rows, row_keys(checked.table, spec), len(checked.refused)
    )


def _put_quarantine(store: Store, key: str, name: str, checked: Validated) -> None:
    try:
        store.put_new(key, quarantine_lines(name, checked.refused))
    except AlreadyExistsError:
        return  # the same content, judged by the same schema, under another file name
