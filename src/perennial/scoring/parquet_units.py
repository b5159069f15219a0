"""A Parquet file, or some row groups of one, as units of a few thousand rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import pyarrow as pa

from perennial.datasets.reading import Header, Malformed, RawFile
from perennial.datasets.validate import nested_column
from perennial.errors import DataError
from perennial.scoring.parquet_file import OpenParquet, is_damage, is_flat, is_text, plain
from perennial.scoring.partitions import partition_columns
from perennial.scoring.results import Dialect, Unit
from perennial.scoring.source import Source
from perennial.serving.batch_job import BatchPart
from perennial.spec import CategoryFeature, ModelSpec

UNIT_BYTES = 8 << 20
MAX_UNIT_ROWS, MIN_UNIT_ROWS = 32_768, 64
"""A unit has so many rows, fewer where they are wide."""


def parquet_names(source: Source, spec: ModelSpec | None = None) -> tuple[str, ...]:
    """The columns of a file, trimmed, and behind them those in its place that ``spec`` names and the file lacks.

    Raises:
        DataError: it is damaged or encrypted.
    """
    names = _names(OpenParquet(source).schema)
    return names if spec is None else (*names, *partition_columns(source.name, names, spec))


def parquet_parts(source: Source, part_bytes: int) -> tuple[BatchPart, ...]:
    """A file in parts of row groups, each of about ``part_bytes``; up to one and a half of that it is one part.

    Raises:
        DataError: it is damaged or encrypted.
    """
    rows = OpenParquet(source).rows
    total, starts = sum(rows), np.cumsum([0, *rows]).tolist()
    cuts = [0]
    if source.size > part_bytes * 3 // 2:
        for end in range(1, len(rows)):
            if source.size * (starts[end] - starts[cuts[-1]]) >= part_bytes * total:
                cuts.append(end)
    return tuple(
        BatchPart(number=number, start=start, end=end, first=starts[start], rows=starts[end] - starts[start])
        for number, (start, end) in enumerate(zip(cuts, [*cuts[1:], len(rows)], strict=True))
    )


def parquet_units(
    source: Source,
    dialect: Dialect,
    spec: ModelSpec,
    part: BatchPart | None = None,
    *,
    keep: bool | Sequence[str] = True,
) -> Iterator[Unit]:
    """The rows of a file, decoded as they are asked for: features, id, and of the other columns those to ``keep``.

    From where a row group is damaged, the rest of its rows are malformed. ``end`` of a unit is a byte of the file, and
    with a ``part`` the number of a row group, as the part's own end is.

    Raises:
        DataError: the file is damaged or encrypted, packed in a way that is not known here, or a column the spec names
            is nested.
    """
    file = OpenParquet(source)
    reading = _reading(source, file, spec, keep)
    rows = file.reader(list(reading.places.values()), reading.texts)
    first, last = (part.start, part.end) if part else (0, len(file.rows))
    ends = _Ends(file.rows, None if part else source.size)
    size = 0
    for group in range(first, last):
        done = 0
        try:
            size = size or _unit_rows(rows.width(group))
            for batch in rows.batches(group, size):
                done += batch.num_rows
                yield Unit(partial(reading.raw, batch), ends.of(group, done))
        except (pa.ArrowException, OSError) as error:
            if not is_damage(error):
                raise
            _refuse_unknown(source.name, error)
            yield from _lost(reading, group, done, ends, _said(error))
        else:
            if done < file.rows[group]:
                yield from _lost(reading, group, done, ends, "it ends too early")


@dataclass(frozen=True)
class _Reading:
    """Which columns are read: their places in the schema by name, those of them that come as dictionaries, and the
    values that stand in the place of the file."""

    file: str
    places: Mapping[str, int]
    texts: Sequence[int]
    originals: Mapping[str, str]
    constants: Mapping[str, str | None]
    header: Header = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "header", Header((*self.places, *self.constants)))

    def raw(self, batch: pa.RecordBatch) -> RawFile:
        """Rows as they were decoded."""
        indices = {name: batch.schema.get_all_field_indices(original)[0] for name, original in self.originals.items()}
        columns = {name: plain(batch.column(index)) for name, index in indices.items()}
        columns |= {name: _constant(value, batch.num_rows) for name, value in self.constants.items()}
        return RawFile(self.file, self.header, columns, np.arange(1, batch.num_rows + 1))

    def lost(self, rows: int, reason: str) -> RawFile:
        """Rows of which nothing but their number is known."""
        columns = {name: pa.array([], pa.string()) for name in self.header.names}
        malformed = tuple(Malformed(row, 0, "", reason) for row in range(1, rows + 1))
        return RawFile(self.file, self.header, columns, np.empty(0, np.int64), malformed)


@dataclass(frozen=True)
class _Ends:
    """How far into a file a row is: see :func:`parquet_units`. ``size`` is that of the file, where bytes are told."""

    rows: Sequence[int]
    size: int | None

    def of(self, group: int, done: int) -> int:
        """Behind the first ``done`` rows of a row group, all rows taken for equally long."""
        if self.size is None:
            return group + (done >= self.rows[group])
        return self.size * (self.before(group) + done) // max(sum(self.rows), 1)

    def before(self, group: int) -> int:
        """How many rows stand before a row group."""
        return sum(self.rows[:group])


def _reading(source: Source, file: OpenParquet, spec: ModelSpec, keep: bool | Sequence[str]) -> _Reading:
    names = _names(file.schema)
    kept = names if keep is True else keep or ()
    wanted = {*spec.features, spec.id, *kept}
    places: dict[str, int] = {}
    for place, name in enumerate(names):
        if name in wanted:
            places.setdefault(name, place)
    kinds = {name: file.schema.field(place).type for name, place in places.items()}
    for name, kind in kinds.items():
        if not is_flat(kind) and (name in spec.features or name == spec.id):
            raise nested_column(source.name, name, kind)
    texts = [
        place
        for name, place in places.items()
        if isinstance(spec.features.get(name), CategoryFeature) and is_text(kinds[name])
    ]
    originals = {name: file.schema.names[place] for name, place in places.items()}
    return _Reading(source.name, places, texts, originals, partition_columns(source.name, names, spec))


def _names(schema: pa.Schema) -> tuple[str, ...]:
    return tuple(name.strip() for name in schema.names)


def _unit_rows(width: int) -> int:
    return max(MIN_UNIT_ROWS, min(MAX_UNIT_ROWS, UNIT_BYTES // max(width, 1)))


def _constant(value: str | None, rows: int) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), pa.array([value], pa.string()))


def _refuse_unknown(name: str, error: Exception) -> None:
    """Raises DataError where it is not damage, but something that no row group of the file is without."""
    if "crypt" in str(error):
        raise DataError("is encrypted.", file=name, remedy="Write it without encryption.") from error
    if isinstance(error, pa.ArrowNotImplementedError):
        raise DataError(
            f"is Parquet of a kind that is not read here ({_said(error)}).",
            file=name,
            remedy="Write it with Snappy or Zstandard.",
        ) from error


def _lost(reading: _Reading, group: int, done: int, ends: _Ends, said: str) -> Iterator[Unit]:
    """The rows of a row group from the damage on, as rows that are malformed."""
    reason = f"lies in row group {group + 1}, which is damaged"
    place = f"from row {ends.before(group) + done + 1:,} on"
    warning = f"Row group {group + 1} of {len(ends.rows)} is damaged {place} ({said})."
    for start in range(done, ends.rows[group], MAX_UNIT_ROWS):
        end = min(start + MAX_UNIT_ROWS, ends.rows[group])
        yield Unit(partial(reading.lost, end - start, reason), ends.of(group, end), warnings=(warning,))


def _said(error: Exception) -> str:
    return str(error).split("\n", 1)[0].rstrip(".")[:100]
