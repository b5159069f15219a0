"""The embedded local AWS: MiniStack as a child process, bound to 127.0.0.1 on a free port."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from perennial.deploy.interrupts import FOLLOW
from perennial.errors import DeployError

PYTHON = Path(".local/envs/ministack/bin/python")
ACCESS_KEY = SECRET_KEY = "test"  # noqa: S105 - the emulator's own fixed root credentials, no secret
ACCOUNT = "000000000000"
REGION = "us-east-1"
START_SECONDS = 30.0
ATTEMPTS = 5

_LAUNCH = FOLLOW + "from ministack.app import main\nmain()\n"


class MiniStack:
    """One emulator. As a context manager it runs until the block is left.

    ``folder`` takes its log and everything it unpacks; objects live in memory and end with it.
    It ends with this process, however that ends, unless released. It enforces IAM: a Lambda acts under its own role.
    """

    def __init__(self, folder: Path, *, python: Path | None = None) -> None:
        self.folder = folder
        self.python = python or interpreter()
        self.token = secrets.token_hex(8)
        self.endpoint_url = ""
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Process id, which is also the id of its process group."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> Self:
        """Start and wait until it answers.

        Raises:
            DeployError: it is not installed, or did not come up; names its log.
        """
        if not self.python.is_file():
            raise DeployError(f"{self.python} does not exist.", remedy="Run `make setup`.")
        for _ in range(ATTEMPTS):  # a port that was free a moment ago may be taken by now
            self._launch(_free_port())
            if self._wait():
                return self
            self.stop()
        raise DeployError(f"The local AWS did not start; see {self.folder / 'ministack.log'}.")

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
        with (self.folder / "ministack.log").open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and program
                [str(self.python), "-c", _LAUNCH],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env=_environment(port, self.token, scratch.resolve()),
                start_new_session=True,
            )

    def _wait(self) -> bool:
        """Whether it came up, and the one that listens is ours."""
        assert self._process is not None
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            if answers(self.endpoint_url, self.token):
                return True
            time.sleep(0.02)
        return False


def interpreter() -> Path:
    """The Python of the emulator's environment, whose version the local Lambda package must match."""
    return Path(os.environ.get("PERENNIAL_MINISTACK_PYTHON", PYTHON)).absolute()


def answers(endpoint_url: str, token: str) -> bool:
    """Whether the emulator that was started with ``token`` is up at this endpoint."""
    try:
        with urllib.request.urlopen(f"{endpoint_url}/_ministack/health", timeout=2) as response:  # noqa: S310
            return bool(json.load(response).get("edition") == token)
    except (OSError, ValueError, urllib.error.URLError):
        return False


def owns(pid: int, token: str) -> bool:
    """Whether the process carries our token, though it may not answer (Linux only)."""
    return f"MINISTACK_EDITION={token}".encode() in _variables(pid)


def running_in(folder: Path) -> list[int]:
    """Process ids of the emulators that work in ``folder``, by what they were started with (Linux only)."""
    place = f"TMPDIR={(folder / 'tmp').resolve()}".encode()
    pids = [int(entry.name) for entry in Path("/proc").glob("[0-9]*")]
    return [pid for pid in pids if place in (found := _variables(pid)) and _leads_emulator(pid, found)]


def _leads_emulator(pid: int, variables: list[bytes]) -> bool:
    with suppress(ProcessLookupError):
        return os.getpgid(pid) == pid and any(each.startswith(b"MINISTACK_EDITION=") for each in variables)
    return False


def _variables(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []


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


def _environment(port: int, token: str, scratch: Path) -> dict[str, str]:
    """Only what the emulator needs: its workers inherit it, and must not find a developer's own AWS settings."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "LC_ALL", "TZ") if name in os.environ}
    return kept | {
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "MINISTACK_HOST": "localhost",
        "MINISTACK_REGION": REGION,
        "MINISTACK_EDITION": token,  # echoed by its health page: proof that the listener is our child
        "AUTH": "true",
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "DOCKER_HOST": "unix:///nonexistent",  # never touch a developer's containers
        "LOG_LEVEL": "WARNING",
        "TMPDIR": str(scratch),
        "PYTHONNOUSERSITE": "1",
        "PYTHONUNBUFFERED": "1",
    }
