"""Work in a process of its own, within limits: it never outlives whoever waits for it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

WORK = """
import os, sys
from perennial.confined import confine
folder = confine(sys.argv[1:])
(folder / "unfinished").write_text(str(os.getpid()))
(folder / "unfinished").rename(folder / "begun")
while True:
    pass
"""
CALLER = """
import sys
from pathlib import Path
from perennial.confined import Limits, run_confined
run_confined("work", Path(sys.argv[1]), Limits(seconds=600, memory=2 << 30, file_bytes=1 << 20))
"""
PATIENCE_SECONDS = 30


def test_it_ends_where_its_caller_is_killed(tmp_path: Path) -> None:
    (tmp_path / "work.py").write_text(WORK)
    begun = tmp_path / "begun"
    with subprocess.Popen([sys.executable, "-c", CALLER, str(tmp_path)]) as caller:
        try:
            assert await_(begun.exists)
        finally:
            caller.kill()
    pid = int(begun.read_text())
    try:
        assert await_(lambda: not runs(pid)), "it goes on though nobody waits for it"
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def runs(pid: int) -> bool:
    """Whether a process works; one that has ended may be listed until somebody asks how."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def await_(holds: Callable[[], bool]) -> bool:
    """Whether it comes to hold in time."""
    limit = time.monotonic() + PATIENCE_SECONDS
    while not (held := holds()) and time.monotonic() < limit:
        time.sleep(0.02)
    return bool(held)
