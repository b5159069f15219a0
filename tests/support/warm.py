"""Processes of steps that are forked off one that has imported everything, which takes two seconds each time.

``Warm.python`` stands in place of an interpreter, as ``PERENNIAL_PYTHON``: what it is called with is done by
``perennial.jobs`` in a process of its own, with the caller's variables, folder, pipes and exit code. Whoever kills one
of the two kills both. What a fork would share and a start would not is made anew: all seeds, but that of hashes.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import cache
from importlib import import_module
from pathlib import Path

from perennial.deploy.ministack import end_group
from perennial.deploy.up import BUILD

ROOT = Path(__file__).resolve().parents[2]
CALLER = Path(__file__).with_name("warm_caller.py")
START_SECONDS = 60.0
STEPS = ["-m", "perennial.jobs"]
IMPORTED = (
    "perennial.datasets.snapshot", "perennial.jobs.__main__", "perennial.jobs.collect", "perennial.jobs.signals",
    "perennial.jobs.smoke", "perennial.jobs.watch", "perennial.monitoring.decision", "perennial.monitoring.observed",
    "perennial.spec_source", "perennial.training.build", "perennial.training.candidate", "perennial.training.champion",
    "pyarrow.dataset", "sklearn.ensemble", "sklearn.linear_model", "sklearn.tree", "yaml",
)  # fmt: skip


class Warm:
    """A running server of warm processes."""

    def __init__(self, process: subprocess.Popen[bytes], python: Path) -> None:
        self.process, self.python = process, python

    def children(self) -> list[int]:
        """The processes of steps that live."""
        found = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(pid) for pid in found.split()]


@contextmanager
def warm(folder: Path, prepare: str = "", env: Mapping[str, str] | None = None) -> Iterator[Warm]:
    """A server for the length of a block, whose files are in ``folder``.

    ``prepare`` is the name of a module, whose function ``prepare`` each process calls before it does its step.
    ``env`` are the server's own variables, beside ours: a process has those of its caller.
    """
    place, python = Path(tempfile.mkdtemp(prefix="warm-")) / "socket", folder / "python"
    python.write_text(f"#!{sys.executable} -SI\n{CALLER.read_text().replace('SOCKET', str(place))}")
    python.chmod(0o700)
    command = [sys.executable, "-m", "tests.support.warm", str(place), prepare]
    with (folder / "warm.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, **(env or {})}, stdin=subprocess.PIPE, stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + START_SECONDS
        while not place.exists():
            assert process.poll() is None and time.monotonic() < deadline, (folder / "warm.log").read_text()[-3000:]
            time.sleep(0.02)
        yield Warm(process, python)
    finally:
        end_group(process.pid, process)
        place.unlink(missing_ok=True)
        place.parent.rmdir()


@cache
def shared_warm() -> Warm:
    """The server of this process, started by the first who asks and ended with the process."""
    BUILD.mkdir(parents=True, exist_ok=True)
    stack = ExitStack()
    atexit.register(stack.close)
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="warm-", dir=BUILD))
    return stack.enter_context(warm(Path(folder)))


class _Server:
    """Forks a process for each caller, and ends it with its caller."""

    def __init__(self, listener: socket.socket, prepare: Callable[[], None]) -> None:
        self._listener, self._prepare = listener, prepare
        self._poll = select.poll()
        self._callers: dict[int, tuple[socket.socket, int]] = {}
        self._ended: dict[int, int] = {}

    def serve(self) -> None:
        """Until whoever started this process has gone."""
        for each in (0, self._listener.fileno()):
            self._poll.register(each, select.POLLIN | select.POLLHUP)
        while True:
            for number, _ in self._poll.poll():
                if number == 0:
                    os.killpg(0, signal.SIGKILL)
                elif number == self._listener.fileno():
                    self._accept()
                elif number in self._ended:
                    self._answer(number)
                elif number in self._callers:  # it was killed: nobody else writes or closes before the end
                    os.kill(self._callers[number][1], signal.SIGKILL)
                    self._poll.unregister(number)

    def _accept(self) -> None:
        caller, _ = self._listener.accept()
        head, pipes, _, _ = socket.recv_fds(caller, 8, 3)
        size, told = int(head), b""
        while len(told) < size and (more := caller.recv(size - len(told))):
            told += more
        pid = os.fork() if len(told) == size else 0
        if pid == 0:
            os._exit(self._child(json.loads(told), pipes))
        for pipe in pipes:
            os.close(pipe)
        ended = os.pidfd_open(pid)
        self._callers[caller.fileno()], self._ended[ended] = (caller, pid), caller.fileno()
        self._poll.register(ended, select.POLLIN)
        self._poll.register(caller, select.POLLIN | select.POLLHUP)

    def _answer(self, ended: int) -> None:
        number = self._ended.pop(ended)
        caller, pid = self._callers.pop(number)
        _, status = os.waitpid(pid, 0)
        self._poll.unregister(ended)
        os.close(ended)
        try:
            self._poll.unregister(number)
            caller.sendall(str(os.waitstatus_to_exitcode(status)).encode())
        except (KeyError, OSError):  # the caller has gone
            pass
        caller.close()

    def _child(self, told: dict[str, object], pipes: list[int]) -> int:
        """Be the process that the caller asked for; its exit code."""
        import random

        import numpy as np

        code: object = 1
        try:
            for number, pipe in enumerate(pipes):
                os.dup2(pipe, number)
            os.environ.clear()
            os.environ.update(told["env"])  # type: ignore[call-overload]
            tempfile.tempdir = None
            os.chdir(str(told["cwd"]))
            random.seed()
            np.random.seed(None)
            sys.argv = ["perennial.jobs", *told["arguments"]]  # type: ignore[misc]
            self._prepare()
            from perennial.jobs.__main__ import main

            code = main()
        except SystemExit as error:
            code = error.code
        except BaseException:  # noqa: BLE001 - as the interpreter does
            sys.excepthook(*sys.exc_info())
        sys.stdout.flush()
        sys.stderr.flush()
        return code if isinstance(code, int) else 0 if code is None else 1


def _main(place: str, prepare: str) -> None:
    for name in IMPORTED:
        import_module(name)
    called = import_module(prepare).prepare if prepare else lambda: None
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket(socket.AF_UNIX))
        listener.bind(f"{place}.new")
        listener.listen(16)
        Path(f"{place}.new").rename(place)
        _Server(listener, called).serve()


if __name__ == "__main__":
    _main(*sys.argv[1:])
