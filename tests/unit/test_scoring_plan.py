"""Parts of a file, read apart, are the file: every row once, in order, with the number it has in the whole."""

from __future__ import annotations

import gzip
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perennial.errors import DataError
from perennial.scoring import plan
from perennial.scoring.dialect import sniff
from perennial.scoring.plan import PART_BYTES, plan_parts
from perennial.scoring.results import Dialect
from perennial.scoring.units import units
from perennial.serving.batch_job import BatchPart
from perennial.spec import label
from tests.support.datasets import make_spec
from tests.support.sources import BytesSource, csv_texts

SPEC = make_spec()
Rows = dict[int, tuple[object, ...]]


def rows_of(source: BytesSource, dialect: Dialect, part: BatchPart | None = None) -> Rows:
    """What the units of a file, or of a part, hold: the malformed by their text and reason."""
    rows: Rows = {}
    before = part.first if part else 0
    for unit in units(source, dialect, SPEC, part):
        assert part is None or unit.end <= part.end
        raw = unit.text() if unit.text else unit.read()
        cells = [[_told(cell) for cell in column.to_pylist()] for column in raw.columns.values()]
        found: Rows = dict(zip(raw.rows.tolist(), zip(*cells, strict=True), strict=True)) if len(raw.rows) else {}
        found |= {one.row: (one.text, one.column, one.why(2)) for one in raw.malformed}
        rows |= {before + row: cells for row, cells in found.items()}
        before += len(found)
    assert part is None or part.rows is None or len(rows) == part.rows
    return rows


def _told(cell: object) -> object:
    """A number as its text: of JSON it is one or the other, depending on what else its block holds."""
    return label(cell) if isinstance(cell, float) else cell


def planned(source: BytesSource, dialect: Dialect, part_bytes: int, block: int) -> tuple[Dialect, Rows, int]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "BLOCK_BYTES", block)
        dialect, parts = plan_parts(source, dialect, part_bytes)
    assert [part.number for part in parts] == list(range(len(parts)))
    assert (parts[0].start, parts[-1].end) == (dialect.body, source.size)
    for one, next_one in pairwise(parts):
        assert one.rows is not None
        assert (one.end, one.first + one.rows) == (next_one.start, next_one.first)
    rows: Rows = {}
    for part in parts:
        rows |= rows_of(source, dialect, part)
    return dialect, rows, len(parts)


@settings(max_examples=300, deadline=None)
@given(csv_texts, st.sampled_from(["utf-8", "cp1252"]), st.integers(1, 40), st.integers(1, 30), st.sampled_from(",;"))
def test_parts_of_csv_are_the_whole(body: str, encoding: str, part_bytes: int, block: int, delimiter: str) -> None:
    header = f"age{delimiter}score\n".encode()
    source = BytesSource(header + body.encode(encoding))
    dialect = Dialect(format="csv", delimiter=delimiter, names=("age", "score"), body=len(header))
    dialect = dialect.model_copy(update={"encoding": encoding})
    try:
        whole = rows_of(source, dialect)
    except DataError as error:
        with pytest.raises(DataError) as caught:
            planned(source, dialect, part_bytes, block)
        assert str(caught.value) == str(error)
    else:
        assert planned(source, dialect, part_bytes, block)[1] == whole


_LINE = st.sampled_from(
    ['{"age": 1, "score": 0.5}', '{"age": "41"}', '{"score":null}', "", " \t", "\r", "{", "[1]", '{"age": {"a": 1}}',
     '{"age": 2, "town": "R\\u00f6m"}', '{"town": "Röm"}', '{"age": 3}\r', '{"town": "a\\nb"}']
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.lists(_LINE, max_size=9), st.integers(1, 90), st.integers(1, 70), st.booleans())
def test_parts_of_json_lines_are_the_whole(lines: list[str], part_bytes: int, block: int, ends: bool) -> None:
    source = BytesSource(("\n".join(lines) + "\n" * ends).encode())
    dialect = Dialect(format="jsonl", encoding="utf-8", names=("age", "score", "town"))
    assert planned(source, dialect, part_bytes, block)[1] == rows_of(source, dialect)


def test_a_file_of_up_to_one_and_a_half_parts_is_one_that_nobody_counts() -> None:
    source = BytesSource(b"age,score\n" + b"1,2\n" * 30)
    dialect = sniff(source, SPEC)
    assert plan_parts(source, dialect, 80) == (dialect, (BatchPart(number=0, start=10, end=130),))
    _, parts = plan_parts(source, dialect, 79)
    assert sum(part.rows or 0 for part in parts) == 30
    assert PART_BYTES == 268_435_456


@pytest.mark.parametrize("packed", [True, False])
def test_what_can_be_read_from_its_beginning_only_is_one_part(packed: bool) -> None:
    body = "age,score\n" + "1,2\n" * 500
    data = gzip.compress(body.encode()) if packed else body.encode("utf-16")
    source = BytesSource(data)
    dialect = sniff(source, SPEC)
    settled, parts = plan_parts(source, dialect, 10)
    assert (settled, len(parts), parts[0].end) == (dialect, 1, source.size)
    assert len(rows_of(source, settled, parts[0])) == 500


def test_the_plan_settles_the_encoding_for_parts_that_show_nothing_of_it() -> None:
    odd = "J\xf6rg \xdf,1\n".encode("cp1252")
    source = BytesSource(b"age,score\n" + b"1,2\n" * 300_000 + odd + b"1,2\n" * 900 + "Jörg,1\n".encode())
    dialect = sniff(source, SPEC)
    assert dialect.encoding is None
    settled, rows, parts = planned(source, dialect, 1 << 18, 1 << 16)
    assert parts > 3
    assert settled.encoding == "cp1252"
    assert [warning for warning in settled.warnings if "Windows-1252" in warning]
    assert rows[300_001] == ("Jörg ß", "1")
    assert rows[len(rows)] == ("JÃ¶rg", "1")


def test_a_quote_that_never_closes_is_told_when_a_file_is_planned() -> None:
    source = BytesSource(b"age,score\n" + b"1,2\n" * 300 + b'"3,4\n' + b"5,6\n" * 50)
    with pytest.raises(DataError, match=r"people\.csv, row 301: has a quote that never closes"):
        planned(source, sniff(source, SPEC), 200, 64)


def test_a_line_of_megabytes_is_one_row_of_the_plan() -> None:
    source = BytesSource(b"age,score\n1,2\n" + b"9" * 5_000_000 + b",1\n3,4\n")
    dialect = sniff(source, SPEC)
    _, rows, parts = planned(source, dialect, 1 << 20, 1 << 18)
    assert parts == 2
    assert [len(str(cells[0])) for cells in rows.values()] == [1, 1000, 1]
