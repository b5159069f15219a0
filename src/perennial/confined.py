"""Work that may eat all memory there is, or never end, in a process of its own with bounds to both.

Such a process is ours to lose: it gets a folder, writes what it found into it, and its limits end it where it goes too
far; so does our own end, however we end. Nothing of our environment that could hold a secret is handed to it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

SAID = "said.txt"
"""What the process wrote to its standard output and error."""
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "SYSTEMROOT", "PYTHONPATH", "VIRTUAL_ENV")
_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}  # each would reserve memory for its own


@dataclass(frozen=True)
class Limits:
    """What a process may take: seconds in all and of its processor, bytes of address space, bytes of a file."""

    seconds: float
    memory: int
    file_bytes: int

    def __str__(self) -> str:
        return f"{self.seconds:g} s and {self.memory >> 20:,} MB"


def run_confined(module: str, folder: Path, limits: Limits) -> int | None:
    """Run one of our modules on a folder, within limits: its exit code, None where its time was over.

    The module gets the folder as its argument, and calls :func:`confine` before it does anything it cannot trust.
    """
    environment = {name: os.environ[name] for name in _KEPT if name in os.environ} | _ONE_THREAD
    bounds = [str(int(-(-limits.seconds // 1))), str(limits.memory), str(limits.file_bytes)]
    with (
        (folder / SAID).open("wb") as said,
        subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", module, str(folder), *bounds],
            stdin=subprocess.PIPE, stdout=said, stderr=said, cwd=folder, env=environment,
        ) as process,
    ):  # fmt: skip
        try:
            return process.wait(limits.seconds)
        except subprocess.TimeoutExpired:
            return None
        finally:
            process.kill()


def confine(arguments: list[str]) -> Path:
    """In the process itself: take on the limits that its arguments name, where the system knows such; the folder.

    From here on it ends with its caller, which holds the other end of its standard input.
    """
    threading.Thread(target=_follow, daemon=True).start()
    folder, seconds, memory, file_bytes = Path(arguments[0]), *map(int, arguments[1:])
    with suppress(ImportError):
        import resource

        wanted = ((resource.RLIMIT_AS, memory), (resource.RLIMIT_CPU, seconds), (resource.RLIMIT_CORE, 0),
                  (resource.RLIMIT_FSIZE, file_bytes))  # fmt: skip
        for kind, most in wanted:
            with suppress(ValueError, OSError):
                resource.setrlimit(kind, (most, most))
    return folder


def _follow() -> None:
    os.read(0, 1)
    os._exit(128 + signal.SIGTERM)
