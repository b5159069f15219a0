"""A text in blocks that end where a record does, in bounded memory whatever the text holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np

from perennial.scoring.records import NEWLINE, RETURN, CsvRecords, Lines, Rule
from perennial.scoring.source import Chunk

MAX_RECORD_BYTES = 1 << 20
"""A longer record is no row of a table: it is told of, and left out."""
MAX_ROWS = 1 << 17
"""What comes of a block grows with its rows, however short they are."""
MAX_OPEN_BYTES = 16 << 20
"""Where a record is within quotes for longer than this, the quote is one that never closes."""
SHOWN_BYTES = 1000


@dataclass(frozen=True)
class Block:
    """Some records: ``data`` begins and ends with one. ``size`` is its bytes of text, ``end`` the byte of the source
    read so far.

    ``kind`` is "long" for one record over MAX_RECORD_BYTES, of which ``data`` is the beginning, and "open" for one
    whose quote never closes: the last block there is.
    """

    data: bytes
    size: int
    end: int
    kind: Literal["rows", "long", "open"] = "rows"


def record_blocks(stream: Iterable[Chunk], delimiter: str) -> Iterator[Block]:
    """A CSV text, its header left out, a block a chunk: see :class:`CsvRecords` for what a record is."""
    return _blocks(stream, CsvRecords(delimiter))


def line_blocks(stream: Iterable[Chunk]) -> Iterator[Block]:
    """A text of JSON Lines, a block a chunk."""
    return _blocks(stream, Lines())


def count_records(block: Block, delimiter: str) -> int:
    """How many rows a block of CSV is, just as the parser finds them: blank lines are none."""
    return CsvRecords(delimiter).count(block.data) if block.kind == "rows" else 1


def count_lines(block: Block) -> int:
    """How many rows a block of JSON Lines is: lines that hold anything but white space."""
    return Lines().count(block.data) if block.kind == "rows" else 1


@dataclass(frozen=True)
class _Held:
    """The beginning of a record whose end was not seen yet. Where it was shortened, ``shown`` is how it began."""

    data: bytes = b""
    lost: int = 0
    shown: bytes = b""


def _blocks(stream: Iterable[Chunk], rule: Rule) -> Iterator[Block]:
    held, end = _Held(), 0
    for chunk in stream:
        data, end = held.data + chunk.data, chunk.end
        cut, has_long = rule.cut(data, MAX_RECORD_BYTES)
        if cut:
            place = 0
            if held.lost:
                place = int(rule.ends(data)[0])
                yield Block(held.shown, held.lost + place, end, "long")
            yield from _found(data[place:cut], end, rule, has_long=has_long)
            held = _Held(data[cut:])
        else:
            held = _Held(data, held.lost, held.shown)
        if len(held.data) > MAX_RECORD_BYTES:
            held = _shortened(held, rule)
            if len(held.data) > MAX_OPEN_BYTES:
                yield Block(held.data[:SHOWN_BYTES], len(held.data), end, "open")
                return
    if held.data:
        yield _last(held, end, rule)


def _shortened(held: _Held, rule: Rule) -> _Held:
    data = rule.shortened(held.data)
    if len(data) == len(held.data):
        return held
    return _Held(data, held.lost + len(held.data) - len(data), held.shown or held.data[:SHOWN_BYTES])


def _found(data: bytes, end: int, rule: Rule, *, has_long: bool) -> Iterator[Block]:
    """Whole records; those that are too long each in a block of their own."""
    place = 0
    if has_long and data:
        ends = rule.ends(data)
        starts = np.concatenate([[0], ends[:-1]])
        for start, stop in np.column_stack([starts, ends])[ends - starts > MAX_RECORD_BYTES].tolist():
            if start > place:
                yield from _few(data[place:start], end, rule)
            yield Block(data[start : start + SHOWN_BYTES], stop - start, end, "long")
            place = stop
    if place < len(data):
        yield from _few(data[place:] if place else data, end, rule)


def _few(data: bytes, end: int, rule: Rule) -> Iterator[Block]:
    """At most MAX_ROWS at a time."""
    text = np.frombuffer(data, np.uint8)
    lines = np.count_nonzero(text == NEWLINE) + (np.count_nonzero(text == RETURN) if b"\r" in data else 0)
    cuts = rule.ends(data)[MAX_ROWS - 1 : -1 : MAX_ROWS].tolist() if lines > MAX_ROWS else []
    for start, stop in pairwise([0, *cuts, len(data)]):
        yield Block(data[start:stop], stop - start, end)


def _last(held: _Held, end: int, rule: Rule) -> Block:
    """A record without a line end behind it: where that is as its quote never closes, it has swallowed what follows."""
    data = held.data
    if rule.is_open(data) and (b"\n" in data or b"\r" in data):
        return Block(data[:SHOWN_BYTES], held.lost + len(data), end, "open")
    if held.lost or len(data) > MAX_RECORD_BYTES:
        return Block(held.shown or data[:SHOWN_BYTES], held.lost + len(data), end, "long")
    return Block(data, len(data), end)
