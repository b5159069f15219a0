"""A registry under siege: actors that run one S3 request at a time, in any order, and may die at each.

Every actor is a thread that stands still before each of its requests until the test lets it go, so an
interleaving is a list of choices and can be repeated. After every choice the world's rules are tested.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal

from obstore.exceptions import BaseError
from obstore.store import MemoryStore

from perennial import keys
from perennial.errors import PerennialError, StoreUnavailable
from perennial.registry.check import check
from perennial.registry.entries import Intent
from perennial.registry.log import CHAMPION, LogEntry
from perennial.registry.registry import Registry
from perennial.store import Store
from tests.support.chaos.registry_calls import Call, made
from tests.support.chaos.registry_due import Due
from tests.support.seam import Fault, Seam, perform
from tests.support.versions import MODEL

Verdict = Fault | Literal["die before", "die after", "die sending", "delay"]
"""``die sending`` and ``delay`` leave the request under way: it may land at any later moment, or never."""
VERSIONS = [made(number) for number in range(4)]


class Killed(BaseException):
    """The process died; no code of ours may catch this."""


class Actor:
    """One process at work on one call. Between two steps it stands right before its next request."""

    def __init__(self, raw: MemoryStore, call: Call, work: Callable[[Store], LogEntry]) -> None:
        self.call = call
        self.outcome: LogEntry | BaseException | None = None
        self.under_way: list[Callable[[], Any]] = []
        self.wrote = False
        self._verdict: Verdict = "pass"
        self._go, self._still = threading.Semaphore(0), threading.Semaphore(0)
        store = Store(Seam(raw, self._around), sleep=lambda _: None, clock=lambda: 0.0)
        self._thread = threading.Thread(target=self._run, args=(work, store), daemon=True)
        self._thread.start()
        self._still.acquire()

    @property
    def done(self) -> bool:
        return self.outcome is not None

    def step(self, verdict: Verdict = "pass") -> None:
        """Let one request go, under a verdict, and wait until the actor stands still again."""
        self._verdict = verdict
        self.wrote = False
        self._go.release()
        self._still.acquire()

    def _run(self, work: Callable[[Store], LogEntry], store: Store) -> None:
        try:
            self.outcome = work(store)
        except (Exception, Killed) as error:  # noqa: BLE001 - judged by the world, in the test's own thread
            self.outcome = error
        self._still.release()

    def _around(self, operation: str, key: str, request: Callable[[], Any]) -> Any:
        self._still.release()
        self._go.acquire()
        verdict = self._verdict
        self.wrote = operation == "put"
        if verdict == "die before":
            raise Killed
        if verdict == "die after":
            request()
            raise Killed
        if verdict == "die sending":
            self.under_way.append(request)
            raise Killed
        if verdict == "delay":
            self.under_way.append(request)
            return perform("fail", request)
        if operation != "put" and verdict in ("conflict", "precondition", "absent"):
            verdict = "fail"  # no read is answered so
        return perform(verdict, request)


@dataclass
class World:
    """One bucket, its actors, and everything that anyone was ever told. All versions but the last are published."""

    registry: Callable[[Store], Registry] = Registry
    raw: MemoryStore = field(default_factory=MemoryStore)
    actors: list[Actor] = field(default_factory=list)
    calls: dict[str, Call] = field(default_factory=dict)
    acknowledged: dict[str, LogEntry] = field(default_factory=dict)
    log: dict[str, bytes] = field(default_factory=dict)
    under_way: list[Callable[[], Any]] = field(default_factory=list)
    alias: int = 0
    minute: int = 0

    def __post_init__(self) -> None:
        self.store = Store(self.raw)
        for manifest, files in VERSIONS[:-1]:
            self.registry(self.store).publish(manifest, files)

    def start(self, call: Call) -> Actor:
        """Begin a call, or begin it again."""
        self.calls[call.op_id] = call
        self.minute += 1
        minute = self.minute
        actor = Actor(self.raw, call, lambda store: call.run(self.registry(store), minute))
        self.actors.append(actor)
        return actor

    def step(self, actor: Actor, verdict: Verdict = "pass") -> None:
        """Let one request of an actor go, then test every rule, and what the actor was told if that ended it."""
        actor.step(verdict)
        self.under_way += actor.under_way
        actor.under_way.clear()
        if actor.wrote:  # a read breaks nothing
            self.test()
        if actor.done:
            self.actors.remove(actor)
            self._judge(actor)

    def land(self, index: int) -> None:
        """Let a request that is long under way reach the bucket, then test every rule."""
        with suppress(BaseError, FileNotFoundError):  # nobody is left to be told
            self.under_way.pop(index)()
        self.test()

    def finish(self, call: Call) -> None:
        """Do a call without any fault."""
        actor = self.start(call)
        while not actor.done:
            self.step(actor)

    def end(self) -> None:
        """Kill whoever is still at work; then every call can be repeated, and a new promotion works."""
        for actor in list(self.actors):
            self.step(actor, "die before")
        for call in list(self.calls.values()):
            self.finish(call)
        head = self.registry(self.store).head(MODEL)
        number = next(n for n, (manifest, _) in enumerate(VERSIONS) if head is None or manifest.version != head.version)
        self.finish(Call("promote", "the last", number))
        newest = self.registry(self.store).head(MODEL)
        assert newest is not None
        assert newest.op_id == "the last"
        assert self.alias == newest.generation
        while self.under_way:
            self.land(0)

    def kill_all(self) -> None:
        """Leave no thread behind, whatever else went wrong."""
        for actor in self.actors:
            while not actor.done:
                actor.step("die before")
        self.actors.clear()

    def test(self) -> None:
        """The invariants of the registry, and those that only a witness of its history can test."""
        log = {entry.key: self.store.get(entry.key).data for entry in self.store.list(keys.log_entries(MODEL))}
        assert self.log.items() <= log.items(), "a log entry was altered"
        self.log = log
        violations = check(self.store, MODEL)
        assert violations == (), violations
        for op_id, entry in self.acknowledged.items():
            assert log.get(keys.log_entry(MODEL, entry.generation)) == entry.to_bytes(), f"{op_id} is not in the log"
        alias = self.store.find(keys.alias(MODEL, CHAMPION))
        generation = LogEntry.from_bytes(alias.data, "alias").generation if alias else 0
        assert generation >= self.alias, f"the alias went back from {self.alias} to {generation}"
        self.alias = generation

    def _judge(self, actor: Actor) -> None:
        call, outcome = actor.call, actor.outcome
        if isinstance(outcome, LogEntry):
            first = self.acknowledged.setdefault(call.op_id, outcome)
            assert outcome == first, f"{call.op_id} was told {first}, then {outcome}"
            assert self.alias >= outcome.generation, f"{call.op_id} was told done, and is not served"
            stored = self.log.get(keys.log_entry(MODEL, outcome.generation))
            assert stored == outcome.to_bytes(), f"{call.op_id} is not in the log"
            self._due(call, lambda due, since: due.wrong_answer(call, since, outcome), f"was told {outcome}")
        elif isinstance(outcome, PerennialError) and not isinstance(outcome, StoreUnavailable):
            assert call.op_id not in self.acknowledged, f"{call} was done, and then {outcome!r}"
            error = type(outcome).__name__
            self._due(call, lambda due, since: due.wrong_refusal(call, since, error), f"was refused: {outcome!r}")
        else:
            assert isinstance(outcome, Killed | StoreUnavailable), f"{call}: {outcome!r}"

    def _due(self, call: Call, wrong: Callable[[Due, int], str], ended: str) -> None:
        intent = self.store.find(keys.intent(MODEL, call.op_id))
        assert intent, f"{call} {ended}, and nobody has kept what it asked for"
        due = Due(LogEntry.from_bytes(data, key) for key, data in self.log.items())
        why = wrong(due, Intent.from_bytes(intent.data, "intent").generation)
        assert not why, f"{call} {ended}, but {why}"
