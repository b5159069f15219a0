"""What is written: read back it is what it was, no cell of it is a formula, and the same rows are the same bytes."""

from __future__ import annotations

import csv
import gc
import io
import math
import struct
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perennial.scoring.results import Refused
from perennial.scoring.writing import (
    GROUP_BYTES,
    GROUP_ROWS,
    SLICE_ROWS,
    CsvWriter,
    ParquetWriter,
    QuarantineWriter,
    harmless,
    writer_of,
)

SCHEMA = pa.schema(
    [
        pa.field("row", pa.int64()),
        pa.field("who", pa.string()),
        pa.field("CGPA", pa.float64()),
        pa.field("prediction", pa.string(), nullable=False),
        pa.field("probability_yes", pa.float64(), nullable=False),
    ]
)
TEXTS = ["", "plain", "=1+1", "+49 30 1", "-5", "-5.25e-3", "- five", "@SUM(A1)", "\tx", "\rx", "\nx", 'a "b"', "a,b",
         "a\nb", '=HYPERLINK("x","y")', "ä", "'=1", "-inf", "+", "1,000", "-1\n"]  # fmt: skip


def table(who: Sequence[str | None], cgpa: Sequence[float | None] | None = None, *, first: int = 1) -> pa.Table:
    rows = len(who)
    columns = [
        pa.array(range(first, first + rows), pa.int64()),
        pa.array(who, pa.string()),
        pa.array(cgpa if cgpa is not None else [None] * rows, pa.float64()),
        pa.array(["yes"] * rows),
        pa.array([0.1 + 0.2] * rows),
    ]
    return pa.Table.from_arrays(columns, schema=SCHEMA)


def as_csv(*tables: pa.Table, header: bool = True) -> bytes:
    sink = io.BytesIO()
    writer = CsvWriter(sink, SCHEMA, header=header)
    for one in tables:
        writer.write(one)
    writer.close()
    return sink.getvalue()


def cells(data: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode(), newline=""), strict=True))


@given(
    st.lists(st.one_of(st.none(), st.sampled_from(TEXTS), st.text(alphabet=st.characters(exclude_categories=["Cs"]))))
)
def test_texts_come_back_and_none_is_a_formula(who: list[str | None]) -> None:
    found = cells(as_csv(table(who)))
    assert found[0] == SCHEMA.names
    assert [row[1] for row in found[1:]] == ["" if text is None else harmless(text) for text in who]
    assert [row[0] for row in found[1:]] == [str(i + 1) for i in range(len(who))]


def test_a_number_is_no_formula_and_what_only_begins_like_one_is() -> None:
    assert [harmless(text) for text in ("-5", "+3.5e2", "-.5", "-5.", "", "a=1")] == [
        "-5", "+3.5e2", "-.5", "-5.", "", "a=1",
    ]  # fmt: skip
    for text in ("=1", "-1+1", "-", "+", "@x", "\tx", "\rx", "\n=1", "-inf", "--1", "-1e", "=-1", "-1\n", "-\u0661"):
        assert harmless(text) == "'" + text


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=True), max_size=50))
def test_doubles_read_back_to_the_bit(values: list[float]) -> None:
    found = cells(as_csv(table([""] * len(values), values)))[1:]
    assert [struct.pack("d", float(row[2])) for row in found] == [struct.pack("d", value) for value in values]


def test_edges_of_the_doubles_read_back_to_the_bit() -> None:
    edges = [5e-324, 1.7976931348623157e308, -0.0, 0.1, 1e22, 1e23, 2.0**53, 1 / 3, 1e-5, 123456789012345680.0]
    with np.errstate(over="ignore"):
        values = [*edges, *np.nextafter(edges, math.inf).tolist(), *np.nextafter(edges, -math.inf).tolist()]
    values = [value for value in values if math.isfinite(value)]
    found = [float(row[2]) for row in cells(as_csv(table([""] * len(values), values)))[1:]]
    assert np.array(found).tobytes() == np.array(values).tobytes()


@given(st.lists(st.sampled_from(TEXTS), min_size=2, max_size=30), st.data())
def test_the_bytes_are_the_same_however_the_rows_arrive(who: list[str], data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(who)))
    whole = table(list(who))
    assert as_csv(whole.slice(0, cut), whole.slice(cut)) == as_csv(whole)
    assert as_csv(whole.slice(0, cut)) + as_csv(whole.slice(cut), header=False) == as_csv(whole)


def test_cells_are_quoted_where_they_must_be_only() -> None:
    data = as_csv(table(["plain", 'a "b", c', None], [1.0, None, 2.5]))
    assert data.decode() == (
        "row,who,CGPA,prediction,probability_yes\n"
        "1,plain,1,yes,0.30000000000000004\n"
        '2,"a ""b"", c",,yes,0.30000000000000004\n'
        "3,,2.5,yes,0.30000000000000004\n"
    )


def test_names_of_columns_are_quoted_and_no_formulas() -> None:
    sink = io.BytesIO()
    CsvWriter(sink, pa.schema([("=cmd", pa.string()), ("a,b", pa.string()), ("-1", pa.string())]))
    assert sink.getvalue().decode() == '\'=cmd,"a,b",-1\n'


def test_more_rows_than_one_slice_and_cells_of_a_megabyte() -> None:
    many = table([f"={i}" if i % 5000 == 0 else str(i) for i in range(SLICE_ROWS * 2 + 5)])
    found = cells(as_csv(many))
    assert len(found) == many.num_rows + 1
    assert found[5001][1] == "'=5000"
    assert [row[1] for row in found[1:4]] == ["'=0", "1", "2"]
    wide = table(["x" * 1_000_000] * 40)
    assert len(as_csv(wide)) > 40_000_000


def test_columns_of_other_kinds_and_dictionaries_are_written() -> None:
    sink = io.BytesIO()
    columns = {
        "dictionary": pa.array(["=a", "b", "=a"]).dictionary_encode(),
        "large": pa.array(["x,y", None, "z"], pa.large_string()),
        "flag": pa.array([True, None, False]),
        "day": pa.array([0, 1, None], pa.date32()),
    }
    given_ = pa.table(columns)
    writer = CsvWriter(sink, given_.schema)
    writer.write(pa.concat_tables([given_, given_.slice(1)]))
    assert cells(sink.getvalue())[1:] == [
        ["'=a", "x,y", "true", "1970-01-01"], ["b", "", "", "1970-01-02"], ["'=a", "z", "false", ""],
        ["b", "", "", "1970-01-02"], ["'=a", "z", "false", ""],
    ]  # fmt: skip


@pytest.mark.parametrize("rows", [0, 1, GROUP_ROWS, GROUP_ROWS + 1])
def test_parquet_has_the_rows_in_groups_of_a_size_however_they_arrive(rows: int) -> None:
    whole = table([f"u{i % 97}" for i in range(rows)])
    found = []
    for step in (10_007, max(rows, 1)):
        sink = io.BytesIO()
        writer = ParquetWriter(sink, SCHEMA)
        for start in range(0, rows, step):
            writer.write(whole.slice(start, step))
        writer.close()
        assert not sink.closed
        found.append(sink.getvalue())
    file = pq.ParquetFile(io.BytesIO(found[0]))
    assert file.read().equals(whole)
    groups = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
    assert groups == [min(GROUP_ROWS, rows - start) for start in range(0, rows, GROUP_ROWS)]
    assert found[0] == found[1]


def test_a_file_that_is_given_up_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[object] = []
    monkeypatch.setattr("sys.unraisablehook", said.append)
    sink, table = io.BytesIO(), pa.table({"row": range(GROUP_ROWS)})
    writer = ParquetWriter(sink, table.schema)
    writer.write(table)
    sink.close()
    del writer
    gc.collect()
    assert not said


def test_wide_rows_make_smaller_groups() -> None:
    sink = io.BytesIO()
    writer = ParquetWriter(sink, SCHEMA)
    for first in (1, 101):
        writer.write(table(["x" * (GROUP_BYTES // 100)] * 100, first=first))
    writer.close()
    file = pq.ParquetFile(sink)
    assert [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] == [100, 100]
    assert file.read(["row"]).column(0).to_pylist() == list(range(1, 201))


def test_a_writer_is_found_by_its_format() -> None:
    for name, kind in (("csv", CsvWriter), ("parquet", ParquetWriter)):
        sink = io.BytesIO()
        writer = writer_of(name, sink, SCHEMA)  # type: ignore[arg-type]
        assert isinstance(writer, kind)
        writer.close()
        assert sink.getvalue()


def test_the_quarantine_tells_of_each_row_and_is_no_formula_either() -> None:
    sink = io.BytesIO()
    writer = QuarantineWriter(sink)
    writer.write(
        [Refused(3, "=cmd|' /C calc'!A0", "is missing", '{"a": "x, \\"y\\""}'), Refused(9, None, "has 3", '"\ud800"')]
    )
    writer.write([])
    writer.close()
    assert cells(sink.getvalue()) == [
        ["row", "column", "reason", "record"],
        ["3", "'=cmd|' /C calc'!A0", "is missing", '{"a": "x, \\"y\\""}'],
        ["9", "", "has 3", '"?"'],
    ]
