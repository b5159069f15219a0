"""A bucket for tests of what happens when S3 misbehaves, and a clock that moves when told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from obstore.exceptions import GenericError
from obstore.store import MemoryStore

from perennial.store import Store
from tests.support.seam import Seam

T = TypeVar("T")


@dataclass
class Clock:
    """``now`` in seconds since 1970."""

    now: float = 1_795_000_000.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


class Bucket:
    """One in-process bucket seen twice: ``writer`` always works, ``store`` is counted and fails while ``down``.

    ``before`` is called with each key about to be read through ``store``: a place to wait, or to write.
    """

    def __init__(self) -> None:
        raw = MemoryStore()
        self.writer = Store(raw)
        self.store = Store(Seam(raw, self._around))
        self.reads: list[str] = []
        self.down = False
        self.before: Callable[[str], None] = lambda key: None

    def _around(self, operation: str, key: str, request: Callable[[], T]) -> T:
        self.reads.append(key)
        self.before(key)
        if self.down:
            raise GenericError("connection refused")
        return request()

    def tamper(self, key: str, data: bytes) -> None:
        """Replace what is stored under a key."""
        self.writer.put_if_match(key, data, self.writer.get(key).etag)
