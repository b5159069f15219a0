"""End in order: whatever ends this process also ends what it started."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

# For a child that leads a process group: it ends with its whole group when the pipe on its stdin closes, which the
# system does for us however our process ends. A byte sent first sets it free.
FOLLOW = """
import os, signal, threading
def follow():
    if not os.read(0, 1):
        os.killpg(os.getpid(), signal.SIGKILL)
threading.Thread(target=follow, daemon=True).start()
"""
_RUN = """
import subprocess, sys
sys.exit(subprocess.call(sys.argv[1:], stdin=subprocess.DEVNULL))
"""


def followed(command: Sequence[str]) -> list[str]:
    """A command that ends with us, with all its processes; start it in a session of its own, with a pipe as stdin."""
    return [sys.executable, "-I", "-S", "-c", FOLLOW + _RUN, *command]


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
