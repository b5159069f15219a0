"""Work on many things by a few threads: in their order, and only a little ahead of whoever takes the results."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

AHEAD = 4
"""How much is done ahead, in pieces of work for each thread: it bounds what is held in memory."""

T = TypeVar("T")
R = TypeVar("R")


def in_order(work: Callable[[T], R], things: Iterable[T], threads: int) -> Iterator[R]:
    """The result of ``work`` on each thing. What it raises is raised here, and what was not begun is left undone."""
    waiting: deque[Future[R]] = deque()
    rest = iter(things)
    pool = ThreadPoolExecutor(threads)
    try:
        for thing in rest:
            waiting.append(pool.submit(work, thing))
            if len(waiting) >= AHEAD * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
