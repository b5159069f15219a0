"""Files in memory as sources, and every text of CSV as tests generate it."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import strategies as st

from perennial.scoring.source import Chunk


class BytesSource:
    """A file that is nothing but its bytes."""

    def __init__(self, data: bytes, name: str = "people.csv") -> None:
        self.name, self.size, self._data = name, len(data), data

    def read(self, start: int, end: int) -> bytes:
        return self._data[start:end]


def cut(data: bytes, size: int) -> Iterator[Chunk]:
    """The bytes in chunks of ``size``."""
    for start in range(0, len(data), size):
        piece = data[start : start + size]
        yield Chunk(piece, start + len(piece))


_CELLS = st.sampled_from(
    ["", "1", "2.5", "red", "a b", " ", "é", "ß\u20ac", '"', '""', '"a"', '"a""b"', '"x,y"', '"x;y"', '"l\nm"',
     '"l\r\nm"', 'a"b', '"a"b', '"a"b"c"', '""""', '"\n"', '",\n"']
)  # fmt: skip
_ENDS = st.sampled_from(["\n", "\r\n", "\r", "\n\n", "\r\n\r\n", "\n\r", ""])
_ROWS = st.tuples(st.lists(_CELLS, min_size=1, max_size=4), st.sampled_from([",", ",", ";"]), _ENDS)
_TIDY = st.lists(_ROWS, max_size=8).map(lambda rows: "".join(d.join(cells) + end for cells, d, end in rows))
_WILD = st.text(alphabet='a1,;"\n\ré ', max_size=60)
csv_texts = _TIDY | _WILD
"""Texts with quotes anywhere, doubled and stray ones, line ends of all kinds, also mixed, and blank lines."""
