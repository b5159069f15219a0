"""A CSV file, or a part of one, as units of a few thousand rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from perennial.datasets.reading import RawFile
from perennial.errors import DataError
from perennial.scoring.blocks import count_records, record_blocks
from perennial.scoring.csv_rows import CsvRows
from perennial.scoring.encoding import WINDOWS_WARNING, encoding_of
from perennial.scoring.results import Dialect, Unit
from perennial.scoring.source import Source
from perennial.scoring.text import text_rows
from perennial.serving.batch_job import BatchPart
from perennial.spec import ModelSpec


def csv_units(
    source: Source,
    dialect: Dialect,
    spec: ModelSpec,
    part: BatchPart | None = None,
    *,
    keep: bool | Sequence[str] = True,
) -> Iterator[Unit]:
    """The rows of a CSV file, a unit a block: features, id, and of the other columns those to ``keep``.

    Where the dialect leaves the encoding open, the first block with bytes beyond ASCII decides it.

    Raises:
        DataError: the source cannot be read on; a quote that never closes is told by the last unit's ``read``.
    """
    rows = CsvRows(source.name, dialect.names, dialect.delimiter, spec, keep)
    encoding = dialect.encoding
    for block in record_blocks(text_rows(source, dialect, part), dialect.delimiter):
        warnings: tuple[str, ...] = ()
        if encoding is None:
            encoding = encoding_of(block.data)
            warnings = (WINDOWS_WARNING,) if encoding == "cp1252" else ()
        if block.kind == "open":
            yield Unit(partial(_refuse, source, dialect, part), block.end)
        elif block.kind == "long":
            yield Unit(partial(rows.too_long, block.data), block.end)
        else:
            read = partial(rows.read, block.data, encoding)
            yield Unit(partial(read, typed=True), block.end, partial(read, typed=False), warnings)


def open_quote(file: str, row: int) -> DataError:
    """The error for a quote that has swallowed the rest of a file, from the given row on."""
    return DataError("has a quote that never closes.", file=file, row=row, remedy="Close or double it.")


def _refuse(source: Source, dialect: Dialect, part: BatchPart | None) -> RawFile:
    """Rows are counted only now that one must be named."""
    blocks = record_blocks(text_rows(source, dialect, part), dialect.delimiter)
    before = sum(count_records(block, dialect.delimiter) for block in blocks if block.kind != "open")
    raise open_quote(source.name, (part.first if part else 0) + before + 1)
