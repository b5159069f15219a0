"""Many clients of a real server, who know what every version answers, and versions that are swapped meanwhile."""

from __future__ import annotations

import http.client
import json
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random

from tests.support.chaos.served import Served
from tests.support.chaos.serving_models import MODEL, Version
from tests.support.chaos.serving_real import TIMEOUT, Shop, await_
from tests.support.models import MEASURES, NOW, body


@dataclass
class Clients:
    """Clients who ask, one request after the other, until they are stopped. What they see is counted by version.

    Each pauses up to ``pause`` seconds between two requests. One row or several are asked for in turn.
    """

    server: Served
    versions: Mapping[str, Version]
    pause: float
    seen: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def answered(self) -> int:
        return self.seen.total()

    @contextmanager
    def asking(self, count: int, draw: Random) -> Iterator[Clients]:
        """For the time of a block, so many of them ask."""
        for number in range(count):
            own = Random(draw.getrandbits(64))
            self._threads.append(threading.Thread(target=self._ask, args=(own,), name=f"client {number}"))
        for thread in self._threads:
            thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            for thread in self._threads:
                thread.join()

    def _ask(self, draw: Random) -> None:
        host = self.server.url.removeprefix("http://")
        connection = http.client.HTTPConnection(host, timeout=TIMEOUT)
        while not self._stop.is_set():
            records = (
                [{name: draw.uniform(0, 9) for name in MEASURES} for _ in range(5)] if draw.random() < 0.5 else None
            )
            asked = body({"instances": records}) if records else body(Version.record)
            try:
                connection.request("POST", f"/models/{MODEL}/predict", asked, {"content-type": "application/json"})
                answer = connection.getresponse()
                told = answer.read()
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                self._note("", f"{error!r}")
                continue
            self._judge(answer.status, told, records)
            self._stop.wait(draw.uniform(0, self.pause))
        connection.close()

    def _judge(self, status: int, told: bytes, records: list[dict[str, float]] | None) -> None:
        if status != 200:
            self._note("", f"{status} {told!r}")
            return
        answer = json.loads(told)
        version = self.versions.get(answer["model"]["version"])
        agrees = version is not None and version.answers(answer, records)
        self._note(answer["model"]["version"], "" if agrees else f"{answer}", wrong=True)

    def _note(self, version: str, problem: str, *, wrong: bool = False) -> None:
        with self._lock:
            if version:
                self.seen[version] += 1
            if problem:
                (self.wrong if wrong else self.failed).append(problem[:300])


@dataclass(frozen=True)
class Swapped:
    """How many versions were swapped under load, and how many of these no client ever saw."""

    promotions: int
    rollbacks: int
    unseen: int


def swapped(shop: Shop, clients: Clients, versions: Sequence[Version], count: int, label: str) -> Swapped:
    """Promote and roll back, again and again: each time once a client has seen the version before."""
    unseen, rollbacks, past = 0, 0, 2 * len(versions)
    for number in range(count):
        version = versions[(number + 1) % len(versions)]
        seen = clients.seen[version.version]
        if number >= past and number % 3 == 0:
            rollbacks += 1
            shop.registry.rollback(
                MODEL, op_id=f"{label}-{number}", actor="chaos", reason="", now=NOW, to=version.version
            )
        else:
            shop.promote(version, f"{label}-{number}")
        unseen += not await_(lambda before=seen, name=version.version: clients.seen[name] > before)  # type: ignore[misc]
    return Swapped(count - rollbacks, rollbacks, unseen)
