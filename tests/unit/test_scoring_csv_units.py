"""CSV in units: every row there once, whatever stands in it, and typed or as text it means the same."""

from __future__ import annotations

import gzip
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perennial.datasets.arrow import encode
from perennial.datasets.csv_table import csv_table
from perennial.datasets.reading import RawFile
from perennial.datasets.validate import validate
from perennial.errors import DataError
from perennial.scoring import text
from perennial.scoring.blocks import MAX_RECORD_BYTES
from perennial.scoring.dialect import sniff
from perennial.scoring.results import Dialect, Unit
from perennial.scoring.units import units
from tests.support.datasets import make_spec
from tests.support.sources import BytesSource, csv_texts

SPEC = make_spec(id="name")
NAMES = ("name", "age", "score", "colour", "town")
GOOD = b"ann,41,0.5,red,Rome\nbob,7,,green,none\n"


def read(data: bytes, dialect: Dialect | None = None, *, size: int = 1 << 16, typed: bool = True) -> list[RawFile]:
    """Each unit of a file that is ``data``, its header included."""
    source = BytesSource(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text, "BLOCK_BYTES", size)
        found = list(units(source, dialect or sniff(source, SPEC), SPEC))
        return [unit.read() if typed or unit.text is None else unit.text() for unit in found]


def rows_of(files: Sequence[RawFile]) -> list[tuple[str | None, ...]]:
    """Every row by its number in the file: cells as text, or what stands there and why it is malformed."""
    rows: list[tuple[str | None, ...]] = []
    for raw in files:
        cells = [column.cast(pa.string()).to_pylist() for column in raw.columns.values()]
        found: dict[int, tuple[str | None, ...]] = {}
        if len(raw.rows):
            found = dict(zip(raw.rows.tolist(), zip(*cells, strict=True), strict=True))
        for one in raw.malformed:
            found[one.row] = (one.text, one.column, one.why(len(raw.header.names)))
        assert sorted(found) == list(range(1, len(found) + 1))
        rows += [found[number] for number in sorted(found)]
    return rows


@settings(max_examples=200, deadline=None)
@given(csv_texts, st.integers(1, 70), st.sampled_from([",", ";"]))
def test_rows_as_text_are_those_of_the_parser(body: str, size: int, delimiter: str) -> None:
    header = delimiter.join(("age", "score")).encode() + b"\n"
    data = body.encode()
    whole = csv_table(data, [pa.string()] * 2, delimiter=delimiter)
    cells = zip(*(column.to_pylist() for column in whole.table.columns), strict=True)
    expected: dict[int, tuple[str | None, ...]] = dict(zip(whole.numbers.tolist(), cells, strict=True))
    for one in whole.malformed:
        expected[one.row] = (one.text, None, f"has {one.fields} fields, the header 2")
    dialect = Dialect(format="csv", delimiter=delimiter, encoding="utf-8", names=("age", "score"), body=len(header))
    try:
        found = rows_of(read(header + data, dialect, size=size, typed=False))
    except DataError as error:
        assert error.row == len(expected)
        assert "quote that never closes" in str(error)
    else:
        assert found == [expected[number] for number in sorted(expected)]


_CELL = st.sampled_from(
    ["", " ", "1", "41", "007", "1.50", " 2 ", "+3", "-0", "1e3", "1e400", "1E-400", ".5", "5.", "nan", "NaN", "-nan",
     " nan", "inf", "-Infinity", "NA", "n/a", "Null", "nULL", "?", "None", "<na>", "0x10", "1_0", "1,5", "red", "Red",
     " red", "1.0", "Rome", "none", "town\t", "é", "\u00a01", "1\n", "99999999999999999999", "0.1234567890123456789"]
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(*[_CELL] * 5), min_size=1, max_size=4), st.booleans())
def test_typed_or_as_text_a_row_gets_the_same_answer(rows: list[tuple[str, ...]], tidy: bool) -> None:
    if tidy:
        rows = [(row[0], str(index), "", "red", row[4]) for index, row in enumerate(rows)]
    lines = [",".join('"' + cell + '"' for cell in row) for row in rows]
    data = (",".join(NAMES) + "\n" + "\n".join(lines) + "\n").encode()
    source = BytesSource(data)
    (unit,) = units(source, sniff(source, SPEC), SPEC)
    assert unit.text is not None
    typed, plain = validate(unit.read(), SPEC, labelled=False), validate(unit.text(), SPEC, labelled=False)
    assert typed.rows.tolist() == plain.rows.tolist()
    assert [(one.row, one.column, one.reason) for one in typed.refused] == [
        (one.row, one.column, one.reason) for one in plain.refused
    ]
    assert encode(typed.table, SPEC).tobytes() == encode(plain.table, SPEC).tobytes()
    assert rows_of([unit.text()]) == rows


def only(data: bytes) -> Unit:
    source = BytesSource(data)
    (unit,) = units(source, sniff(source, SPEC), SPEC)
    return unit


def test_numbers_and_categories_are_typed_where_they_can_be() -> None:
    raw = only(b"name,age,score,colour,town\n" + GOOD).read()
    assert [str(raw.columns[name].type) for name in NAMES] == [
        "string", "double", "double", "dictionary<values=string, indices=int32, ordered=0>",
        "dictionary<values=string, indices=int32, ordered=0>",
    ]  # fmt: skip
    assert raw.columns["score"].to_pylist() == [0.5, None]
    assert raw.rows.tolist() == [1, 2]


@pytest.mark.parametrize("cell", ["forty", "inf", "1e400", "1,5", " nan"])
def test_one_number_that_is_none_leaves_its_column_as_text(cell: str) -> None:
    raw = only(b"name,age,score,colour,town\n" + GOOD + f'cid,"{cell}",NA,red,Rome\n'.encode()).read()
    assert raw.columns["age"].to_pylist() == ["41", "7", cell]
    assert raw.columns["score"].type == pa.float64()
    assert raw.columns["score"].to_pylist() == [0.5, None, None]
    assert pa.types.is_dictionary(raw.columns["colour"].type)


def test_rows_with_a_nul_byte_are_left_out_with_their_column() -> None:
    body = b'ann,41,0.5,red,Rome\n\nb\x00b,7,,green,none\n"c\nd",8,,"gr\x00\neen",none\n1,2\nx\x00,3\ned,9,,red,Rome\n'
    raw = only(b"name,age,score,colour,town\n" + body).read()
    assert raw.columns["name"].to_pylist() == ["ann", "ed"]
    assert raw.rows.tolist() == [1, 6]
    assert [(one.row, one.column, one.why(5)) for one in raw.malformed] == [
        (2, "name", "holds a NUL byte"),
        (3, "colour", "holds a NUL byte"),
        (4, None, "has 2 fields, the header 5"),
        (5, None, "holds a NUL byte"),
    ]


def test_a_last_row_with_a_nul_byte_and_a_quote_that_never_closes_is_left_out_too() -> None:
    body = b'b\x00b,7,,green,none\n\xe9,1,,red,Rome\nann,41,0.5,red,Rome\ned,9,,"re\x00d,Rome'
    source = BytesSource(b"name,age,score,colour,town\n" + "ä,1,,red,Rome\nö,1,,red,Rome\n".encode() + body)
    found = [unit.read() for unit in units(source, sniff(source, SPEC), SPEC)]
    assert [raw.rows.tolist() for raw in found] == [[1, 2, 5], []]
    blamed = [[(one.row, one.column) for one in raw.malformed] for raw in found]
    assert blamed == [[(3, "name"), (4, None)], [(1, None)]]


def test_broken_utf8_costs_only_its_rows() -> None:
    body = "äöü,1,,red,Rome\n".encode() + b"\xe4,2,,red,Rome\n" + "ß,3,,red,Rome\n".encode()
    raw = only(b"name,age,score,colour,town\n" + body).read()
    assert raw.columns["name"].to_pylist() == ["äöü", "ß"]
    assert raw.rows.tolist() == [1, 3]
    assert [(one.row, one.text, one.reason) for one in raw.malformed] == [
        (2, "\ufffd,2,,red,Rome", "is not UTF-8 (byte 0xe4)")
    ]


def test_windows_1252_is_read_and_what_is_not_even_that_is_left_out() -> None:
    body = "M\xfcnchen \u20ac,1,,red,Rome\n".encode("cp1252") + b"\x81\xfc,2,,red,Rome\n"
    raw = only(b"name,age,score,colour,town\n" + body).read()
    assert raw.columns["name"].to_pylist() == ["München €"]
    assert [(one.row, one.reason) for one in raw.malformed] == [(2, "is not Windows-1252 (byte 0x81)")]


def test_the_first_block_beyond_ascii_decides_the_encoding_of_all() -> None:
    body = b"ann,41,,red,Rome\n" * 100_000 + b"J\xf6rg\xdf,1,,red,Rome\n" + "Jörg,2,,red,Rome\n".encode()
    source = BytesSource(b"name,age,score,colour,town\n" + body)
    dialect = sniff(source, SPEC)
    assert (dialect.encoding, dialect.warnings) == (None, ())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text, "BLOCK_BYTES", 1 << 20)
        found = list(units(source, dialect, SPEC))
    assert [len(unit.warnings) for unit in found] == [0, 1]
    assert "Windows-1252" in found[1].warnings[0]
    names = [name for unit in found for name in unit.read().columns["name"].to_pylist()]
    assert names[-2:] == ["Jörgß", "JÃ¶rg"]


def test_a_line_of_ten_megabytes_costs_only_itself() -> None:
    data = b"name,age,score,colour,town\n" + GOOD + b"x" * 10_000_000 + b",1,,red,Rome\n" + GOOD
    rows = rows_of(read(data, size=1 << 20))
    assert len(rows) == 5
    assert rows[2][1:] == (None, f"is longer than {MAX_RECORD_BYTES:,} bytes")
    assert rows[2][0] == "x" * 1000
    assert rows[3][0] == "ann"


@pytest.mark.parametrize("size", [30, 1 << 20])
def test_a_quote_that_never_closes_fails_with_its_row(size: int) -> None:
    data = b"name,age,score,colour,town\n" + GOOD * 3 + b'"cid,1,,red,Rome\n' + GOOD * 9
    with pytest.raises(DataError, match=r"people\.csv, row 7: has a quote that never closes"):
        read(data, size=size)


def test_of_columns_of_one_name_the_first_counts_and_one_without_a_name_is_left_out() -> None:
    raw = only(b"name,age,score,colour,town,,age\nann,41,,red,Rome,x,7\n").read()
    assert raw.header.names == ("name", "age", "score", "colour", "town", "", "age")
    assert list(raw.columns) == ["name", "age", "score", "colour", "town"]
    assert raw.columns["age"].to_pylist() == [41.0]


def test_only_what_is_wanted_is_read_and_as_text_all_of_it() -> None:
    source = BytesSource(b"more,name,age,other\nx,ann,41,y\n1,2\n")
    dialect = sniff(source, SPEC)
    for keep, there in (
        (True, ["more", "name", "age", "other"]),
        (False, ["name", "age"]),
        (["other"], ["name", "age", "other"]),
    ):
        (unit,) = units(source, dialect, SPEC, keep=keep)
        assert unit.text is not None
        assert list(unit.read().columns) == there
        assert list(unit.text().columns) == ["more", "name", "age", "other"]
        assert unit.read().malformed == unit.text().malformed
    (unit,) = units(BytesSource(b"x,y\n1,2\n"), Dialect(format="csv", names=("x", "y"), body=4), SPEC, keep=False)
    assert len(unit.read().rows) == 1


@pytest.mark.parametrize("body", [b"", b"\n\n\r\n"])
def test_a_header_alone_is_no_rows(body: bytes) -> None:
    assert rows_of(read(b"name,age,score,colour,town\n" + body)) == []


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "cp1252"])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_the_same_rows_come_of_every_way_to_write_them(encoding: str, packed: bool, end: str) -> None:
    rows = [
        ("Jörg", "41", "", "red", "Rome"),
        ('"a"', "7", "0.5", "green", "one, two\nthree"),
        ("ß", "8", "", "1", "x"),
    ]
    quoted = [["".join(['"', cell.replace('"', '""'), '"']) for cell in row] for row in (NAMES, *rows)]
    written = (end.join(";".join(row) for row in quoted) + end).encode(encoding)
    if encoding == "utf-16-be":
        written = b"\xfe\xff" + written
    for size in (7, 16, 1 << 20):
        assert rows_of(read(gzip.compress(written) if packed else written, size=size, typed=False)) == rows
    typed = read(gzip.compress(written) if packed else written)
    assert [age for raw in typed for age in raw.columns["age"].to_pylist()] == [41.0, 7.0, 8.0]


def test_half_a_character_of_utf16_at_the_end_fails_and_half_a_pair_costs_its_row() -> None:
    header = "name,age,score,colour,town\n"
    cut = b"\xff\xfe" + (header + "ann,1,,red,Rome\n").encode("utf-16-le") + b"a"
    with pytest.raises(DataError, match="ends within a character of UTF-16"):
        read(cut)
    pair = b"\xff\xfe" + (header + "a\ud83d,1,,red,Rome\nbob,2,,red,Rome\n").encode("utf-16-le", "surrogatepass")
    rows = rows_of(read(pair))
    assert rows[0][1:] == (None, "is not UTF-8 (byte 0xed)")
    assert rows[1][0] == "bob"


def test_units_tell_how_far_the_source_was_read() -> None:
    data = b"name,age,score,colour,town\n" + GOOD * 1000
    for file in (data, gzip.compress(data)):
        source = BytesSource(file)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(text, "BLOCK_BYTES", 4096)
            ends = [unit.end for unit in units(source, sniff(source, SPEC), SPEC)]
        assert ends == sorted(ends)
        assert ends[-1] == source.size


def test_numbers_of_a_column_survive_beside_one_that_fails() -> None:
    raw = only(b"name,age,score,colour,town\nann,41,0.1,red,Rome\nbob,x,0.30000000000000004,red,Rome\n").read()
    checked = validate(raw, SPEC, labelled=False)
    assert checked.rows.tolist() == [1]
    assert np.array_equal(checked.table.column("score").to_numpy(), [0.1])
