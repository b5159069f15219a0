"""The rows of a file, whatever it is written as, in units that any thread may parse."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from perennial.scoring.csv_units import csv_units
from perennial.scoring.jsonl_units import jsonl_units
from perennial.scoring.parquet_units import parquet_units
from perennial.scoring.results import Dialect, Unit
from perennial.scoring.source import Source
from perennial.serving.batch_job import BatchPart
from perennial.spec import ModelSpec

if TYPE_CHECKING:
    from perennial.scoring.pictures.places import Places


def units(
    source: Source,
    dialect: Dialect,
    spec: ModelSpec,
    part: BatchPart | None = None,
    *,
    keep: bool | Sequence[str] = True,
    places: Places | None = None,
) -> Iterator[Unit]:
    """The rows of a file, or of a part of it, in order: features, id, and of the other columns those to ``keep``.

    ``dialect`` is what :func:`perennial.scoring.dialect.sniff` or :func:`perennial.scoring.plan.plan_parts` found.
    ``places`` gets the pictures that a listing names.

    Raises:
        DataError: the source cannot be read on.
    """
    if not dialect.of_pictures:
        return _table_units(source, dialect, spec, part, keep)
    from perennial.scoring.pictures.listing import columns_read  # Pillow is imported where there are pictures
    from perennial.scoring.pictures.picture_units import picture_units

    listing = () if dialect.column is None else _table_units(source, dialect, spec, None, columns_read(dialect, keep))
    return picture_units(source, dialect, part, places, listing)


def _table_units(
    source: Source, dialect: Dialect, spec: ModelSpec, part: BatchPart | None, keep: bool | Sequence[str]
) -> Iterator[Unit]:
    if dialect.format == "csv":
        return csv_units(source, dialect, spec, part, keep=keep)
    if dialect.format == "jsonl":
        return jsonl_units(source, dialect, spec, part, keep=keep)
    return parquet_units(source, dialect, spec, part, keep=keep)
