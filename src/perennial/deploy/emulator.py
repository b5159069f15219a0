"""A local AWS as a child process, bound to 127.0.0.1 on a free port: what all emulators have in common."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from perennial.deploy.aws import Aws
from perennial.deploy.interrupts import FOLLOW
from perennial.errors import DeployError

ACCESS_KEY = SECRET_KEY = "test"  # noqa: S105 - the emulators' own fixed root credentials, no secret
ACCOUNT = "000000000000"
REGION = "us-east-1"
ATTEMPTS = 5


class Emulator(ABC):
    """One emulator. As a context manager it runs until the block is left.

    ``folder`` takes its log and everything it unpacks; objects live in memory and end with it.
    It ends with this process, however that ends, unless released. Lambda functions run under ``python``.
    """

    name: ClassVar[str]
    program: ClassVar[str]
    """What its Python runs."""
    start_seconds: ClassVar[float] = 30.0
    remedy: ClassVar[str] = "Run `make setup`."

    def __init__(self, folder: Path, *, python: Path) -> None:
        self.folder = folder
        self.python = python
        self.token = secrets.token_hex(8)
        self.endpoint_url = ""
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def variables(self, port: int, scratch: Path) -> Mapping[str, str]:
        """What it reads from its environment; ``scratch`` is a folder of its own."""

    @abstractmethod
    def answers(self) -> bool:
        """Whether what listens at the endpoint is this emulator, and ready."""

    @property
    def pid(self) -> int:
        """Process id, which is also the id of its process group."""
        assert self._process is not None
        return self._process.pid

    @property
    def aws(self) -> Aws:
        """Where its clients come from: under its root credentials."""
        return Aws(self.endpoint_url, REGION, ACCESS_KEY, SECRET_KEY)

    def start(self) -> Self:
        """Start and wait until it answers.

        Raises:
            DeployError: it is not installed, or did not come up; names its log.
        """
        if not self.python.is_file():
            raise DeployError(f"{self.python} does not exist.", remedy=self.remedy)
        for _ in range(ATTEMPTS):  # a port that was free a moment ago may be taken by now
            self._launch(_free_port())
            if self._wait():
                return self
            self.stop()
        raise DeployError(f"The local AWS did not start; see {self.log}.")

    @property
    def log(self) -> Path:
        """Where it writes what happens."""
        return self.folder / f"{self.name}.log"

    def stop(self) -> None:
        """End the emulator and its Lambda workers, and nothing else."""
        if self._process is None:
            return
        end_group(self._process.pid, self._process)
        self._process = None
        shutil.rmtree(self.folder / "tmp", ignore_errors=True)

    def release(self) -> None:
        """Let it outlive this process."""
        assert self._process is not None and self._process.stdin is not None
        with suppress(BrokenPipeError):  # it has ended already
            self._process.stdin.write(b".")
            self._process.stdin.close()

    def running(self) -> bool:
        """Whether the process still lives."""
        return self._process is not None and self._process.poll() is None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _launch(self, port: int) -> None:
        scratch = self.folder / "tmp"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        self.endpoint_url = f"http://127.0.0.1:{port}"
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and program
                [str(self.python), "-c", FOLLOW + self.program],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env=_kept() | dict(self.variables(port, scratch.resolve())),
                start_new_session=True,
            )

    def _wait(self) -> bool:
        """Whether it came up, and the one that listens is ours."""
        assert self._process is not None
        deadline = time.monotonic() + self.start_seconds
        while time.monotonic() < deadline and self._process.poll() is None:
            if self.answers():
                return True
            time.sleep(0.02)
        return False


def end_group(pid: int, process: subprocess.Popen[bytes] | None = None) -> None:
    """End one process group at once: it holds nothing to save. ``process`` is given where it is our own child."""
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    if process is not None:
        process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _kept() -> dict[str, str]:
    """Only what an emulator needs: its workers inherit it, and must not find a developer's own AWS settings."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "LC_ALL", "TZ") if name in os.environ}
    return kept | {
        "DOCKER_HOST": "unix:///nonexistent",  # never touch a developer's containers
        "PYTHONNOUSERSITE": "1",
        "PYTHONUNBUFFERED": "1",
    }
