"""A fault-injecting proxy in front of an S3 endpoint, seeded and replayable: a process of its own beside the test.

::

    with faulty(endpoint_url, Plan(seed, rates={Fault.LOST: 0.05, Fault.SLOW_DOWN: 0.1})) as proxy:
        store = open_store(settings_at(proxy.url), patience=Patience(retries=0))

obstore itself repeats a request that met a 5xx or a reset connection, three times unless ``Patience.retries`` says
otherwise; with 0 every fault reaches the code above it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Queue
from typing import IO, Any

from tests.support.chaos.faults import Fault, Plan

__all__ = ["Fault", "Faulty", "Plan", "faulty"]

ROOT = Path(__file__).parents[3]
ANSWER_SECONDS = 60


class Faulty:
    """The proxy as its test sees it. Made by :func:`faulty`; safe to use from several threads."""

    def __init__(self, orders: IO[str], answers: IO[str], on_kill: Callable[[str], None] | None) -> None:
        self._orders, self._answers, self._on_kill = orders, answers, on_kill
        self._lock = threading.Lock()
        self._waiting: dict[int, Queue[Any]] = {}
        self._asked = 0
        self._ports: dict[str, int] = {}
        self._down = self._calm = False
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    @property
    def url(self) -> str:
        """The address for a test with one client, whose name is empty."""
        return self.url_for("")

    def url_for(self, client: str) -> str:
        """The address for a client with faults of its own: the n-th request there meets the same one in each run."""
        with self._lock:
            port = self._ports.get(client)
        if port is None:
            port = self._ask(do="listen", client=client)
            with self._lock:
                port = self._ports.setdefault(client, port)
        return f"http://127.0.0.1:{port}"

    @property
    def injected(self) -> Counter[Fault]:
        """How many of each fault have taken place so far."""
        found = self._ask(do="count")["injected"]
        return Counter({Fault(name): count for name, count in found.items()})

    @property
    def unheard(self) -> Counter[str]:
        """How many writes took effect though their answer was lost, by path."""
        return Counter(self._ask(do="count")["unheard"])

    @property
    def requests(self) -> int:
        """How many requests have arrived so far, faults or none."""
        return int(self._ask(do="count")["requests"])

    @property
    def down(self) -> bool:
        """While true, every request is refused: nobody is there. These are counted nowhere."""
        return self._down

    @down.setter
    def down(self, down: bool) -> None:
        self._down = self._ask(do="down", down=down)

    @property
    def calm(self) -> bool:
        """While true, nothing goes wrong, and requests do not count in the numbering."""
        return self._calm

    @calm.setter
    def calm(self, calm: bool) -> None:
        self._calm = self._ask(do="calm", calm=calm)

    def settle(self) -> None:
        """Return when no late request is on its way any more."""
        self._ask(do="settle")

    def _ask(self, **order: Any) -> Any:
        answered: Queue[Any] = Queue()
        with self._lock:
            self._asked += 1
            asked = self._asked
            self._waiting[asked] = answered
        self._say(order | {"id": asked})
        return answered.get(timeout=ANSWER_SECONDS)

    def _say(self, order: dict[str, Any]) -> None:
        with self._lock:
            self._orders.write(json.dumps(order) + "\n")
            self._orders.flush()

    def _listen(self) -> None:
        for line in self._answers:
            said = json.loads(line)
            if "kill" in said:
                threading.Thread(target=self._kill, args=(said["kill"], said["death"]), daemon=True).start()
            else:
                with self._lock:
                    waiting = self._waiting.pop(said["id"])
                waiting.put(said["answer"])

    def _kill(self, client: str, death: int) -> None:
        assert self._on_kill is not None
        self._on_kill(client)
        self._say({"do": "killed", "death": death})


@contextmanager
def faulty(endpoint_url: str, plan: Plan, *, on_kill: Callable[[str], None] | None = None) -> Iterator[Faulty]:
    """A proxy to ``endpoint_url`` under ``plan``, for the time of the block.

    ``on_kill`` is called, in a thread of its own, with the name of the client that is to die now, and returns when
    it is dead.

    Raises:
        ValueError: the plan kills, and there is no ``on_kill``.
    """
    if plan.kills and on_kill is None:
        raise ValueError("a plan that kills needs on_kill")
    command = [sys.executable, "-S", "-m", "tests.support.chaos.faulty_process"]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin and process.stdout
    try:
        process.stdin.write(json.dumps({"endpoint": endpoint_url, "plan": plan.to_json()}) + "\n")
        process.stdin.flush()
        yield Faulty(process.stdin, process.stdout, on_kill)
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()
