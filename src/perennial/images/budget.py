"""How many pixels all threads of a process have in the works at once, so that large pictures do not fill its memory."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from perennial.images.decode import MAX_PIXELS, claimed_pixels

BUDGET_PIXELS = MAX_PIXELS + 4_000_000
"""One of the largest pictures, which takes half a gigabyte meanwhile, and small ones beside it."""


def in_the_works(data: bytes) -> AbstractContextManager[None]:
    """For the block in which a picture is decoded, measured and framed; waits while others take too much."""
    return _BUDGET.taking(claimed_pixels(data))


class Budget:
    """So many pixels to share between threads: who wants more than are left waits until others are done."""

    def __init__(self, pixels: int) -> None:
        self._most = self._left = pixels
        self._changed = threading.Condition()

    @contextmanager
    def taking(self, pixels: int) -> Iterator[None]:
        """For the block, so many of them, or all."""
        pixels = min(pixels, self._most)
        with self._changed:
            self._changed.wait_for(lambda: self._left >= pixels)
            self._left -= pixels
        try:
            yield
        finally:
            with self._changed:
                self._left += pixels
                self._changed.notify_all()


_BUDGET = Budget(BUDGET_PIXELS)
