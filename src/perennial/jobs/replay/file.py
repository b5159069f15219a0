"""The file of a replay: its rows in the order of their times, and the periods they arrive in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from perennial.datasets.cells import MICROSECOND, check_time
from perennial.datasets.reading import RawFile, read_file
from perennial.datasets.text import holds_single_values
from perennial.datasets.unpack import read_local
from perennial.datasets.validate import check_header
from perennial.errors import DataError, SettingsError, SpecError
from perennial.spec import ModelSpec

FEWEST_ROWS = 50
MOST_PERIODS = 10_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_END = (datetime(9000, 1, 1, tzinfo=UTC) - _EPOCH) // MICROSECOND


@dataclass(frozen=True)
class Timeline:
    """The rows of a file that have a place in time, oldest first.

    ``times`` holds microseconds since 1970 (UTC) [rows], ascending; ``unplaced`` counts the rows left out, for want of
    a time or of a cell.
    """

    raw: RawFile
    times: NDArray[np.int64]
    unplaced: int

    @property
    def rows(self) -> int:
        return len(self.times)

    def moment(self, row: int) -> datetime:
        """When a row (from 0) arrives."""
        return _moment(int(self.times[row]))

    def table(self, rows: int) -> pa.Table:
        """The first rows as they were read."""
        return pa.table({name: column.slice(0, rows) for name, column in self.raw.columns.items()})


@dataclass(frozen=True)
class Period:
    """A step of a replay: the rows ``first`` up to ``last`` (from 0, excluded) arrive in ``[since, until)``."""

    since: datetime
    until: datetime
    first: int
    last: int


def read_timeline(path: Path, spec: ModelSpec, shuffle: int | None) -> Timeline:
    """Read a data file whose rows stand in the order of time.

    With ``shuffle``, a seed, the times are sorted, and all other columns but the id are permuted together against
    them: the same rows in a world that does not change.

    Raises:
        SpecError: the spec names no time column, or its input is pictures.
        DataError: the file cannot be read, lacks a column, or its rows are not in order; names file and row.
    """
    if spec.input == "image":
        raise SpecError(
            "is `image`, and pictures have no column of time to be played by.", key="input",
            remedy="Land them as they come, and watch the model by `perennial monitor`.",
        )  # fmt: skip
    if spec.time is None:
        raise SpecError(
            "names no time column, so its data cannot be played in order.", key="time",
            remedy="Set `time:` to the column that says when a row came to be.",
        )  # fmt: skip
    raw = read_file(str(path), read_local(path))
    check_header(raw.name, raw.header, spec)
    column = spec.time.strip()
    if not holds_single_values(raw.columns[column]):
        raise DataError("holds no single values.", file=raw.name, column=column, remedy="Give one time a row.")
    checked = check_time(raw.columns[column])
    placed = checked.reason == 0
    unplaced = int((~placed).sum()) + len(raw.malformed)
    if not placed.any():
        raise DataError(
            "holds no time.", file=raw.name, column=column, remedy="Write ISO 8601 dates, or seconds since 1970."
        )
    raw = _take(raw, np.flatnonzero(placed))
    times = checked.values.filter(pa.array(placed)).cast(pa.int64()).to_numpy(zero_copy_only=False)
    if shuffle is None:
        _refuse_disorder(raw, times, column)
    else:
        raw, times = _shuffled(raw, times, spec, shuffle)
    if times[0] < 0 or times[-1] >= _END:
        row = int(raw.rows[0 if times[0] < 0 else -1])
        raise DataError("lies before 1970 or after the year 9000.", file=raw.name, row=row, column=column)
    return Timeline(raw, times, unplaced)


def periods_of(timeline: Timeline, initial: float | timedelta, every: timedelta) -> tuple[Period, ...]:
    """Cut what comes after the initial part into steps of ``every``; the first row after it starts the first.

    Args:
        initial: how much is there at first, as a share of the rows or as a span from the first row. Rows of one
            moment stay together.

    Raises:
        DataError: too few rows are left on one side, or the steps do not fit the file.
    """
    name, times = timeline.raw.name, timeline.times
    if isinstance(initial, timedelta):
        first = int(np.searchsorted(times, times[0] + initial // MICROSECOND))
    else:
        moment = times[min(round(initial * len(times)), len(times) - 1)]
        first = int(np.searchsorted(times, moment))
    least, less = f"{FEWEST_ROWS} is the least", "Give a longer file, or another --initial."
    if first < FEWEST_ROWS:
        raise DataError(f"{first} initial rows are too few to begin with; {least}.", file=name, remedy=less)
    if len(times) - first < FEWEST_ROWS:
        left = len(times) - first
        raise DataError(f"{left} rows after the initial part are too few; {least}.", file=name, remedy=less)
    step, start, end = every // MICROSECOND, int(times[first]), int(times[-1])
    count = (end - start) // step + 1
    span = _told(end - start)
    if count < 2:
        raise DataError(
            f"the rows after the initial part span {span}, no longer than one step of --every.",
            file=name, remedy="Give a shorter --every.",
        )  # fmt: skip
    if count > MOST_PERIODS:
        raise DataError(
            f"the rows after the initial part span {span}: {count:,} steps of --every are more than {MOST_PERIODS:,}.",
            file=name, remedy="Give a longer --every.",
        )  # fmt: skip
    edges = [start + step * number for number in range(count + 1)]
    places = np.searchsorted(times, edges).tolist()
    return tuple(
        Period(_moment(edges[i]), _moment(edges[i + 1]), places[i], places[i + 1]) for i in range(count)
    )  # fmt: skip


def check_delay(timeline: Timeline, periods: tuple[Period, ...], delay: timedelta) -> None:
    """Raise SettingsError unless some truth comes in before the last step begins."""
    longest = periods[-1].since - periods[0].since
    if delay >= longest:
        raise SettingsError(
            f"--label-delay is longer than {timeline.raw.name} is played: no truth would come in time to learn from.",
            remedy=f"Give less than {_told(longest // MICROSECOND)}.",
        )


def _refuse_disorder(raw: RawFile, times: NDArray[np.int64], column: str) -> None:
    back = np.flatnonzero(np.diff(times) < 0)
    if len(back):
        raise DataError(
            "lies before the row above it.", file=raw.name, row=int(raw.rows[back[0] + 1]), column=column,
            remedy=f"Sort the file by '{column}', or play it with --shuffle SEED.",
        )  # fmt: skip


def _shuffled(raw: RawFile, times: NDArray[np.int64], spec: ModelSpec, seed: int) -> tuple[RawFile, NDArray[np.int64]]:
    order = np.argsort(times, kind="stable")
    drawn = np.random.default_rng(seed).permutation(len(times))
    kept = {name.strip() for name in (spec.time, spec.id) if name is not None}
    columns = {
        name: column.take(pa.array(order if name in kept else drawn)) for name, column in raw.columns.items()
    }  # fmt: skip
    return RawFile(raw.name, raw.header, columns, raw.rows[drawn]), times[order]


def _take(raw: RawFile, places: NDArray[np.intp]) -> RawFile:
    columns = {name: column.take(pa.array(places)) for name, column in raw.columns.items()}
    return RawFile(raw.name, raw.header, columns, raw.rows[places])


def _moment(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)


def _told(microseconds: int) -> str:
    """A span in days, or in hours where it is short."""
    hours = microseconds / 3.6e9
    return f"{hours / 24:.1f} days" if hours >= 48 else f"{hours:.2g} hours"
