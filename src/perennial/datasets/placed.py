"""The holdout of a version with the place of each row, so that the holdouts of two versions can be compared."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ValidationError

from perennial import keys
from perennial.datasets.arrow import encode, target_values
from perennial.datasets.holdout import read_index
from perennial.datasets.load import Rows, stored_table
from perennial.datasets.manifest import DatasetManifest
from perennial.errors import DataError, IntegrityError
from perennial.spec import ModelSpec
from perennial.store import Store

Place = tuple[str, int]
"""Digest of the source, and the row number there (1-based)."""


@dataclass(frozen=True)
class Placed:
    """Rows of a holdout, by source and row number; ``places`` holds the place of each."""

    rows: Rows
    places: tuple[Place, ...]

    def take(self, rows: NDArray[np.int64]) -> Rows:
        """Some of the rows, by position."""
        return Rows(self.rows.x[rows], self.rows.y[rows], self.rows.table.take(rows))


class _Refused(BaseModel):
    row: int


def placed_holdout(store: Store, spec: ModelSpec, manifest: DatasetManifest) -> Placed:
    """Read the holdout of a version made under ``spec``.

    The places are those of the holdout's index but for the rows that this schema refused, which quarantine lists.

    Raises:
        DataError: the version was made under another schema, or quarantine no longer tells which rows were refused.
        IntegrityError: a part, the index or the quarantine is gone or altered.
    """
    table = stored_table(store, spec, manifest, "holdout")
    index = read_index(store, spec.name, manifest.holdout)
    places: list[Place] = []
    for part in manifest.parts:
        if part.split != "holdout":
            continue
        drawn = index.rows[part.source].tolist()
        if len(drawn) != part.rows:
            refused = _refused(store, keys.quarantine(spec.name, part.source, manifest.schema_digest))
            drawn = [row for row in drawn if row not in refused]
        if len(drawn) != part.rows:
            raise DataError(
                f"Quarantine no longer tells which holdout rows of dataset {manifest.id[:12]} were refused.",
                remedy="Restore its quarantine.",
            )
        places += [(part.source, row) for row in drawn]
    return Placed(Rows(encode(table, spec), target_values(table, spec, manifest.classes), table), tuple(places))


def _refused(store: Store, key: str) -> set[int]:
    found = store.find(key)
    try:
        return {_Refused.model_validate_json(line).row for line in found.data.splitlines()} if found else set()
    except ValidationError as error:
        raise IntegrityError(f"{key} is malformed.", remedy="Restore it from a backup.") from error
