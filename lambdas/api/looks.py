"""Looks at S3, away from the event loop: each made once, however many requests wait for it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

from perennial.errors import StoreUnavailable

T = TypeVar("T")


class Looks(Generic[T]):
    """Calls under way, in at most ``threads`` threads; at most ``limit`` of them, running or in line."""

    def __init__(self, *, threads: int, limit: int | None = None) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="look")
        self._limit = limit
        self._under_way: dict[str, tuple[object, Future[T]]] = {}
        self._lock = threading.Lock()

    def start(self, name: str, call: Callable[[], T]) -> tuple[Future[T], bool]:
        """The look of that name under way, or a new one, and whether it is new.

        Raises:
            StoreUnavailable: too many are under way.
        """
        with self._lock:
            there = self._under_way.get(name)
            if there is not None:
                return there[1], False
            if self._limit is not None and len(self._under_way) >= self._limit:
                raise StoreUnavailable(f"{self._limit} looks at S3 are under way.", remedy="Ask again in a second.")
            place = object()
            future = self._pool.submit(self._make, name, place, call)
            self._under_way[name] = place, future
        future.add_done_callback(lambda _: self._forget(name, place))  # one that is cancelled in line is never made
        return future, True

    def _make(self, name: str, place: object, call: Callable[[], T]) -> T:
        try:
            return call()
        finally:  # before its result can be seen: who asks after that is not handed what is known already
            self._forget(name, place)

    def _forget(self, name: str, place: object) -> None:
        with self._lock:
            if name in self._under_way and self._under_way[name][0] is place:
                del self._under_way[name]
