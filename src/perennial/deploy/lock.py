"""One at a time: a lock between processes, held through a file and freed by the system when its holder ends."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def only_one(path: Path) -> Iterator[None]:
    """Wait until no other process holds ``path``, and hold it for the block."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


class LockTaken(Exception):
    """Another process holds it."""


@contextmanager
def only_one_now(path: Path) -> Iterator[None]:
    """Hold ``path`` for the block; where another process holds it, wait for nothing.

    Raises:
        LockTaken: another holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LockTaken(str(path)) from error
        yield
