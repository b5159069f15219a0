"""What makes two pictures the same picture: copies that were resized, saved again or slightly changed.

A picture's fingerprint is its luminance in 16 × 16 means. Two are copies where the correlation of theirs is at least
0.99: saving again and resizing leave it above 0.9995, while among 2,200 X-rays of one kind the nearest two differ by
more than that bound allows. Copies that were mirrored, turned or cut are not seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from perennial.images.decode import Picture

SIDE = 16
LENGTH = SIDE * SIDE
NEAR = 0.99
_BLOCK = 2048


def fingerprint(picture: Picture) -> bytes:
    """256 bytes: the luminance of the picture, a mean for each cell of a 16 × 16 grid."""
    grey = Image.fromarray(picture.pixels).convert("L")
    return grey.resize((SIDE, SIDE), Image.Resampling.BOX).tobytes()


def near_pairs(prints: Sequence[bytes]) -> Iterable[tuple[int, int]]:
    """Ties that hold copies together, as positions, the smaller first: along them each reaches every copy of it.

    They are fewer than there are prints, though all be alike, as the frames of a camera that stands still. Flat
    pictures are copies where they are of one grey. Compared block by block: memory stays bounded, time grows with the
    square of their number.
    """
    raw = np.frombuffer(b"".join(prints), np.uint8).reshape(-1, LENGTH).astype(np.float32)
    centred = raw - raw.mean(axis=1, keepdims=True)
    norms = np.linalg.norm(centred, axis=1, keepdims=True)
    flat = norms[:, 0] == 0
    unit = np.divide(centred, norms, out=np.zeros_like(centred), where=norms > 0)
    group = np.arange(len(unit))
    for start in range(0, len(unit), _BLOCK):
        for other in range(start, len(unit), _BLOCK):
            near = unit[start : start + _BLOCK] @ unit[other : other + _BLOCK].T >= NEAR
            for row in np.flatnonzero(near.any(axis=1)).tolist():
                yield from _joined(group, start + row, other + np.flatnonzero(near[row]))
    first: dict[bytes, int] = {}
    for place in np.flatnonzero(flat).tolist():
        if (seen := first.setdefault(prints[place], place)) != place:
            yield seen, place


def _joined(group: NDArray[np.int64], one: int, copies: NDArray[np.int64]) -> Iterable[tuple[int, int]]:
    """Ties from ``one`` to those of its copies that ``group`` does not know for such yet, which it does afterwards."""
    theirs, first = np.unique(group[copies], return_index=True)
    new = theirs != group[one]
    if new.any():
        for other in copies[first[new]].tolist():
            yield min(one, other), max(one, other)
        whole = np.append(theirs, group[one])
        group[np.isin(group, whole)] = whole.min()


def related(count: int, *ties: Iterable[tuple[int, int]]) -> NDArray[np.int64]:
    """Which of ``count`` things hang together by any chain of ties: the least position of each one's group [count]."""
    parent = list(range(count))

    def root(place: int) -> int:
        while parent[place] != place:
            parent[place] = parent[parent[place]]
            place = parent[place]
        return place

    for pairs in ties:
        for one, other in pairs:
            a, b = root(one), root(other)
            parent[max(a, b)] = min(a, b)
    return np.array([root(place) for place in range(count)], np.int64)


def same_value(values: Sequence[str | None]) -> Iterable[tuple[int, int]]:
    """Ties between positions that hold the same value; None ties nothing."""
    first: dict[str, int] = {}
    for place, value in enumerate(values):
        if value is not None and (seen := first.setdefault(value, place)) != place:
            yield seen, place
