"""Blocks end where records do: as Arrow's own parser sees them, wherever the text happens to be cut."""

from __future__ import annotations

from itertools import pairwise

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from perennial.datasets.csv_table import csv_table
from perennial.scoring import blocks
from perennial.scoring.blocks import Block, count_lines, count_records, line_blocks, record_blocks
from perennial.scoring.records import CsvRecords
from tests.support.sources import csv_texts, cut

sizes = st.integers(1, 70)
Row = tuple[str, ...]


def parsed(data: bytes, width: int, delimiter: str) -> list[Row]:
    """Every row by its number: its cells, or the text of one that has another number of them."""
    found = csv_table(data, [pa.string()] * width, delimiter=delimiter)
    cells = zip(*(column.to_pylist() for column in found.table.columns), strict=True)
    rows: dict[int, Row] = dict(zip(found.numbers.tolist(), cells, strict=True))
    rows |= {one.row: ("malformed", str(one.fields), one.text) for one in found.malformed}
    assert sorted(rows) == list(range(1, len(rows) + 1))
    return [rows[number] for number in sorted(rows)]


def walked(data: bytes, delimiter: str) -> tuple[list[bytes], bool]:
    """The records, blank lines left out, a byte at a time; and whether the last one's quote never closes."""
    records, start, place, state = [], 0, 0, "start"
    mark = ord(delimiter)
    while place < len(data):
        byte = data[place]
        if state == "quoted":
            if byte == ord('"'):
                if data[place + 1 : place + 2] == b'"':
                    place += 1
                else:
                    state = "literal"
        elif byte in b"\r\n":
            if data[place : place + 2] == b"\r\n":
                place += 1
            records.append(data[start : place + 1])
            start, state = place + 1, "start"
        elif byte == mark:
            state = "start"
        elif state == "start":
            state = "quoted" if byte == ord('"') else "literal"
        place += 1
    records.append(data[start:])
    return [record for record in records if record.strip(b"\r\n")], state == "quoted"


@settings(max_examples=400, deadline=None)
@given(csv_texts, sizes, st.integers(1, 3), st.sampled_from(",;"))
@example('a""b,"c\n', 3, 2, ",")
@example('""\n\r', 1, 1, ",")
def test_the_rows_of_the_blocks_are_those_of_the_whole(text: str, size: int, width: int, delimiter: str) -> None:
    data = text.encode()
    whole = parsed(data, width, delimiter)
    found = list(record_blocks(cut(data, size), delimiter))
    rows = [row for block in found if block.kind == "rows" for row in parsed(block.data, width, delimiter)]
    ends_open = bool(found) and found[-1].kind == "open"
    assert rows == (whole[:-1] if ends_open else whole)
    assert {block.kind for block in found[:-1]} <= {"rows"}
    assert b"".join(block.data for block in found) == data
    assert [block.size for block in found] == [len(block.data) for block in found]
    assert sum(count_records(block, delimiter) for block in found) == len(whole)


@settings(max_examples=400, deadline=None)
@given(csv_texts, sizes, st.sampled_from(",;"))
def test_only_a_quote_that_swallows_lines_to_the_end_is_open(text: str, size: int, delimiter: str) -> None:
    data = text.encode()
    records, is_open = walked(data, delimiter)
    found = list(record_blocks(cut(data, size), delimiter))
    swallows = is_open and any(end in records[-1] for end in (b"\n", b"\r"))
    assert (bool(found) and found[-1].kind == "open") == swallows


@settings(max_examples=400, deadline=None)
@given(csv_texts, sizes, st.sampled_from(",;"))
def test_a_record_that_is_too_long_stands_alone_wherever_the_text_is_cut(text: str, size: int, delimiter: str) -> None:
    data = text.encode()
    records, is_open = walked(data, delimiter)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "MAX_RECORD_BYTES", 8)
        patch.setattr(blocks, "SHOWN_BYTES", 5)
        found = [block for block in record_blocks(cut(data, size), delimiter) if block.kind != "open"]
    if is_open and any(end in records[-1] for end in (b"\n", b"\r")):
        records = records[:-1]
    expected = [("long", record[:5], len(record)) if len(record) > 8 else ("rows", record, 0) for record in records]
    assert [one for block in found for one in _records_of(block, delimiter)] == expected


def _records_of(block: Block, delimiter: str) -> list[tuple[str, bytes, int]]:
    if block.kind == "long":
        return [("long", block.data, block.size)]
    return [("rows", record, 0) for record in walked(block.data, delimiter)[0]]


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet='{}"a\\\n\r\t ,é', max_size=60), sizes)
def test_lines_are_cut_at_newlines_alone(text: str, size: int) -> None:
    data = text.encode()
    found = list(line_blocks(cut(data, size)))
    assert b"".join(block.data for block in found) == data
    assert all(block.data.endswith(b"\n") for block in found[:-1])
    assert sum(map(count_lines, found)) == sum(1 for line in data.split(b"\n") if line.strip(b" \t\r\n"))


@settings(max_examples=200, deadline=None)
@given(csv_texts, sizes)
def test_no_block_has_many_rows_however_short_they_are(text: str, size: int) -> None:
    data = text.encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "MAX_ROWS", 2)
        found = list(record_blocks(cut(data, size), ","))
    assert b"".join(block.data for block in found) == data
    assert all(count_records(block, ",") <= 2 for block in found)
    records = [record for block in found if block.kind == "rows" for record in walked(block.data, ",")[0]]
    assert records == walked(data, ",")[0][: len(records)]
    assert len(records) + (found[-1].kind == "open" if found else 0) == len(walked(data, ",")[0])


def test_a_huge_line_is_passed_over_in_little_memory() -> None:
    data = b"1,2\n" + b"9" * 10_000_000 + b",1\n3,4\n"
    held = 0
    found = []
    for block in record_blocks(cut(data, 1 << 20), ","):
        held = max(held, len(block.data))
        found.append((block.kind, count_records(block, ","), block.size))
    assert found == [("rows", 1, 4), ("long", 1, 10_000_003), ("rows", 1, 4)]
    assert held <= 1000


def test_a_huge_line_of_json_is_passed_over_too() -> None:
    data = b'{"a":1}\n{"a":"' + b"x\r" * 4_000_000 + b'"}\n{"a":2}\n'
    assert [(block.kind, count_lines(block)) for block in line_blocks(cut(data, 1 << 20))] == [
        ("rows", 1), ("long", 1), ("rows", 1),
    ]  # fmt: skip


@pytest.mark.parametrize("field", [b"9" * 3_000_000, b'"' + b'""\n,' * 800_000 + b'"', b'x"' + b'",' * 1_500_001])
def test_what_follows_a_long_record_is_read_as_if_it_were_short(field: bytes) -> None:
    data = b"1,2\n" + field + b',"a\nb"\n3,"4\n5"\n'
    found = [(block.kind, block.data[:9]) for block in record_blocks(cut(data, 1 << 20), ",")]
    assert found == [("rows", b"1,2\n"), ("long", field[:9]), ("rows", b'3,"4\n5"\n')]


def test_a_quote_that_never_closes_ends_the_text_before_it_fills_the_memory() -> None:
    def endless() -> object:
        yield from cut(b'1,2\n3,"', 9)
        for _ in range(40):
            yield from cut(b"4,5\n" * (1 << 18), 1 << 20)
        raise AssertionError("read on for 40 MB")

    found = list(record_blocks(endless(), ","))  # type: ignore[arg-type]
    assert [block.kind for block in found] == ["rows", "open"]
    assert len(found[-1].data) <= 1000


@settings(max_examples=200, deadline=None)
@given(csv_texts)
def test_the_ends_of_records_are_those_of_a_walk(text: str) -> None:
    data = text.encode()
    rule = CsvRecords(",")
    ends = [0, *rule.ends(data).tolist()]
    found = [data[start:end] for start, end in pairwise(ends)]
    assert [record for record in found if record.strip(b"\r\n")] == walked(data, ",")[0]
    assert rule.is_open(data) == walked(data, ",")[1]
    assert rule.count(data) == len(walked(data, ",")[0])
