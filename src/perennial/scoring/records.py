"""Where the records of a text end: of CSV exactly where Arrow's parser ends them, of JSON Lines at each newline.

A quote opens only at the start of a field; within quotes a doubled one is a quote; behind the closing one the field
goes on literally. So a run of quotes is all that changes whether a byte stands within quotes: a run of odd length opens
or closes where a field starts, and closes, or means nothing, anywhere else; one of even length changes nothing. That is
worked out for all runs of a text at once.
"""

from __future__ import annotations

import re
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

QUOTE, NEWLINE, RETURN = 0x22, 0x0A, 0x0D
Bytes = NDArray[np.uint8]
Places = NDArray[np.int64]


class Rule(Protocol):
    """How the records of a format end. Every ``data`` begins with a record."""

    def cut(self, data: bytes, limit: int) -> tuple[int, bool]:
        """The byte behind the last line end that ends a record, 0 where there is none; whether one before it is longer
        than ``limit`` bytes."""
        ...

    def ends(self, data: bytes) -> Places:
        """The byte behind each line end that ends a record, blank lines too, and that behind an unended last one."""
        ...

    def count(self, data: bytes) -> int:
        """How many records there are, without blank lines."""
        ...

    def is_open(self, data: bytes) -> bool:
        """Whether ``data`` ends within quotes."""
        ...

    def shortened(self, data: bytes) -> bytes:
        """Fewer bytes that can stand for ``data``, the beginning of one record, to find its end; all where it is open.

        What follows is read as it would be behind ``data``.
        """
        ...


class CsvRecords:
    """Records of CSV; a line ends with a newline, a carriage return, or both."""

    def __init__(self, delimiter: str) -> None:
        self._delimiter = ord(delimiter)

    def cut(self, data: bytes, limit: int) -> tuple[int, bool]:
        if data.endswith(b"\r"):  # which may be half of a line end
            data = data[:-1]
        if b'"' not in data:
            cut = max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
            if _is_dense(data, cut, limit, (b"\n", b"\r")):
                return cut, False
        ends = self._ends(data)
        return (int(ends[-1]), bool(np.diff(ends, prepend=0).max() > limit)) if len(ends) else (0, False)

    def ends(self, data: bytes) -> Places:
        return _with_last(self._ends(data), len(data))

    def count(self, data: bytes) -> int:
        text = np.frombuffer(data, np.uint8)
        if b"\r" not in data and b'"' not in data:
            places = np.flatnonzero(text == NEWLINE)
        else:
            places = self._outside(data, text, np.flatnonzero((text == NEWLINE) | (text == RETURN)))
        if not len(places):
            return int(len(data) > 0)
        blank = int(np.count_nonzero(np.diff(places, prepend=-1) == 1)) if b'"' not in data else _blank(text, places)
        return len(places) - blank + int(places[-1] != len(data) - 1)

    def is_open(self, data: bytes) -> bool:
        text = np.frombuffer(data, np.uint8)
        return b'"' in data and bool(_within_quotes(text, np.array([len(data)]), self._delimiter)[0])

    def shortened(self, data: bytes) -> bytes:
        if self.is_open(data.rstrip(b'"')):  # the last ones may be half of a doubled quote
            return data
        if data.endswith(b"\r"):
            return self.shortened(data[:-1]) + b"\r"
        text = np.frombuffer(data, np.uint8)
        places = self._outside(data, text, np.flatnonzero(text == self._delimiter))
        return data[places[-1] :] if len(places) and places[-1] > 0 else _LITERAL

    def _ends(self, data: bytes) -> Places:
        text = np.frombuffer(data, np.uint8)
        ends = text == NEWLINE
        if b"\r" in data:
            alone = text == RETURN
            alone[:-1] &= ~ends[1:]
            ends |= alone
        return self._outside(data, text, np.flatnonzero(ends)) + 1

    def _outside(self, data: bytes, text: Bytes, places: Places) -> Places:
        return places[~_within_quotes(text, places, self._delimiter)] if b'"' in data else places


class Lines:
    """Records of JSON Lines: one a line, and a line ends with a newline."""

    def cut(self, data: bytes, limit: int) -> tuple[int, bool]:
        cut = data.rfind(b"\n") + 1
        if _is_dense(data, cut, limit, (b"\n",)):
            return cut, False
        return cut, bool(np.diff(self.ends(data[:cut]), prepend=0).max() > limit)

    def ends(self, data: bytes) -> Places:
        return _with_last(np.flatnonzero(np.frombuffer(data, np.uint8) == NEWLINE) + 1, len(data))

    def count(self, data: bytes) -> int:
        if _BLANK_LINE.search(data) is None:
            return data.count(b"\n") + int(len(data) > 0 and not data.endswith(b"\n"))
        return sum(1 for _ in _FILLED_LINE.finditer(data))

    def is_open(self, data: bytes) -> bool:
        return False

    def shortened(self, data: bytes) -> bytes:
        return _LITERAL


_LITERAL = b"x"
_BLANK_LINE = re.compile(rb"^[ \t\r]*(?:\n|\Z)", re.MULTILINE)
_FILLED_LINE = re.compile(rb"^[ \t\r]*[^ \t\r\n]", re.MULTILINE)


def _within_quotes(text: Bytes, places: Places, delimiter: int) -> NDArray[np.bool_]:
    """Which of the places, in order, stand within quotes."""
    quotes = np.flatnonzero(text == QUOTE)
    before = text[quotes[::2] - 1]  # of every other quote: the opening ones, where all of them open or close
    opens = (before == delimiter) | (before == QUOTE) | (before == NEWLINE) | (before == RETURN)
    opens[0] |= quotes[0] == 0
    if opens.all():
        return (np.searchsorted(quotes, places) & 1).astype(np.bool_)
    return _by_runs(text, quotes, places, delimiter)


def _by_runs(text: Bytes, quotes: Places, places: Places, delimiter: int) -> NDArray[np.bool_]:
    first = np.flatnonzero(np.diff(quotes, prepend=-2) != 1)
    runs = quotes[first]
    odd = (np.diff(first, append=len(quotes)) & 1).astype(np.bool_)
    before = text[runs - 1]
    opens = (before == delimiter) | (before == NEWLINE) | (before == RETURN) | (runs == 0)
    swaps = np.cumsum(odd & opens)
    since_closed = swaps - np.maximum.accumulate(np.where(odd & ~opens, swaps, 0))
    within = np.concatenate([[0], since_closed & 1]).astype(np.bool_)
    found: NDArray[np.bool_] = within[np.searchsorted(runs, places)]
    return found


def _blank(text: Bytes, places: Places) -> int:
    """How many of the line ends stand behind nothing but another, or at the start: \r\n counts for such a pair too."""
    before = text[places - 1]
    return int(np.count_nonzero((before == NEWLINE) | (before == RETURN) | (places == 0)))


def _is_dense(data: bytes, size: int, limit: int, marks: tuple[bytes, ...]) -> bool:
    """Whether line ends stand so close in the first ``size`` bytes that no record can be longer than ``limit``.

    One that is covers some half of that without any.
    """
    half = max(limit // 2, 1)
    starts = range(0, size - half, half)
    return all(any(data.find(mark, start, start + half) >= 0 for mark in marks) for start in starts)


def _with_last(ends: Places, size: int) -> Places:
    return ends if size == (ends[-1] if len(ends) else 0) else np.append(ends, size)
