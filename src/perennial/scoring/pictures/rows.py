"""Some pictures of a file as rows that are still to be fetched and decoded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from perennial.datasets.reading import RawFile

Fetch = Callable[[], bytes]
"""Gives the bytes of one picture. Raises Unusable where there are none to be had."""


class Unusable(Exception):
    """A picture that cannot be got at: no fault of its file as a whole. Carries the reason."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class PictureRows(RawFile):
    """Rows whose column ``file`` says where each picture was found; ``fetch`` gets them, row for row.

    Other columns are those of the listing that named them.
    """

    fetch: tuple[Fetch, ...] = ()


def too_large(size: int, most: int) -> Unusable:
    """A picture of more bytes than are read."""
    return Unusable(f"has {size:,} bytes, of at most {most:,}")
