"""The rows of a file, whatever it is written as, in units that any thread may parse."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from perennial.scoring.csv_units import csv_units
from perennial.scoring.jsonl_units import jsonl_units
from perennial.scoring.parquet_units import parquet_units
from perennial.scoring.results import Dialect, Unit
from perennial.scoring.source import Source
from perennial.serving.batch_job import BatchPart
from perennial.spec import ModelSpec


def units(
    source: Source,
    dialect: Dialect,
    spec: ModelSpec,
    part: BatchPart | None = None,
    *,
    keep: bool | Sequence[str] = True,
) -> Iterator[Unit]:
    """The rows of a file, or of a part of it, in order: features, id, and of the other columns those to ``keep``.

    ``dialect`` is what :func:`perennial.scoring.dialect.sniff` or :func:`perennial.scoring.plan.plan_parts` found.

    Raises:
        DataError: the source cannot be read on.
    """
    if dialect.format == "csv":
        return csv_units(source, dialect, spec, part, keep=keep)
    if dialect.format == "jsonl":
        return jsonl_units(source, dialect, spec, part, keep=keep)
    return parquet_units(source, dialect, spec, part, keep=keep)
