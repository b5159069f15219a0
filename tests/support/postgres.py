"""A real PostgreSQL server for one test: a cluster of its own in a temporary folder, on loopback and a free port."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from perennial.deploy.interrupts import followed

ROOT = Path(__file__).resolve().parents[2]
NOTE = ROOT / ".local/postgres"
USER = "perennial"
START_SECONDS = 30.0
SERVANTS = ("postgres", "nobody")  # whom root runs it as: the server refuses to be root


@dataclass(frozen=True)
class Postgres:
    """A running server. ``programs`` is the folder of psql."""

    port: int
    programs: Path

    @property
    def uri(self) -> str:
        """As Airflow takes a connection from ``AIRFLOW_CONN_...``."""
        return f"postgres://{USER}@127.0.0.1:{self.port}/postgres"

    def run(self, sql: str) -> str:
        """Run statements in one transaction and return what they print, unaligned. Raises AssertionError."""
        command = [str(self.programs / "psql"), "-X", "-q", "-A", "-t", "-1", "-v", "ON_ERROR_STOP=1", "-d", self.uri]
        done = subprocess.run(command, input=sql, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout


@contextmanager
def postgres_server() -> Iterator[Postgres]:
    """A server with an empty database, in a zone of its own with daylight saving; it ends with the block."""
    programs = Path(NOTE.read_text().strip()) if NOTE.exists() else None
    assert programs, "No PostgreSQL was found; `make postgres` finds or installs one."
    folder = Path(tempfile.mkdtemp(prefix="perennial-postgres-"))
    as_servant = _servant(folder)
    try:
        _make_cluster(programs, folder, as_servant)
        with _free_port() as port:
            settings = {
                "listen_addresses": "127.0.0.1", "port": str(port), "unix_socket_directories": "", "fsync": "off",
                "timezone": "Europe/Berlin",
            }  # fmt: skip
            options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
            command = followed([*as_servant, str(programs / "postgres"), "-D", str(folder / "data"), *options])
            with (folder / "log").open("wb") as log:
                process = subprocess.Popen(
                    command, cwd=folder, stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True
                )
        try:
            server = Postgres(port, programs)
            _wait(server, process, folder / "log")
            yield server
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _servant(folder: Path) -> list[str]:
    """What a command begins with to run as another user where we are root, to whom the folder is given."""
    if os.geteuid() != 0:
        return []
    names = {entry.pw_name for entry in pwd.getpwall()}
    user = pwd.getpwnam(next(name for name in SERVANTS if name in names))
    os.chown(folder, user.pw_uid, user.pw_gid)
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]


def _make_cluster(programs: Path, folder: Path, as_servant: list[str]) -> None:
    command = [
        *as_servant, str(programs / "initdb"), "-D", str(folder / "data"), "-U", USER, "-A", "trust", "-E", "UTF8",
        "--locale=C", "--no-sync", "--no-instructions",
    ]  # fmt: skip
    made = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr


@contextmanager
def _free_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port: int = held.getsockname()[1]
    yield port


def _wait(server: Postgres, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    command = [str(server.programs / "psql"), "-X", "-q", "-c", "SELECT 1", "-d", server.uri]
    while subprocess.run(command, capture_output=True, check=False).returncode:
        assert process.poll() is None and time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)
