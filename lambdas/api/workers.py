"""Threads for work that takes long, such as decoding a picture: the event loop goes on answering meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from lambdas.api.waiting import event_loop
from perennial.errors import TooBusy

T = TypeVar("T")

THREADS = 2  # each may hold a picture of several hundred megabytes
MAX_WAITING = 64


class Workers:
    """A few threads, made when first needed, and a line of bounded length before them. Used on the event loop."""

    def __init__(self, *, threads: int = THREADS, limit: int = MAX_WAITING) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="picture")
        self._limit = limit
        self._waiting = 0

    async def run(self, call: Callable[[], T]) -> T:
        """What ``call`` returns or raises. Raises TooBusy where too many wait."""
        if self._waiting >= self._limit:
            raise TooBusy(f"{self._limit} pictures wait to be looked at.", remedy="Ask again in a second.")
        self._waiting += 1
        try:
            return await (await event_loop()).run_in_executor(self._pool, call)
        finally:
            self._waiting -= 1
