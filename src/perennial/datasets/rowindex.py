"""The index of a frozen set of rows, by source and row number, so that they stay the same under any schema.

A version's holdout has one, and so has its comparison window.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from perennial.datasets.parts import get_blob
from perennial.errors import IntegrityError
from perennial.spec import canonical
from perennial.store import Store

_SHAPE: TypeAdapter[dict[str, list[int]]] = TypeAdapter(dict[str, list[int]])


@dataclass(frozen=True)
class RowIndex:
    """Row numbers (1-based, ascending) by source digest."""

    rows: Mapping[str, NDArray[np.int64]]

    def mask(self, source: str, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of a source's row numbers belong to the set."""
        if source not in self.rows:
            return np.zeros(len(rows), np.bool_)
        return np.isin(rows, self.rows[source])

    def to_bytes(self) -> bytes:
        """Canonical JSON."""
        return canonical({source: rows.tolist() for source, rows in self.rows.items() if len(rows)})


def read_index(store: Store, model: str, digest: str) -> RowIndex:
    """Read an index back. Raises IntegrityError when it is gone or altered."""
    try:
        rows = _SHAPE.validate_json(get_blob(store, model, digest))
    except ValidationError as error:
        raise IntegrityError(f"The row index {digest[:12]} of model {model} is malformed.") from error
    return RowIndex({source: np.array(numbers, np.int64) for source, numbers in rows.items()})
