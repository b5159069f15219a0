"""The API as a server of its own, on 127.0.0.1: with the packages of the image, and started as that starts it."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.error import URLError
from urllib.request import urlopen

from perennial.deploy.package import ROOT
from perennial.deploy.up import names_a_stack

START = ROOT / "infra/images/api/start.sh"
PYTHON = ROOT / ".local/envs/serve-image/bin/python"
START_SECONDS = 60.0


@dataclass(frozen=True)
class Served:
    """A server that answers at ``url``; ``said`` are the lines it wrote that its starter wanted kept."""

    url: str
    process: subprocess.Popen[bytes]
    said: deque[str] = field(repr=False)

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def lives(self) -> bool:
        return self.process.poll() is None


@contextmanager
def serving(
    variables: Mapping[str, str],
    *,
    app: str | None = None,
    keep: Callable[[str], bool] = lambda line: True,
    most: int = 100_000,
) -> Iterator[Served]:
    """A server under these variables and none of another stack's, for the length of a block.

    ``app`` names another factory than that of the API. The newest ``most`` lines that it writes are kept, of those
    that ``keep`` wants.

    Raises:
        AssertionError: it does not come up.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = ["sh", str(START)] if app is None else ["sh", "-c", _of(app)]
    env = {name: value for name, value in os.environ.items() if not names_a_stack(name)} | dict(variables)
    env |= {"PERENNIAL_TASK": str(ROOT), "PYTHON": str(PYTHON), "PYTHONPATH": str(ROOT / "src")}
    env |= {"HOST": "127.0.0.1", "PORT": str(port)}
    process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    said: deque[str] = deque(maxlen=most)
    listener = threading.Thread(target=_listen, args=(process, said, keep), name="server's lines")
    listener.start()
    try:
        served = Served(f"http://127.0.0.1:{port}", process, said)
        _await(served)
        yield served
    finally:
        process.terminate()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        listener.join()


def _of(app: str) -> str:
    """What ``start.sh`` does, for a factory of the tests."""
    script, count = re.subn(r"-m uvicorn \S+", f"-m uvicorn {app}", START.read_text())
    assert count == 1
    return script


def _listen(process: subprocess.Popen[bytes], said: deque[str], keep: Callable[[str], bool]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        text = line.decode(errors="replace").rstrip("\n")
        if keep(text):
            said.append(text)


def _await(served: Served) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and served.lives:
        try:
            with urlopen(f"{served.url}/health", timeout=5):
                return
        except URLError:
            time.sleep(0.05)
    raise AssertionError("the server does not come up: " + "\n".join(list(served.said)[-20:]))
