"""Files to be scored, of every kind and condition: what comes of each is known from how it was made."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq

from perennial.serving.batch_job import BatchCounts, BatchOptions
from tests.support.batch_world import csv_of
from tests.support.models import MEASURES
from tests.support.pictures import pet_bytes

TABLES, PICTURES = "iris", "pets"
"""The two models: one of rows, one of pictures."""
PART_BYTES = 4_000
"""About 150 rows of CSV: so much of a file is one part."""

Row = tuple[float | str, ...]


@dataclass(frozen=True)
class Dropped:
    """One version of a file, and what has to come of it. ``options`` None: it is dropped; else it is uploaded."""

    kind: str
    name: str
    data: bytes
    state: Literal["done", "failed"]
    counts: BatchCounts
    options: BatchOptions | None = None

    @property
    def model(self) -> str:
        return PICTURES if self.kind == ".zip" else TABLES


def files(chance: Random, number: int, kinds: Sequence[str] = ()) -> list[Dropped]:
    """So many versions of files; about one in six replaces one before it, under the same name."""
    found: list[Dropped] = []
    for place in range(number):
        kind = chance.choice(kinds or list(KINDS))
        name, options = f"{place}{kind}", None
        before = chance.choice(found) if found and chance.random() < 0.17 else None
        if before is not None and before.options is None:
            kind, name = before.kind, before.name
        elif chance.random() < 0.15:
            options = BatchOptions(output=chance.choice(["csv", "parquet", None]), keep=chance.random() < 0.5)
        data, state, counts = KINDS[kind](chance)
        found.append(Dropped(kind, name, data, state, counts, options))
    return found


def _rows(chance: Random, count: int, bad: int) -> list[Row]:
    rows: list[Row] = [tuple(round(chance.uniform(0, 9), 2) for _ in MEASURES) for _ in range(count)]
    for place in chance.sample(range(count), bad):
        rows[place] = (99.0, *rows[place][1:])  # beyond the column's maximum
    return rows


def _counts(rows: int, bad: int) -> BatchCounts:
    return BatchCounts(rows=rows, scored=rows - bad, quarantined=bad)


def _sizes(chance: Random) -> tuple[int, int]:
    """How many rows, and how many of them bad: small files and ones in parts, and now and then no good row at all."""
    count = chance.choice([1, 7, 20, 60, 400])
    bad = chance.choice([0, 0, count // 5, count])
    return count, bad


Made = tuple[bytes, Literal["done", "failed"], BatchCounts]


def _csv(chance: Random) -> Made:
    count, bad = _sizes(chance)
    return csv_of(_rows(chance, count, bad), MEASURES), "done", _counts(count, bad)


def _gzip(chance: Random) -> Made:
    data, state, counts = _csv(chance)
    return gzip.compress(data, mtime=0), state, counts


def _jsonl(chance: Random) -> Made:
    count, bad = _sizes(chance)
    records = (dict(zip(MEASURES, row, strict=True)) for row in _rows(chance, count, bad))
    return "".join(json.dumps(record) + "\n" for record in records).encode(), "done", _counts(count, bad)


def _parquet(chance: Random) -> Made:
    count, bad = _sizes(chance)
    columns = dict(zip(MEASURES, zip(*_rows(chance, count, bad), strict=True), strict=True))
    sink = io.BytesIO()
    pq.write_table(pa.table({name: list(cells) for name, cells in columns.items()}), sink, row_group_size=150)
    return sink.getvalue(), "done", _counts(count, bad)


def _zip(chance: Random) -> Made:
    """Pictures, of which some are none."""
    count, bad = chance.randint(1, 6), chance.randint(0, 1)
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for place in range(count):
            picture = pet_bytes(chance.randrange(1000), chance.choice(["cat", "dog"]))
            archive.writestr(zipfile.ZipInfo(f"{place}.png"), b"no picture" if place < bad else picture)
    return sink.getvalue(), "done", _counts(count, bad)


def _header_alone(chance: Random) -> Made:
    return csv_of([], MEASURES), "done", _counts(0, 0)


def _nothing(chance: Random) -> Made:
    return b"", "failed", _counts(0, 0)


def _column_lacks(chance: Random) -> Made:
    return f"sepal_length\n{chance.random():.3f}\n".encode(), "failed", _counts(0, 0)


KINDS: Mapping[str, Callable[[Random], Made]] = {
    ".csv": _csv, ".CSV": _csv, ".csv.gz": _gzip, ".jsonl": _jsonl, ".parquet": _parquet, ".zip": _zip,
    "-header.csv": _header_alone, "-empty.csv": _nothing, "-lacks.csv": _column_lacks,
}  # fmt: skip
