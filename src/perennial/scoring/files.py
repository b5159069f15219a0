"""One file, or a planned part of one, through a scorer into its outputs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

import pyarrow as pa

from perennial.errors import IntegrityError
from perennial.scoring.results import Dialect, Refused, ScoredBlock, Summary, Unit
from perennial.scoring.scorer import Scorer
from perennial.scoring.source import Source
from perennial.scoring.stream import score_units
from perennial.scoring.units import units
from perennial.serving.batch_job import BatchCounts, BatchPart, Preview

if TYPE_CHECKING:
    from perennial.scoring.pictures.places import Places

Progress = Callable[[BatchCounts, int], None]
"""Told after each block: the rows so far, and the byte of the source behind them."""
NO_ROWS = "It holds no rows."
MAX_THREADS = 4
"""More would wait for the one that takes the blocks, and hold memory meanwhile."""

LISTING_THREADS = 3
"""At the least, as each waits for the pictures it fetches one by one."""


class Rows(Protocol):
    def write(self, table: pa.Table, /) -> None: ...


class Quarantine(Protocol):
    def write(self, refused: Sequence[Refused], /) -> None: ...


def score_file(
    scorer: Scorer,
    source: Source,
    dialect: Dialect,
    writer: Rows,
    quarantine: Quarantine,
    *,
    part: BatchPart | None = None,
    progress: Progress | None = None,
    preview_rows: int = 10,
    threads: int | None = None,
    places: Places | None = None,
) -> Summary:
    """Score a file, or the rows of ``part``, in bounded memory; both writers stay open.

    ``threads`` parse and score, one a CPU of this process unless said. ``places`` gets the pictures that a listing
    names.

    Raises:
        DataError: the file cannot be read on.
        IntegrityError: rows were lost or doubled, or their number is not that of the plan.
    """
    counts, preview = BatchCounts(), Preview(columns=tuple(scorer.schema.names))
    warnings = dict.fromkeys((*dialect.warnings, *scorer.warnings))
    threads = threads or min(MAX_THREADS, max(cpus(), LISTING_THREADS if dialect.column else 1))
    read = _heard(units(source, dialect, scorer.spec, part, keep=scorer.kept, places=places), warnings)
    for block in score_units(scorer, read, first=part.first if part else 0, threads=threads):
        counts += _counted(block, source)
        writer.write(block.table)
        if block.refused:
            quarantine.write(block.refused)
        if len(preview.rows) < preview_rows:
            preview = _more(preview, block.table, preview_rows)
        if progress is not None:
            progress(counts, block.end)
    if not counts.rows:
        warnings[NO_ROWS] = None
    if part is not None and part.rows not in (None, counts.rows):
        raise IntegrityError(
            f"{source.name}, part {part.number}: held {part.rows} rows when it was planned, now {counts.rows}.",
            remedy="Drop the file again.",
        )
    return Summary(counts, tuple(warnings), preview)


def cpus() -> int:
    """How many CPUs this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _heard(read: Iterable[Unit], warnings: dict[str, None]) -> Iterator[Unit]:
    """The units, and each of their warnings once."""
    for unit in read:
        warnings.update(dict.fromkeys(unit.warnings))
        yield unit


def _counted(block: ScoredBlock, source: Source) -> BatchCounts:
    counts = BatchCounts(rows=block.rows, scored=block.table.num_rows, quarantined=len(block.refused))
    if counts.rows != counts.scored + counts.quarantined:
        raise IntegrityError(
            f"{source.name}: of {counts.rows} rows {counts.scored} were scored and {counts.quarantined} quarantined.",
            remedy="Please report this as an error of Perennial.",
        )
    return counts


def _more(preview: Preview, table: pa.Table, rows: int) -> Preview:
    head = table.slice(0, rows - len(preview.rows)).to_pylist()
    added = tuple(tuple(map(_shown, row.values())) for row in head)
    return Preview(columns=preview.columns, rows=preview.rows + added)


def _shown(cell: object) -> str:
    """A value as the CSV of the results has it, where a whole number has no point."""
    if cell is None:
        return ""
    return str(cell).removesuffix(".0") if isinstance(cell, float) else str(cell)
