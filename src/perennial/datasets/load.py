"""A dataset version's rows, verified against their digests, as the matrix that training and evaluation work on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from perennial.datasets.arrow import arrow_schema, encode, target_values
from perennial.datasets.manifest import DatasetManifest, SplitName, schema_digest
from perennial.datasets.parts import get_part
from perennial.errors import DataError
from perennial.spec import ModelSpec
from perennial.store import Store

if TYPE_CHECKING:
    from perennial.datasets.pictures import Pictures


@dataclass(frozen=True)
class Rows:
    """One side of a version: ``x`` float64 [rows, columns], ``y`` float64 [rows] and ``table``, the rows typed.

    ``y`` is the index in the manifest's ``classes``, or the value for a regression. ``table`` has the columns
    of ``arrow_schema(spec)``: features, target, id and time. ``pictures`` are those of a model of pictures, row by row.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    table: pa.Table
    pictures: Pictures | None = None

    @classmethod
    def of(cls, store: Store, spec: ModelSpec, table: pa.Table, classes: tuple[str, ...]) -> Rows:
        """Validated rows, encoded."""
        pictures = None
        if spec.input == "image":
            from perennial.datasets.pictures import Pictures  # Pillow is imported where there are pictures

            pictures = Pictures(store, spec.name, tuple(table.column("image").to_pylist()))
        return cls(encode(table, spec), target_values(table, spec, classes), table, pictures)

    def take(self, rows: NDArray[np.int64]) -> Rows:
        """Some of the rows, by position."""
        pictures = None if self.pictures is None else self.pictures.take(rows)
        return Rows(self.x[rows], self.y[rows], self.table.take(pa.array(rows)), pictures)


def load_split(store: Store, spec: ModelSpec, manifest: DatasetManifest, split: SplitName) -> Rows:
    """Read one side of a version: by time where the split is chronological, else by source and row.

    The window of a version that has none holds no rows.

    Raises:
        DataError: the version was made under another schema than the spec's.
        IntegrityError: a part is gone or does not match its digest.
    """
    table = stored_table(store, spec, manifest, split)
    if spec.time is not None:
        order = np.argsort(table.column(spec.time).to_numpy(), kind="stable")
        table = table.take(pa.array(order))
    return Rows.of(store, spec, table, manifest.classes)


def stored_table(store: Store, spec: ModelSpec, manifest: DatasetManifest, split: SplitName) -> pa.Table:
    """The rows of one side as they are stored: by source and row. Raises as :func:`load_split`."""
    if manifest.schema_digest != schema_digest(spec):
        raise DataError(
            f"Dataset {manifest.id[:12]} was made under another version of the spec.",
            remedy="Take a new snapshot, or use the spec it was made with.",
        )
    schema = arrow_schema(spec)
    parts = [get_part(store, spec.name, part, schema) for part in manifest.parts if part.split == split]
    return pa.concat_tables([schema.empty_table(), *parts]).combine_chunks()
