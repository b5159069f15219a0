"""Rows of a version with the place of each, so that two models can be compared on the very same rows.

The holdout is read of both versions. The window is the challenger's alone: the champion reads its rows by its own
spec and classes, from the landing files where that spec has another schema.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import BaseModel, ValidationError

from perennial import keys
from perennial.datasets.landing import list_landed
from perennial.datasets.load import Rows, stored_table
from perennial.datasets.manifest import DatasetManifest, SplitName, schema_digest
from perennial.datasets.prepare import accepted
from perennial.datasets.reading import read_file
from perennial.datasets.rowindex import RowIndex, read_index
from perennial.errors import DataError, IntegrityError
from perennial.spec import ModelSpec
from perennial.store import Store

Place = tuple[str, int]
"""Digest of the source, and the row number there (1-based)."""


@dataclass(frozen=True)
class Placed:
    """Rows by source and row number; ``places`` holds the place of each, ``classes`` what ``rows.y`` counts in."""

    rows: Rows
    places: tuple[Place, ...]
    classes: tuple[str, ...]

    def take(self, rows: NDArray[np.int64]) -> Rows:
        """Some of the rows, by position."""
        return self.rows.take(rows)


class _Refused(BaseModel):
    row: int


def placed_holdout(store: Store, spec: ModelSpec, manifest: DatasetManifest) -> Placed:
    """Read the holdout of a version made under ``spec``.

    The places are those of the holdout's index but for the rows that this schema refused, which quarantine lists.

    Raises:
        DataError: the version was made under another schema, or quarantine no longer tells which rows were refused.
        IntegrityError: a part, the index or the quarantine is gone or altered.
    """
    return _stored(store, spec, manifest, "holdout", manifest.holdout, manifest.classes)


def placed_window(store: Store, spec: ModelSpec, manifest: DatasetManifest, classes: tuple[str, ...]) -> Placed | None:
    """Read the window of a version as a model under ``spec`` with ``classes`` does; None where there is none.

    Rows that ``spec`` refuses are left out.

    Raises:
        DataError: a landing file cannot be read under ``spec``.
        IntegrityError: a part or the index is gone or altered.
    """
    if manifest.window is None:
        return None
    if schema_digest(spec) == manifest.schema_digest:
        return _stored(store, spec, manifest, "window", manifest.window.index, classes)
    index = read_index(store, spec.name, manifest.window.index)
    files = {one.digest: one.key for one in list_landed(store, spec)}
    tables: list[pa.Table] = []
    places: list[Place] = []
    for source in sorted(set(index.rows) & set(files)):
        raw = read_file(files[source], store.get(files[source]).data)
        checked = accepted(store, spec, raw, only=index.mask(source, raw.rows))
        inside = index.mask(source, checked.rows)
        tables.append(checked.table.filter(pa.array(inside)))
        places += [(source, int(row)) for row in checked.rows[inside]]
    return _placed(store, spec, pa.concat_tables(tables), places, classes) if tables else None


def kept_apart(store: Store, manifest: DatasetManifest, places: Iterable[Place]) -> list[bool]:
    """Which rows a model trained on this version has not learnt from: those of other sources, and those it kept."""
    indices = [read_index(store, manifest.model, manifest.holdout)]
    if manifest.window is not None:
        indices.append(read_index(store, manifest.model, manifest.window.index))
    sources = {source.digest for source in manifest.sources}
    kept = {place for index in indices for place in _places(index)}
    return [place[0] not in sources or place in kept for place in places]


def _stored(
    store: Store, spec: ModelSpec, manifest: DatasetManifest, split: SplitName, digest: str, classes: tuple[str, ...]
) -> Placed:
    table = stored_table(store, spec, manifest, split)
    index = read_index(store, spec.name, digest)
    places: list[Place] = []
    for part in manifest.parts:
        if part.split != split:
            continue
        drawn = index.rows[part.source].tolist()
        if len(drawn) != part.rows:
            refused = _refused(store, keys.quarantine(spec.name, part.source, manifest.schema_digest))
            drawn = [row for row in drawn if row not in refused]
        if len(drawn) != part.rows:
            raise DataError(
                f"Quarantine no longer tells which {split} rows of dataset {manifest.id[:12]} were refused.",
                remedy="Restore its quarantine.",
            )
        places += [(part.source, row) for row in drawn]
    return _placed(store, spec, table, places, classes)


def _placed(store: Store, spec: ModelSpec, table: pa.Table, places: list[Place], classes: tuple[str, ...]) -> Placed:
    return Placed(Rows.of(store, spec, table, classes), tuple(places), classes)


def _places(index: RowIndex) -> Iterable[Place]:
    return ((source, row) for source, rows in index.rows.items() for row in rows.tolist())


def _refused(store: Store, key: str) -> set[int]:
    found = store.find(key)
    try:
        return {_Refused.model_validate_json(line).row for line in found.data.splitlines()} if found else set()
    except ValidationError as error:
        raise IntegrityError(f"{key} is malformed.", remedy="Restore it from a backup.") from error
