"""The workers of a siege: begun, killed with SIGKILL at any moment, and begun again with what is left of their job."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import IO

from tests.support.chaos.registry_work import Job

ROOT = Path(__file__).parents[3]
KILLED = -signal.SIGKILL
DEATH_SECONDS = 30.0


class Workers:
    """Safe to use from several threads. ``crashes`` tells of workers that ended by themselves before their job did."""

    def __init__(self, orders: IO[str], answers: IO[str], job_of: Callable[[int], Job]) -> None:
        self._orders, self._answers, self._job_of = orders, answers, job_of
        self._changed = threading.Condition()
        self._pids: dict[int, int] = {}
        self._lives: dict[int, int] = {}
        self._starting: set[int] = set()
        self._resting = False
        self.unfinished: set[int] = set()
        self.kills = 0
        self.crashes: list[str] = []
        threading.Thread(target=self._listen, daemon=True).start()

    def begin(self, worker: int) -> None:
        """Begin a life of a worker, the first or another."""
        with self._changed:
            self.unfinished.add(worker)
            self._begin(worker)

    def kill(self, worker: int) -> bool:
        """SIGKILL a worker and return once it is dead; False where it did not run. It is begun again at once."""
        with self._changed:
            life, pid = self._lives.get(worker), self._pids.get(worker)
            if pid is None:
                return False
            try:
                handle = os.pidfd_open(pid)  # a number may be another's by now, a handle never
                signal.pidfd_send_signal(handle, signal.SIGKILL)
                os.close(handle)
            except ProcessLookupError:
                return False
            dead = self._changed.wait_for(
                lambda: self._lives.get(worker) != life or worker not in self._pids, DEATH_SECONDS
            )
            assert dead, f"worker {worker} outlives SIGKILL"
            return True

    def rest(self) -> int:
        """Kill all of them, and let none begin again. Returns how many were killed."""
        with self._changed:
            self._resting = True
            self._changed.wait_for(lambda: not self._starting, DEATH_SECONDS)
            running = list(self._pids)
        return sum(self.kill(worker) for worker in running)

    def resume(self) -> None:
        """Begin again whoever has work left."""
        with self._changed:
            self._resting = False
            for worker in self.unfinished:
                self._begin(worker)

    def _begin(self, worker: int) -> None:
        life = self._lives[worker] = self._lives.get(worker, -1) + 1
        self._starting.add(worker)
        self._orders.write(json.dumps(asdict(replace(self._job_of(worker), life=life))) + "\n")
        self._orders.flush()

    def _listen(self) -> None:
        for line in self._answers:
            said = json.loads(line)
            with self._changed:
                if "began" in said:
                    self._starting.discard(said["began"])
                    self._pids[said["began"]] = said["pid"]
                else:
                    self._ended(said["ended"], said["status"])
                self._changed.notify_all()
        with self._changed:  # nobody is left who could begin a worker
            self.crashes += [f"worker {worker} was never done" for worker in self.unfinished]
            self.unfinished.clear()
            self._starting.clear()
            self._pids.clear()
            self._changed.notify_all()

    def _ended(self, worker: int, status: int) -> None:
        del self._pids[worker]
        if status == KILLED:
            self.kills += 1
            if not self._resting:
                self._begin(worker)
            return
        self.unfinished.discard(worker)
        if status:
            self.crashes.append(f"worker {worker} ended with {status}")


@contextmanager
def workers(job_of: Callable[[int], Job], environment: Mapping[str, str]) -> Iterator[Workers]:
    """Room for workers, none begun yet; ``job_of`` says what each has to do. All are dead when the block is left."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.chaos.registry_forks"],
        cwd=ROOT, env={**os.environ, **environment}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdin and process.stdout
    made = Workers(process.stdin, process.stdout, job_of)
    try:
        yield made
    finally:
        made.rest()
        process.stdin.close()
        process.wait(DEATH_SECONDS)
        process.stdout.close()
