"""End in order: whatever ends this process also ends what it started."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from perennial.jobs.followed import FOLLOW, followed

__all__ = ["FOLLOW", "followed", "interruptible"]


@contextmanager
def interruptible() -> Iterator[None]:
    """For the block, SIGTERM and a closed terminal mean what Ctrl-C means: KeyboardInterrupt, and cleaning up.

    What is ignored, as SIGHUP is under nohup, stays ignored.
    """
    numbers = [one for one in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(one) is not signal.SIG_IGN]
    before = {number: signal.signal(number, _interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
