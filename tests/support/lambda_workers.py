"""The processes that the embedded AWS runs a function in."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def workers(function: str) -> list[int]:
    """Processes of this test run's emulator that run a function."""
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if entry.name.isdigit() and f"ministack-lambda-{function}-".encode() in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
    return [pid for pid in found if ours(pid)]


def parent(pid: int) -> int:
    """Who started a process. Raises OSError where it has ended."""
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])


def ours(pid: int) -> bool:
    """Whether this process is the ancestor of another: a stack of someone else is none of ours."""
    with suppress(OSError):
        while pid > 1:
            if pid == os.getpid():
                return True
            pid = parent(pid)
    return False
