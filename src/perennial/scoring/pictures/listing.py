"""A listing of pictures: CSV, JSON Lines or Parquet with a column that says where each of them is."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import pyarrow as pa

from perennial.datasets.reading import Header, RawFile
from perennial.errors import DataError
from perennial.scoring.cell_text import cell_text
from perennial.scoring.pictures.places import PINS, Places
from perennial.scoring.pictures.rows import Fetch, PictureRows, Unusable
from perennial.scoring.results import FILE, Dialect, Unit
from perennial.serving.batch_job import BatchPart
from perennial.spec import ModelSpec
from perennial.spec_images import LISTING_COLUMNS


def listing_of(name: str, dialect: Dialect, spec: ModelSpec) -> Dialect:
    """A table as a listing: which of its columns says where the pictures are.

    Raises:
        DataError: none does.
    """
    own = spec.image.column if spec.image is not None else None
    wanted = (own, *LISTING_COLUMNS) if own else LISTING_COLUMNS
    column = next((one for one in wanted if one in dialect.names), None)
    if column is None:
        raise DataError(
            f"has no column that says where pictures are ({', '.join(dict.fromkeys(wanted))}), and {spec.name} takes "
            "pictures.",
            file=name,
            remedy="Give a zip of pictures, one picture, or a listing with such a column.",
        )
    return dialect.model_copy(update={"column": column})


def columns_read(dialect: Dialect, keep: bool | Sequence[str]) -> bool | tuple[str, ...]:
    """The columns of a listing to read, where those to ``keep`` are asked for."""
    pins = tuple(name for name in PINS if name in dialect.names)
    return True if keep is True else (*(keep or ()), dialect.column or "", *pins)


def listed_units(
    read: Iterable[Unit], dialect: Dialect, places: Places, part: BatchPart | None, size: int
) -> Iterator[Unit]:
    """The rows of a listing ``size`` at a time, or those of ``part``; ``read`` gives the listing as a table.

    Raises DataError where it cannot be read on.
    """
    first, last = (part.start, part.end) if part else (0, None)
    before = end = 0
    for unit in read:
        raw = (unit.text or unit.read)()
        rows = len(raw.rows) + len(raw.malformed)
        stop = rows if last is None else min(rows, last - before)
        warnings = unit.warnings
        for low in range(max(0, first - before), stop, size):
            high = min(low + size, stop)
            told = before + high if part else end + (unit.end - end) * high // rows
            found = _between(raw, low, high, dialect, places)
            yield Unit(partial(_same, found), told, warnings=warnings)
            warnings = ()
        before, end = before + rows, unit.end
        if last is not None and before >= last:
            return


def listing_bytes(names: Iterable[str], pins: Iterable[Mapping[str, str]] = ()) -> bytes:
    """A listing of these pictures as JSON Lines, with their PINS where these are given."""
    rows: Iterator[dict[str, str]] = ({FILE: name} for name in names)
    pinned = list(pins)
    if pinned:
        rows = ({**row, **more} for row, more in zip(rows, pinned, strict=True))
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode("utf-8", "surrogatepass")


def _between(raw: RawFile, low: int, high: int, dialect: Dialect, places: Places) -> PictureRows:
    """The rows behind the first ``low`` and up to ``high``, numbered from 1."""
    there = np.flatnonzero((raw.rows > low) & (raw.rows <= high))
    take = pa.array(there)
    columns = {name: cell_text(raw.columns[name].take(take)) for name in raw.columns if name in dialect.names}
    names = columns[dialect.column or FILE]
    fetch = _fetching(names, {name: columns[name].to_pylist() for name in PINS if name in columns}, places)
    header = Header((FILE, *(name for name in columns if name != FILE)))
    malformed = tuple(replace(one, row=one.row - low) for one in raw.malformed if low < one.row <= high)
    shown = {FILE: names, **{name: cells for name, cells in columns.items() if name != FILE}}
    return PictureRows(raw.name, header, shown, raw.rows[there] - low, malformed, fetch)


def _fetching(names: pa.Array, pins: Mapping[str, list[str | None]], places: Places) -> tuple[Fetch, ...]:
    return tuple(
        partial(_get, name, {pin: cells[place] for pin, cells in pins.items()}, places)
        for place, name in enumerate(names.to_pylist())
    )


def _get(name: str | None, pins: Mapping[str, str | None], places: Places) -> bytes:
    if name is None or not name.strip():
        raise Unusable("is missing")
    return places.get(name.strip(), pins)


def _same(rows: PictureRows) -> RawFile:
    return rows
