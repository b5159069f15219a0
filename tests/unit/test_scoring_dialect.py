"""How a file is written is told from its content; what cannot be read ends with one line that says why."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perennial.errors import DataError
from perennial.scoring.dialect import HEAD_BYTES, sniff
from perennial.scoring.encoding import encoding_of, is_utf8
from tests.support.datasets import make_spec, parquet_bytes
from tests.support.sources import BytesSource

SPEC = make_spec(id="name")
NAMES = ("name", "age", "score", "colour", "town")
HEADER = ",".join(NAMES).encode()
ROW = b"ann,41,0.5,red,Rome\n"
PARQUET = parquet_bytes({"name": pa.array(["ann"]), "age": pa.array([41])})


def zipped() -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr("people.csv", HEADER + b"\n" + ROW)
    return sink.getvalue()


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_the_delimiter_is_the_one_that_shows_the_columns(delimiter: str, end: str) -> None:
    header = delimiter.join(NAMES) + end
    found = sniff(BytesSource((header + f"a,b;c|d\te{end}").encode()), SPEC)
    assert (found.format, found.delimiter, found.names, found.body) == ("csv", delimiter, NAMES, len(header))
    assert found.warnings == ()


def test_a_header_may_hold_other_delimiters_quotes_and_lines() -> None:
    header = b'"last, first name";" age "; score;"a ""b""";"two\nlines"\r\n'
    found = sniff(BytesSource(header + b"1;2;3;4;5\n"), SPEC)
    assert found.delimiter == ";"
    assert found.names == ("last, first name", "age", "score", 'a "b"', "two\nlines")
    assert found.body == len(header)


def test_brackets_around_names_make_no_json() -> None:
    assert sniff(BytesSource(b"[id],[age]\n1,2\n"), SPEC).names == ("[id]", "[age]")


def test_one_column_is_a_table_too() -> None:
    found = sniff(BytesSource(b"age\n1\n"), SPEC)
    assert (found.names, found.delimiter, found.body) == (("age",), ",", 4)


def test_a_mark_and_blank_lines_before_the_header_are_passed_over() -> None:
    found = sniff(BytesSource(b"\xef\xbb\xbf\r\n\n" + HEADER + b"\n" + ROW), SPEC)
    assert (found.names, found.body, found.encoding) == (NAMES, 3 + 3 + len(HEADER) + 1, "utf-8")


@pytest.mark.parametrize(
    ("data", "encoding", "warned"),
    [
        (b"ann\n", None, False),
        ("Jörg\n".encode(), "utf-8", False),
        ("Jörg\n".encode("cp1252"), "cp1252", True),
        ("Jörg, Zoë\n".encode() + b"\xe9\n", "utf-8", False),
    ],
)
def test_the_encoding_is_what_most_of_the_text_speaks_for(data: bytes, encoding: str | None, warned: bool) -> None:
    for file in (HEADER + b"\n" + data, gzip.compress(HEADER + b"\n" + data)):
        found = sniff(BytesSource(file, "people.csv" if file[:1] == b"n" else "people.csv.gz"), SPEC)
        assert found.encoding == encoding
        assert bool(found.warnings) == warned
        assert not warned or "Windows-1252" in found.warnings[0]


def test_a_character_that_the_head_cuts_in_two_is_not_taken_for_another_encoding() -> None:
    text = (HEADER + b"\n" + b"x" * (HEAD_BYTES - len(HEADER) - 2)) + "ö".encode() * 9 + b"\n"
    for shift in range(3):
        assert sniff(BytesSource(text[: len(HEADER) + 1] + text[len(HEADER) + 1 + shift :]), SPEC).encoding != "cp1252"


@given(st.binary(max_size=40) | st.text(max_size=20).map(str.encode))
def test_bytes_are_utf8_or_they_are_not(data: bytes) -> None:
    try:
        data.decode()
    except UnicodeDecodeError:
        assert not is_utf8(data)
    else:
        assert is_utf8(data)
        assert encoding_of(data) in (None, "utf-8")


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf16_is_known_by_its_mark(encoding: str) -> None:
    data = ("\ufeff" + HEADER.decode() + "\nJörg,1,,red,Rome\n").encode(encoding)
    for file, packed in ((data, False), (gzip.compress(data), True)):
        found = sniff(BytesSource(file, "a.csv.gz" if packed else "a.csv"), SPEC)
        assert (found.encoding, found.gzip, found.names) == (encoding, packed, NAMES)
        assert found.body == 3 + len(HEADER) + 1


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "is empty"),
        (b"\n\r\n \t\n", "is empty"),
        (b"\xef\xbb\xbf", "is empty"),
        (b"\xff\xfe", "is empty"),
        (gzip.compress(b"", mtime=0), "is empty"),
        (gzip.compress(HEADER + b"\n" + ROW * 99, mtime=0)[:-12], "is damaged gzip"),
        (gzip.compress(PARQUET, mtime=0), "is Parquet packed by gzip"),
        (gzip.compress(gzip.compress(ROW, mtime=0), mtime=0), "is packed by gzip twice"),
        (zipped(), "is a zip archive or an Excel workbook"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500), "is an Excel workbook"),
        (bz2.compress(ROW), "is packed by bzip2"),
        (lzma.compress(ROW), "is packed by xz"),
        (b"\x28\xb5\x2f\xfd\x04\x00", "is packed by Zstandard"),
        (b"%PDF-1.7\n", "is a PDF"),
        (b'[{"age": 1}]', "is a JSON array"),
        (HEADER.decode().encode("utf-16-le"), "holds NUL bytes"),
        (b"age,\x00score\n1,2\n", "holds NUL bytes"),
        (b'{\n  "age": 1\n}\n', "begins with no JSON object on a line"),
        (b'{"age": 1}\r{"age": 2}\r', "begins with no JSON object on a line"),
        (b'{"age": "' + b"x" * HEAD_BYTES + b'"}\n', "begins with no JSON object on a line"),
        (b"PARE" + PARQUET[4:-4] + b"PARE", "is encrypted"),
        (b'age,"score\n1,2\n', "has a quote in its header that never closes"),
        (b"x" * (HEAD_BYTES + 1), "has a header of over 1,048,576 bytes"),
        ("größe,".encode("cp1252") + b"\x81\n1,2\n", "has a header that cannot be decoded"),
    ],
)
def test_what_cannot_be_read_is_told_in_one_line(data: bytes, says: str) -> None:
    with pytest.raises(DataError) as caught:
        sniff(BytesSource(data), SPEC)
    assert says in str(caught.value)
    assert str(caught.value).startswith("people.csv")
    assert "\n" not in str(caught.value)
    assert caught.value.remedy


@pytest.mark.parametrize("advice", [b"sep=;\r\n", b'"sep=;"\n', b"SEP=\t\r", b"\r\nsep=\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_a_line_that_is_there_for_excel_is_passed_over(advice: bytes, mark: bytes) -> None:
    header = mark + advice + HEADER.replace(b",", b";") + b"\r\n"
    found = sniff(BytesSource(header + ROW.replace(b",", b";")), SPEC)
    assert (found.names, found.delimiter, found.body, found.warnings) == (NAMES, ";", len(header), ())


def test_a_column_called_sep_is_a_column() -> None:
    assert sniff(BytesSource(b"sep=,age\n1,2\n"), SPEC).names == ("sep=", "age")


def test_a_header_that_begins_as_encrypted_parquet_does_is_a_header() -> None:
    assert sniff(BytesSource(b"PARENTS,age\n1,2\n"), SPEC).names == ("PARENTS", "age")


def test_the_id_of_json_lines_may_come_up_late() -> None:
    assert sniff(BytesSource(b'{"age": 1}\n{}\n'), SPEC).names == ("age", "name")
    assert sniff(BytesSource(b"{ }\r\n"), SPEC).names == ("name",)


@pytest.mark.parametrize(
    ("name", "data", "warning"),
    [
        ("people.parquet", HEADER + b"\n" + ROW, "It is named .parquet but holds CSV."),
        ("people.csv", PARQUET, "It is named .csv but holds Parquet."),
        ("people.jsonl", HEADER + b"\n" + ROW, "It is named .jsonl but holds CSV."),
        ("people.csv", b'{"age": 1}\n', "It is named .csv but holds JSON Lines."),
        ("people.csv", gzip.compress(HEADER + b"\n" + ROW, mtime=0), "It is named .csv but holds CSV packed by gzip."),
        ("people.csv.gz", HEADER + b"\n" + ROW, "It is named .csv.gz but holds CSV."),
    ],
)
def test_a_name_that_says_otherwise_is_a_warning(name: str, data: bytes, warning: str) -> None:
    assert sniff(BytesSource(data, name), SPEC).warnings == (warning,)


@pytest.mark.parametrize(
    "name", ["people", "2026-11-21", "people.csv", "PEOPLE.CSV", "people.tsv", "a/b.c/people.data"]
)
def test_other_names_are_none(name: str) -> None:
    assert sniff(BytesSource(HEADER + b"\n" + ROW, name), SPEC).warnings == ()


def test_json_lines_begin_with_an_object() -> None:
    data = b'\xef\xbb\xbf\n {"age": 1, "score": null, "other": 2}\n'
    found = sniff(BytesSource(data, "people.jsonl"), SPEC)
    assert (found.format, found.encoding, found.body, found.gzip) == ("jsonl", "utf-8", 3, False)
    assert "age" in found.names


def test_parquet_brings_its_columns() -> None:
    found = sniff(BytesSource(PARQUET, "people.parquet"), SPEC)
    assert (found.format, found.names, found.warnings) == ("parquet", ("name", "age"), ())
