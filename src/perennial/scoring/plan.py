"""A large file in parts that are scored side by side: where each begins and ends, and how many rows it has."""

from __future__ import annotations

from collections.abc import Iterator

from perennial.errors import DataError
from perennial.scoring.blocks import Block, count_lines, count_records, line_blocks, record_blocks
from perennial.scoring.csv_units import open_quote
from perennial.scoring.encoding import WINDOWS_WARNING, encoding_of
from perennial.scoring.parquet_file import OpenParquet
from perennial.scoring.parquet_units import parquet_parts
from perennial.scoring.results import Dialect
from perennial.scoring.source import Source
from perennial.scoring.text import BLOCK_BYTES, is_streamed, text_rows
from perennial.serving.batch_job import BatchPart

PART_BYTES = 256 << 20
MAX_LISTED = 100_000
"""Pictures that one listing may name, as many as a zip may hold."""
_PIECES = 8
"""Blocks a part has at the least, so that parts come out near the size that was asked for."""


def plan_parts(source: Source, dialect: Dialect, part_bytes: int = PART_BYTES) -> tuple[Dialect, tuple[BatchPart, ...]]:
    """Cut a file into parts of about ``part_bytes``; up to one and a half of that it is one part, and nobody counts.

    Text is cut where a record ends, in one pass that counts rows and settles the encoding, which the dialect that
    comes back holds. What is packed or transcoded is one part, as it can be read from its beginning only.

    Raises:
        DataError: the file cannot be read to its end.
    """
    if dialect.of_pictures:
        from perennial.scoring.pictures.picture_units import (
            picture_parts,
        )  # Pillow is imported where there are pictures

        return dialect, picture_parts(source, dialect, _listed(source, dialect), part_bytes)
    if dialect.format == "parquet":
        return dialect, parquet_parts(source, part_bytes)
    if is_streamed(dialect) or source.size - dialect.body <= part_bytes * 3 // 2:
        return dialect, (BatchPart(number=0, start=dialect.body, end=source.size),)
    return _scanned(source, dialect, part_bytes)


def _listed(source: Source, dialect: Dialect) -> int:
    """How many rows a listing has; of any other file of pictures nothing is said."""
    if dialect.column is None:
        return 0
    rows = 0
    if dialect.format == "parquet":
        rows = sum(OpenParquet(source).rows)
    else:
        for block, count in _counted(source, dialect, BLOCK_BYTES):
            if block.kind == "open":
                raise open_quote(source.name, rows + 1)
            rows += count
            if rows > MAX_LISTED:
                break
    if rows > MAX_LISTED:
        raise DataError(f"names over {MAX_LISTED:,} pictures.", file=source.name, remedy="Split it into several.")
    return rows


def _scanned(source: Source, dialect: Dialect, part_bytes: int) -> tuple[Dialect, tuple[BatchPart, ...]]:
    parts: list[BatchPart] = []
    start, place, first, rows = dialect.body, dialect.body, 0, 0
    for block, count in _counted(source, dialect, min(BLOCK_BYTES, max(1, part_bytes // _PIECES))):
        if block.kind == "open":
            raise open_quote(source.name, first + rows + 1)
        if dialect.encoding is None and (encoding := encoding_of(block.data)) is not None:
            warnings = (WINDOWS_WARNING,) if encoding == "cp1252" else ()
            dialect = dialect.model_copy(update={"encoding": encoding, "warnings": (*dialect.warnings, *warnings)})
        place, rows = place + block.size, rows + count
        if place - start >= part_bytes:
            parts.append(BatchPart(number=len(parts), start=start, end=place, first=first, rows=rows))
            start, first, rows = place, first + rows, 0
    if place > start or not parts:
        parts.append(BatchPart(number=len(parts), start=start, end=place, first=first, rows=rows))
    return dialect, tuple(parts)


def _counted(source: Source, dialect: Dialect, size: int) -> Iterator[tuple[Block, int]]:
    stream = text_rows(source, dialect, size=size)
    if dialect.format == "csv":
        for block in record_blocks(stream, dialect.delimiter):
            yield block, count_records(block, dialect.delimiter)
    else:
        for block in line_blocks(stream):
            yield block, count_lines(block)
