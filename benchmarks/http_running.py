"""One server under a benchmark: started, asked for its first answer, watched, and ended with all that came of it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.http_load import Address, LoadError, ask
from benchmarks.http_servers import HOST, Server
from benchmarks.measuring import family

PATIENCE = 120.0
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Running:
    """A server that has answered once, ``started`` seconds after its process began."""

    process: int
    address: Address
    started: float

    def memory(self) -> float:
        """MB of it and all that came of it, pages that they share counted once (Linux)."""
        return sum(map(_share, family(self.process))) / 1e6

    def spent(self) -> float:
        """Seconds of the processor that they have used so far (Linux)."""
        return sum(map(_ticks, family(self.process))) / os.sysconf("SC_CLK_TCK")


@contextmanager
def running(server: Server, address: Address, first: bytes, log: Path) -> Iterator[Running]:
    """Start it, and ask ``first`` until it answers; what it writes goes to ``log``.

    Raises:
        LoadError: it ends, or answers nothing in two minutes.
    """
    environment = {"PATH": os.defpath, "HOME": str(log.parent), "LANG": "C.UTF-8", **ONE_THREAD, **server.environment}
    with log.open("ab") as sink:
        began = time.perf_counter()
        process = subprocess.Popen(
            server.command(address[1]), env=environment, cwd=server.folder, stdin=subprocess.DEVNULL, stdout=sink,
            stderr=sink, start_new_session=True,
        )  # fmt: skip
    try:
        until = began + PATIENCE
        while True:
            try:
                ask(address, first)
                break
            except (OSError, LoadError) as error:
                if process.poll() is not None or time.perf_counter() > until:
                    said = log.read_text(errors="replace")[-2000:]
                    raise LoadError(f"{server.name} does not answer ({error}): {said}") from error
                time.sleep(0.005)
        yield Running(process.pid, address, time.perf_counter() - began)
    finally:
        _end(process)


def free_address() -> Address:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return HOST, int(probe.getsockname()[1])


def _end(process: subprocess.Popen[bytes]) -> None:
    """It and all that came of it: first as one asks, then for good."""
    members = family(process.pid)
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(5)
    for member in members:
        with suppress(ProcessLookupError):
            os.kill(member, signal.SIGKILL)
    process.wait()


def _share(process: int) -> float:
    """Bytes, of shared pages its share; none of a process that has ended."""
    try:
        rollup = Path(f"/proc/{process}/smaps_rollup").read_text()
    except OSError:
        return 0.0
    return float(rollup.partition("\nPss:")[2].split()[0]) * 1024


def _ticks(process: int) -> int:
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return int(fields[11]) + int(fields[12])
