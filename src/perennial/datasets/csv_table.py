"""CSV bytes -> an Arrow table of their rows, and beside it those whose number of fields is another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
from numpy.typing import NDArray


@dataclass(frozen=True)
class Malformed:
    """A row that has no cells to judge, most often as its number of fields is not the header's.

    ``row`` is 1-based, the header not counted; ``text`` what stands there. ``reason`` is given where it is another,
    with the column where one cell is to blame.
    """

    row: int
    fields: int
    text: str
    reason: str | None = None
    column: str | None = None

    def why(self, names: int) -> str:
        """The reason in words, for a header of so many ``names``."""
        return self.reason or f"has {self.fields} fields, the header {names}"


@dataclass(frozen=True)
class CsvTable:
    """``table`` has columns f0, f1 and so on, by their places; ``numbers`` the 1-based number of each of its rows."""

    table: pa.Table
    numbers: NDArray[np.int64]
    malformed: tuple[Malformed, ...]


def csv_table(
    data: bytes,
    types: Sequence[pa.DataType],
    *,
    delimiter: str = ",",
    places: Sequence[int] | None = None,
    nulls: Sequence[str] = (),
    block_bytes: int | None = None,
    width_of_first: bool = False,
) -> CsvTable:
    """Parse rows of UTF-8 into columns of the given types; blank lines are no rows.

    ``places`` are the columns to make: all unless said, else at least one. ``nulls`` are the texts that mean null in a
    column that is no text. ``block_bytes`` is how much is parsed at once: None for all. With ``width_of_first`` a row
    has as many fields as the first, else as there are types.

    Raises:
        ArrowInvalid: a cell does not fit its type, or the rows cannot be told apart.
    """
    malformed: list[Malformed] = []

    def keep_aside(row: pa_csv.InvalidRow) -> str:
        malformed.append(Malformed(row.number, row.actual_columns, row.text))
        return "skip"

    names = [f"f{place}" for place in range(len(types))]
    wanted = names if places is None else [names[place] for place in places]
    if not data:
        kinds = dict(zip(names, types, strict=True))
        empty = pa.table([pa.array([], kinds[name]) for name in wanted], wanted)
        return CsvTable(empty, numbers_without(0, ()), ())
    table = pa_csv.read_csv(
        pa.py_buffer(data),
        read_options=pa_csv.ReadOptions(
            use_threads=False,  # rows are numbered only then
            block_size=block_bytes or len(data) + 1,
            autogenerate_column_names=width_of_first,
            column_names=None if width_of_first else names,
        ),
        parse_options=pa_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True, invalid_row_handler=keep_aside),
        convert_options=pa_csv.ConvertOptions(
            column_types=dict(zip(names, types, strict=True)),
            include_columns=None if places is None else wanted,
            strings_can_be_null=False,
            null_values=list(nulls),
            check_utf8=False,
        ),
    )
    return CsvTable(table, numbers_without(table.num_rows, [row.row for row in malformed]), tuple(malformed))


def numbers_without(kept: int, left_out: Sequence[int]) -> NDArray[np.int64]:
    """The 1-based numbers of the ``kept`` rows, where those ``left_out`` stood among them."""
    every = np.arange(1, kept + len(left_out) + 1, dtype=np.int64)
    return np.setdiff1d(every, np.array(left_out, np.int64), assume_unique=True) if left_out else every
