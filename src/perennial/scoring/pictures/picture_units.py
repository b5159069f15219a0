"""A zip of pictures, one picture, or a listing of some, as units of a few pictures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import islice

import numpy as np
import pyarrow as pa

from perennial.datasets.reading import Header, RawFile
from perennial.images.decode import MAX_BYTES
from perennial.scoring.pictures.archive import Window, fetching, look_through, rows_of, shown_name
from perennial.scoring.pictures.listing import listed_units
from perennial.scoring.pictures.places import Places
from perennial.scoring.pictures.rows import Fetch, PictureRows, too_large
from perennial.scoring.pictures.zip_directory import find_directory
from perennial.scoring.pictures.zip_entry import ZipEntry
from perennial.scoring.results import FILE, Dialect, Unit
from perennial.scoring.source import Source
from perennial.serving.batch_job import BatchPart

UNIT_PICTURES = 16
UNIT_BYTES = 4 << 20
"""A unit has so many pictures, or fewer where these are as large as this together."""
PART_PICTURES = 250
"""What a function scores well within its time, of whatever size the pictures are."""


def picture_units(
    source: Source, dialect: Dialect, part: BatchPart | None, places: Places | None, table: Iterable[Unit]
) -> Iterator[Unit]:
    """The pictures of a file, or of a part of it, in order, as rows that are fetched when they are scored.

    ``places`` gets what a listing names, and ``table`` is a listing as a table. ``end`` of a unit is a byte of the
    file, and with a ``part`` the number of a row, as the part's own end is.

    Raises:
        DataError: the archive or listing cannot be read on.
    """
    if dialect.format == "zip":
        return _of_zip(source, part)
    if dialect.format == "picture":
        return iter([Unit(partial(_alone, source), 1 if part else source.size)])
    if places is None:
        raise ValueError("a listing of pictures is read with the places that they are in")
    return listed_units(table, dialect, places, part, UNIT_PICTURES)


def picture_parts(source: Source, dialect: Dialect, rows: int, part_bytes: int) -> tuple[BatchPart, ...]:
    """A file of pictures in parts of rows, each of at most PART_PICTURES and about ``part_bytes`` of a zip.

    ``rows`` is how many a listing has. Raises DataError where an archive is damaged.
    """
    cuts = [0]
    if dialect.format == "zip":
        rows = size = 0
        for entry in rows_of(source):
            if rows - cuts[-1] >= PART_PICTURES or (size + entry.packed > part_bytes and rows > cuts[-1]):
                cuts.append(rows)
                size = 0
            rows, size = rows + 1, size + entry.packed
    else:
        cuts = list(range(0, max(rows, 1), PART_PICTURES))
    return tuple(
        BatchPart(number=number, start=start, end=end, first=start, rows=end - start)
        for number, (start, end) in enumerate(zip(cuts, [*cuts[1:], rows], strict=True))
    )


def _of_zip(source: Source, part: BatchPart | None) -> Iterator[Unit]:
    directory = find_directory(source)
    first, last = (part.start, part.end) if part else (0, None)
    rows = (last if last is not None else look_through(source).rows) or 1
    done = first
    for entries in _few(islice(rows_of(source, directory), first, last)):
        done += len(entries)
        yield Unit(partial(_packed, source, tuple(entries)), done if part else source.size * done // rows)


def _few(entries: Iterable[ZipEntry]) -> Iterator[list[ZipEntry]]:
    held: list[ZipEntry] = []
    size = 0
    for entry in entries:
        if held and (len(held) >= UNIT_PICTURES or size + entry.packed > UNIT_BYTES):
            yield held
            held, size = [], 0
        held.append(entry)
        size += entry.packed
    if held:
        yield held


def _packed(source: Source, entries: Sequence[ZipEntry]) -> RawFile:
    """Entries that mostly lie one behind the other, and are fetched at once then."""
    start, end = min(entry.offset for entry in entries), min(max(entry.end for entry in entries), source.size)
    window = Window(source, start, end if end - start <= 2 * UNIT_BYTES else start)
    return _rows(source, [shown_name(entry) for entry in entries], [fetching(entry, window) for entry in entries])


def _alone(source: Source) -> RawFile:
    return _rows(source, [source.name.rsplit("/", 1)[-1]], [partial(_whole, source)])


def _whole(source: Source) -> bytes:
    if source.size > MAX_BYTES:
        raise too_large(source.size, MAX_BYTES)
    return source.read(0, source.size)


def _rows(source: Source, names: Sequence[str], fetch: Sequence[Fetch]) -> PictureRows:
    columns = {FILE: pa.array(names, pa.string())}
    return PictureRows(source.name, Header((FILE,)), columns, np.arange(1, len(names) + 1), (), tuple(fetch))
