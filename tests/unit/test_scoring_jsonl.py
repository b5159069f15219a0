"""JSON Lines: each record means what it means to the endpoint, whichever way its block is read."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from perennial.datasets.arrow import encode
from perennial.datasets.reading import RawFile
from perennial.datasets.validate import validate
from perennial.errors import InvalidRecord
from perennial.records import RecordSchema
from perennial.scoring.columns import encode_columns
from perennial.scoring.jsonl_rows import JsonRows
from perennial.scoring.jsonl_units import jsonl_names, jsonl_units
from perennial.scoring.results import Dialect
from perennial.scoring.source import LocalSource
from perennial.serving.batch_job import BatchPart
from perennial.serving.requests import RequestSchema
from tests.support.models import MIXED, MIXED_RECORD, make_spec

SPEC = make_spec("mixed", "binary", MIXED)
LOOSE = make_spec(
    "loose",
    "binary",
    {
        "n": {"type": "number", "missing": True},
        "whole": {"type": "number", "missing": True, "integer": True, "min": -5},
        "c": {"type": "category", "values": ["Pune", "1", "NA", "true", "x:y"], "unknown": "encode", "missing": True},
        "strict": {"type": "category", "values": ["a", "none"], "missing": True},
        "must": {"type": "category", "values": ["Pune", "1.5"], "unknown": "encode"},
        "d": {"type": "date", "missing": True},
    },
)
SCHEMA = RecordSchema(LOOSE)
BROKEN = b'{"n": 1'
TEXTS = ["Pune", " Pune ", "pune", "1", "1.0", "01", "NA", "na", "", " ", "?", "null", "none", "None", "true", "True",
         "x:y", "a", " a", "A", "\u0000", "é", "\ud83d\ude00", '"Pune"', "'", "2026-11-21",
         "2026-11-21T08:30:15.5+01:00", "2026-13-01", "0001-01-01T00:00+23:59", "soon", "z" * 500, "z" * 501,
         "\u2003Pune", "a\nb", "{", "[[", "a{\"b\":1}", "3", "-5", "NaN", "1e400", "inf", "Infinity"]  # fmt: skip
NUMBERS = ["0", "-0", "-0.0", "0.0", "1", "-5", "-6", "1.0", "1.5", "3.0000000000000001", "0.1", "1e5", "1E+5",
           "1e-400", "5e-324", "1e400", "-1e400", "9" * 30, "9" * 400, "-" + "9" * 400, "9007199254740993",
           "NaN", "Infinity", "-Infinity", "0.30000000000000004", "123456789012345678901.5"]  # fmt: skip
NESTED = ["[]", "{}", "[1]", '{"n": 1}', '{"n": 1, "n": 2}', "[" * 150 + "]" * 150, "[" * 230 + "]" * 230]
BAD = ["01", "+1", ".5", "1.", "nan", "Inf", "-NaN", "tru", "'a'", '"\\x"', '"\ud800"', "1 2", "", "\x00", '"\x01"']


def as_json(text: str) -> str:
    """JSON of a text, in which a lone surrogate is an escape."""
    return json.dumps(text, ensure_ascii=not text.isprintable())


tokens = st.one_of(
    st.sampled_from(TEXTS).map(as_json),
    st.sampled_from(NUMBERS),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.integers().map(str),
    st.sampled_from(["null", "true", "false"]),
    st.sampled_from(NESTED),
    st.sampled_from([json.dumps(text) for text in BAD] + BAD[:9]),
    st.text(max_size=5).map(json.dumps),
)
fitting = {
    "n": st.one_of(st.sampled_from(NUMBERS[:16]), st.floats(allow_nan=False, allow_infinity=False).map(repr)),
    "whole": st.one_of(st.integers(-5, 10**20).map(str), st.sampled_from(["0", "-0", "3.0", "1e5", "null"])),
    "c": st.one_of(st.sampled_from([*TEXTS, *LOOSE.features["c"].values]), st.text(max_size=5)).map(as_json),  # type: ignore[union-attr]
    "strict": st.sampled_from(['"a"', '"none"', "null"]),
    "must": st.one_of(st.sampled_from(TEXTS), st.text(max_size=5)).map(as_json),
    "d": st.sampled_from(['"2026-11-21"', '"2026-11-21T08:30:15.5+01:00"', "null", '"1969-12-31 23:59:59.999999"']),
}


@st.composite
def lines(draw: st.DrawFn) -> bytes:
    """A line that is mostly a record of LOOSE: most fit, some do not, a few are no JSON at all."""
    fits = draw(st.integers(0, 3)) > 0
    pairs = []
    for name, token in fitting.items():
        if name == "must" or draw(st.integers(0, 4)):
            pairs.append(f"{as_json(name)}: {draw(token if fits or draw(st.booleans()) else tokens)}")
    if not fits and draw(st.booleans()):
        pairs.append(f"{as_json(draw(st.sampled_from(['n', 'extra', 'must'])))}: {draw(tokens)}")
    space = draw(st.sampled_from(["", " ", "\t"]))
    line = (
        space
        + "{"
        + ", ".join(draw(st.permutations(pairs)))
        + "}"
        + draw(st.sampled_from(["", " ", "\r", "{}"][: 3 + (not fits)]))
    )
    return line.encode("utf-8", "surrogatepass")


def rows_of(data: bytes, spec: Any = LOOSE, columns: Sequence[str] | None = None) -> RawFile:
    return JsonRows("a.jsonl", tuple(columns or spec.features), spec).read(data, None)


def scored(raw: RawFile, spec: Any = LOOSE) -> dict[int, bytes]:
    """The encoded rows that were accepted, by number, to the bit."""
    checked = validate(raw, spec, labelled=False)
    matrix = encode(checked.table, spec)
    return {int(row): matrix[place].tobytes() for place, row in enumerate(checked.rows)}


def told(raw: RawFile) -> list[tuple[int, str | None, str | None]]:
    return [(one.row, one.column, one.reason) for one in raw.malformed]


@given(st.lists(lines(), min_size=1, max_size=6))
@example([b'{"must": "NA", "c": " Pune "}', b'{"must": "1.50", "c": "1.0"}'])
@example([b'{"must": "x", "n": "x"}', b'{"must": "x", "n": -0.0}'])
@example([b'{"must": "x", "n": -0}', b'{"must": "x", "n": -0.0}'])
def test_a_record_the_endpoint_accepts_is_the_same_row_of_numbers(given_lines: list[bytes]) -> None:
    found = scored(rows_of(b"\n".join(given_lines)))
    requests = RequestSchema(SCHEMA)
    for number, line in enumerate(given_lines, 1):
        try:
            record = requests.read(line).records[0]
        except InvalidRecord:
            continue
        assert found[number] == np.array(SCHEMA.row(record)).tobytes()


@given(st.lists(lines(), min_size=1, max_size=8))
def test_a_block_means_the_same_at_once_and_line_by_line(given_lines: list[bytes]) -> None:
    at_once = rows_of(b"\n".join(given_lines) + b"\n")
    by_line = rows_of(b"\n".join([*given_lines, BROKEN]))
    assert len(at_once.rows) + len(at_once.malformed) == len(given_lines)
    assert told(at_once) == told(by_line)[:-1]
    assert at_once.rows.tolist() == by_line.rows.tolist()
    assert scored(at_once) == scored(by_line)
    one, other = encode_columns(at_once, LOOSE), encode_columns(by_line, LOOSE)
    assert [one.reason is None or one.reason[i] == 0 for i in range(len(at_once.rows))] == [
        row in scored(at_once) for row in at_once.rows.tolist()
    ]
    fine = [i for i in range(len(at_once.rows)) if other.reason is None or other.reason[i] == 0]
    assert one.x[fine].tobytes() == other.x[fine].tobytes()


def test_what_is_plainly_fine_is_read_at_once_by_arrow() -> None:
    record = json.dumps(MIXED_RECORD)
    rows = JsonRows("a", tuple(MIXED), SPEC)
    for data in (
        record,
        record + "\r\n" + record + "\r\n",
        "\n\n" + record + " \n \t\n",
        json.dumps({"Age": "3", "City": 1}),
    ):
        assert rows._at_once(data.encode(), None) is not None
    assert rows._at_once(record.encode() + b"\n{\n", None) is None


@pytest.mark.parametrize(
    ("line", "column", "reason"),
    [
        (b'{"must": "a", "n": NaN}', "n", "is NaN, which JSON has no word for"),
        (b'{"must": NaN}', "must", "is NaN"),
        (b'{"must": "a", "n": 1, "n": 1}', "n", "is given more than once"),
        (b'{"must": "a", "n": [1]}', "n", "holds an array, not a single value"),
        (b'{"must": {"must": "a"}}', "must", "holds an object"),
        (b"[1, 2]", None, "is JSON, but no object"),
        (b'"text"', None, "is JSON, but no object"),
        (b"3", None, "is JSON, but no object"),
        (b"null", None, "is JSON, but no object"),
        (b"{'must': 'a'}", None, "is not JSON (key must be a string at character 2)"),
        (b'{"must": "a"', None, "is not JSON (EOF while parsing an object"),
        (b'{"must": "a"}{"must": "b"}', None, "is not JSON (trailing characters"),
        (b'{"must": "a"},', None, "is not JSON"),
        (b'{"must": "\\ud800"}', None, "is not JSON"),
        (b'{"must": "\xed\xa0\x80"}', None, "is not UTF-8 (byte 0xed)"),
        (b'{"must": "caf\xe9"}', None, "is not UTF-8 (byte 0xe9)"),
        (b'{"must": "a\x00b"}', None, "control character"),
        (b'\x00{"must": "a"}', None, "is not JSON"),
        (b'{"must": "a", "n": ' + b"9" * 5000 + b"}", None, "number out of range"),
        (b'{"must": "a", "extra": ' + b"[" * 5000 + b"]" * 5000 + b"}", None, "recursion limit exceeded"),
        (b'{"must": "a", "extra": ' + b"[" * 400_000, None, "recursion limit exceeded"),
    ],
)
def test_a_line_that_is_no_record_is_refused_and_its_neighbours_are_not(
    line: bytes, column: str | None, reason: str
) -> None:
    good = b'{"must": "Pune", "n": 2}'
    raw = rows_of(b"\n".join([good, line, good]) + b"\n")
    assert raw.rows.tolist() == [1, 3]
    assert [(one.row, one.column) for one in raw.malformed] == [(2, column)]
    assert reason in (raw.malformed[0].reason or "")
    assert scored(raw)[1] == scored(raw)[3] == np.array([2, np.nan, np.nan, np.nan, 0, *[np.nan] * 4]).tobytes()


@pytest.mark.parametrize(
    ("token", "reason"),
    [("1e400", "is not a finite number"), ("-Infinity", "is not a finite number"),
     ("9" * 400, "is not a finite number"),
     ("true", "is not a number"), ('"abc"', "is not a number"), ('"1e400"', "is not a finite number")],
)  # fmt: skip
def test_a_number_that_is_none_is_refused_by_column(token: str, reason: str) -> None:
    raw = rows_of(f'{{"must": "a", "n": 0.1}}\n{{"must": "a", "n": {token}}}\n{{"must": "a", "n": 5e-324}}\n'.encode())
    checked = validate(raw, LOOSE, labelled=False)
    assert [(one.row, one.column, one.reason) for one in checked.refused] == [(2, "n", reason)]
    assert checked.table.column("n").to_pylist() == [0.1, 5e-324]


def test_texts_are_numbers_where_the_spec_says_so_and_numbers_texts() -> None:
    records = [
        b'{"n": "33", "must": 1.5, "c": 1}',
        b'{"n": " 33.0 ", "must": 1.50, "c": true}',
        b'{"n": 33, "must": "1.5", "c": "1"}',
    ]
    found = scored(rows_of(b"\n".join(records)))
    assert found[1] == found[3]
    assert np.frombuffer(found[2])[[0, 2, 4]].tolist() == [33.0, 3.0, 1.0]
    for number, record in enumerate(records, 1):  # of one kind throughout a block they are read by other means
        assert scored(rows_of(record)) == {1: found[number]}


def test_what_nobody_needs_may_hold_anything() -> None:
    extras = [b"[1, {}]", b'{"n": 5}', b"NaN", b"Infinity", b'"' + b"[" * 5000 + b'"', b"1e999", b'"NaN"', b'": Inf"']
    data = b"\n".join(b'{"extra": ' + extra + b', "must": "Pune", "extra": 1}' for extra in extras)
    raw = rows_of(data)
    assert not raw.malformed
    assert len(scored(raw)) == len(extras)


def test_columns_that_are_kept_are_text_and_nested_ones_json() -> None:
    values = ['"a"', "12345678901234567890", "1.50", "true", '{"a": [1, null]}', "null", '"2026-01-01"', "7"]
    data = "".join(f'{{"must": "a", "extra": {value}}}\n' for value in values).encode()
    expected = ["a", "12345678901234567890", "1.5", "true", '{"a":[1,null]}', None, "2026-01-01", "7"]
    raw = rows_of(data, columns=(*LOOSE.features, "extra"))
    assert raw.columns["extra"].to_pylist() == expected
    for line, text in zip(data.splitlines(), expected, strict=True):
        one = rows_of(line, columns=(*LOOSE.features, "extra"))
        assert one.columns["extra"].to_pylist() == [text]
        assert one.columns["extra"].type == pa.string()


def test_lines_are_counted_without_blank_ones_and_ended_in_either_way() -> None:
    good = b'{"must": "a"}'
    data = b"\xef\xbb\xbf" + good + b"\r\n\r\n" + good + b"\n   \n\t\n" + b"oops\r\n" + good
    raw = rows_of(data)
    assert raw.rows.tolist() == [1, 2, 4]
    assert [(one.row, one.text) for one in raw.malformed] == [(3, "oops")]
    assert len(rows_of(b"").rows) == len(rows_of(b"\n\r\n \n").rows) == 0
    assert rows_of(b"\n").columns["n"].type == pa.float64()


def test_two_objects_in_a_line_and_one_in_two_do_not_even_out() -> None:
    raw = rows_of(b'{"must": "a"}{"must": "b"}\n{"must":\n"c"}\n')
    assert (raw.rows.tolist(), [one.row for one in raw.malformed]) == ([], [1, 2, 3])


def test_a_large_block_with_a_few_bad_lines_keeps_its_numbers() -> None:
    good = json.dumps({"must": "Pune", "n": 1.25, "c": "x:y", "d": "2026-11-21T08:30"})
    all_lines = [good] * 20_000
    bad = [0, 1, 777, 9_999, 10_000, 19_999]
    for place in bad:
        all_lines[place] = "{oops"
    all_lines[5] = good.replace("1.25", '"1.25"')
    raw = rows_of("\n".join(all_lines).encode())
    assert [one.row - 1 for one in raw.malformed] == bad
    assert raw.rows.tolist() == [i + 1 for i in range(20_000) if i not in bad]
    assert len(set(scored(raw).values())) == 1


def source_of(folder: Path, data: bytes) -> LocalSource:
    place = folder / "a.jsonl"
    place.write_bytes(data)
    return LocalSource(place)


def read_all(source: LocalSource, dialect: Dialect, part: BatchPart | None = None, **more: Any) -> list[RawFile]:
    return [unit.read() for unit in jsonl_units(source, dialect, SPEC, part, **more)]


def dialect_of(data: bytes, **more: Any) -> Dialect:
    return Dialect(format="jsonl", names=jsonl_names(data), **more)


def test_a_line_of_ten_megabytes_is_refused_between_its_neighbours(tmp_path: Path) -> None:
    good = json.dumps(MIXED_RECORD).encode()
    data = b"\n".join([good, b'{"Age": 3, "City": "' + b"x" * 10_000_000 + b'"}', good, b""])
    raws = read_all(source_of(tmp_path, data), dialect_of(good))
    counted = [(len(raw.rows), [one.reason for one in raw.malformed]) for raw in raws]
    assert sum(rows for rows, _ in counted) == 2
    assert [reason for _, reasons in counted for reason in reasons] == ["is longer than 1,048,576 bytes"]
    assert all(set(raw.columns) == set(MIXED) for raw in raws)


def test_units_are_the_same_packed_and_of_a_part(tmp_path: Path) -> None:
    records = [json.dumps({**MIXED_RECORD, "Age": 10 + i % 90}).encode() + b"\n" for i in range(300)]
    plain = b"".join(records)
    whole = read_all(source_of(tmp_path, plain), dialect_of(plain))
    ages = np.concatenate([raw.columns["Age"].to_numpy() for raw in whole]).tolist()
    assert ages == [10 + i % 90 for i in range(300)]
    packed = read_all(source_of(tmp_path, gzip.compress(plain)), dialect_of(plain, gzip=True))
    assert np.concatenate([raw.columns["Age"].to_numpy() for raw in packed]).tolist() == ages
    start, end = sum(map(len, records[:100])), sum(map(len, records[:250]))
    part = BatchPart(number=1, start=start, end=end, first=100, rows=150)
    some = read_all(source_of(tmp_path, plain), dialect_of(plain), part)
    assert np.concatenate([raw.columns["Age"].to_numpy() for raw in some]).tolist() == ages[100:250]
    assert some[0].rows[0] == 1


def test_an_encoding_of_windows_is_decided_by_the_first_letters_beyond_ascii(tmp_path: Path) -> None:
    data = (
        '{"Age": 33, "City": "Köln"}\n{"Age": 34, "City": "M\u00fcnchen"}\n'.encode("cp1252")
        + b'{"Age": 35, "City": "\x81"}\n'
    )
    source = source_of(tmp_path, data)
    units = list(jsonl_units(source, dialect_of(data), SPEC))
    assert ["Windows-1252" in warning for unit in units for warning in unit.warnings] == [True]
    raw = units[0].read()
    assert raw.columns["City"].to_pylist() == ["Köln", "München"]
    assert told(raw) == [(3, None, "is not Windows-1252 (byte 0x81)")]


def test_names_are_those_of_the_first_lines() -> None:
    assert jsonl_names(b'{"b": 1, "a": {"x": 2}}\noops\n[1]\n\n{"c": null, "a": 3}\n{"d": 1, "cut": ') == (
        "b",
        "a",
        "c",
    )
    assert jsonl_names('{"ä": 1}\n'.encode("cp1252")) == ("ä",)
    assert jsonl_names(b"") == ()


def test_a_feature_that_comes_up_late_is_read_and_what_is_not_kept_is_not(tmp_path: Path) -> None:
    first = b'{"Age": 33, "City": "Goa", "note": "x", "more": [1]}\n'
    source = source_of(tmp_path, first + b'{"Age": 34, "City": "Goa", "CGPA": 7.5, "note": "y"}\n')
    dialect = dialect_of(first)
    assert dialect.names == ("Age", "City", "note", "more")
    by_keep = {keep: read_all(source, dialect, keep=keep)[0].columns for keep in (False, True, ("note",))}
    assert set(by_keep[False]) == set(MIXED)
    assert set(by_keep[True]) == {*MIXED, "note", "more"}
    assert set(by_keep["note",]) == {*MIXED, "note"}
    assert by_keep[False]["CGPA"].to_pylist() == [None, 7.5]
    assert by_keep[True]["more"].to_pylist() == ["[1]", None]
