"""Reading files: what is accepted, and a one-line error for what is not."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from perennial.datasets import reading
from perennial.datasets.reading import read_file, read_header
from perennial.datasets.unpack import read_local
from perennial.errors import DataError
from tests.support.datasets import parquet_bytes


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "is empty"),
        (b"\n \r\n\n", "is empty"),
        (gzip.compress(b"", mtime=0), "is empty"),
        (b"a,b\n", "header but no rows"),
        (b"a,b\n\n\n", "header but no rows"),
        (b"a,b,a\n1,2,3\n", "column 'a': appears more than once"),
        (b"a, a\n1,2\n", "column 'a': appears more than once"),
        ("a,b\ncaf\xe9,1\n".encode("latin-1"), "byte 0xe9 on line 2"),
        ("a,b\n1,2\n".encode("utf-16"), "UTF-16"),
        (b"a,b\n1,\x002\n", "NUL bytes"),
        (b"PK\x03\x04rest of a workbook", "Excel workbook"),
        (b"\x1f\x8bnot really gzip", "damaged gzip"),
        (gzip.compress(b"a,b\n1,2\n" * 99, mtime=0)[:-12], "damaged gzip"),
        (b"PAR1 and then nothing", "damaged Parquet"),
        (parquet_bytes({"a": pa.array([], pa.int64()), "b": pa.array([], pa.int64())}), "header but no rows"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_in_one_line(data: bytes, says: str) -> None:
    with pytest.raises(DataError) as caught:
        read_file("day.csv", data)
    assert says in str(caught.value)
    assert str(caught.value).startswith("day.csv")
    assert "\n" not in str(caught.value)
    assert caught.value.remedy


def test_a_missing_file_and_a_folder_are_errors_too(tmp_path: Path) -> None:
    for path in (tmp_path / "gone.csv", tmp_path):
        with pytest.raises(DataError, match="cannot be read") as caught:
            read_local(path)
        assert str(path) in str(caught.value)


def test_a_quote_that_never_closes_is_an_error() -> None:
    with pytest.raises(DataError, match="row 2: has a quote that never closes"):
        read_file("day.csv", b'a,b\n1,2\n3,"4\n5,6\n')


def test_byte_order_mark_blank_lines_and_spaces_around_names_do_no_harm() -> None:
    raw = read_file("day.csv", b"\xef\xbb\xbf\n a , b\n1,2\n\n3,4\n")
    assert {name: column.to_pylist() for name, column in raw.columns.items()} == {"a": ["1", "3"], "b": ["2", "4"]}
    assert raw.rows.tolist() == [1, 2]


def test_quoted_cells_may_hold_commas_quotes_and_line_breaks() -> None:
    raw = read_file("day.csv", b'"a,1",b\n"x\ny","say ""hi"""\n')
    assert raw.columns["a,1"].to_pylist() == ["x\ny"]
    assert raw.columns["b"].to_pylist() == ['say "hi"']


def test_malformed_rows_keep_their_number_and_the_others_keep_theirs() -> None:
    raw = read_file("day.csv", b'a,b\n1,2\n3\n"4\n4",5\n6,7,8\n9,10\n')
    assert raw.rows.tolist() == [1, 3, 5]
    assert [(bad.row, bad.fields, bad.text) for bad in raw.malformed] == [(2, 1, "3"), (4, 3, "6,7,8")]


def test_row_numbers_hold_across_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "BLOCK_BYTES", 256)
    lines = [f"{i},{i}" if i % 50 else f"{i}" for i in range(1, 1001)]
    raw = read_file("day.csv", ("a,b\n" + "\n".join(lines)).encode())
    assert [bad.row for bad in raw.malformed] == list(range(50, 1001, 50))
    assert raw.columns["a"].to_pylist() == [str(row) for row in raw.rows]


def test_gzip_and_parquet_are_told_by_content_not_by_name() -> None:
    plain = read_file("x.bin", b"a,b\n1,x\n")
    packed = read_file("x.bin", gzip.compress(b"a,b\n1,x\n"))
    columns = read_file("x.bin", parquet_bytes({"a": [1], "b": pa.array(["x"]).dictionary_encode()}))
    assert plain.columns["b"].equals(packed.columns["b"])
    assert columns.columns["b"].equals(plain.columns["b"])
    assert columns.columns["a"].to_pylist() == [1]
    assert np.array_equal(columns.rows, [1])


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_another_separator_is_recognised(separator: str) -> None:
    line = separator.join(["age", "name, first", "ill"])
    assert read_header("day.csv", f"{line}\n{line}\n".encode()).separator == separator
    assert read_header("day.csv", b"age,a;b,ill\n1,2,3\n").separator is None


def test_a_very_long_cell_is_read() -> None:
    long = "x" * 300_000
    assert read_file("day.csv", f"a,b\n{long},1\n".encode()).columns["a"].to_pylist() == [long]
