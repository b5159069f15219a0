"""A process that never outlives us: it ends, with all it started, however we end."""

from __future__ import annotations

import sys
from collections.abc import Sequence

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
