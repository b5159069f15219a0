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
from perennial.errors import ConflictError, PerennialError, PromotionRefused, StoreUnavailable
from perennial.registry.check import check
from perennial.registry.log import CHAMPION, LogEntry
from perennial.registry.registry import Registry
from perennial.registry.trials import end_trial, start_trial
from perennial.store import Store
from tests.support.seam import Fault, Seam, perform
from tests.support.versions import MODEL, at, version

Verdict = Fault | Literal["die before", "die after", "die sending", "delay"]
"""``die sending`` and ``delay`` leave the request under way: it may land at any later moment, or never."""
VERSIONS = [version(number) for number in range(4)]


class Killed(BaseException):
    """The process died; no code of ours may catch this."""


@dataclass(frozen=True)
class Call:
    """One operation somebody wants done. ``number`` chooses the version; without ``publish`` it may be missing."""

    kind: Literal["promote", "rollback", "rollback to", "canary", "shadow", "end"]
    op_id: str
    number: int = 0
    publish: bool = True
    share: float = 0.5

    def run(self, registry: Registry, minute: int) -> LogEntry:
        manifest, files = VERSIONS[self.number]
        if self.kind in ("promote", "canary", "shadow") and self.publish:
            registry.publish(manifest, files)
        if self.kind in ("canary", "shadow"):
            share = self.share if self.kind == "canary" else 1.0
            return start_trial(
                registry.store, MODEL, manifest.version, mode=self.kind, share=share, op_id=self.op_id,
                actor="ada", reason="promising", now=at(minute),
            )  # fmt: skip
        if self.kind == "end":
            return end_trial(registry.store, MODEL, op_id=self.op_id, actor="ada", reason="enough", now=at(minute))
        if self.kind == "promote":
            return registry.promote(
                MODEL, manifest.version, op_id=self.op_id, actor="ada", reason="better", now=at(minute)
            )
        to = manifest.version if self.kind == "rollback to" else None
        return registry.rollback(MODEL, op_id=self.op_id, actor="ada", reason="worse", now=at(minute), to=to)

    def may_fail_with(self, error: PerennialError) -> bool:
        if self.kind == "promote":
            return not self.publish and isinstance(error, PromotionRefused)
        if self.kind in ("canary", "shadow", "end"):
            return isinstance(error, PromotionRefused)
        return isinstance(error, PromotionRefused) or (self.kind == "rollback" and isinstance(error, ConflictError))


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
            self._judge_answer(call, outcome)
        elif isinstance(outcome, PerennialError) and not isinstance(outcome, StoreUnavailable):
            assert call.may_fail_with(outcome), f"{call}: {outcome!r}"
            assert call.op_id not in self.acknowledged, f"{call} was done, and then {outcome!r}"
        else:
            assert isinstance(outcome, Killed | StoreUnavailable), f"{call}: {outcome!r}"

    @staticmethod
    def _judge_answer(call: Call, outcome: LogEntry) -> None:
        """Whoever is told done is told of an entry that did what was asked."""
        wanted = VERSIONS[call.number][0].version
        match call.kind:
            case "promote" | "rollback to":
                assert outcome.moves and outcome.version == wanted
            case "canary" | "shadow":
                assert outcome.trial and (outcome.trial.version, outcome.trial.mode) == (wanted, call.kind)
                assert call.kind == "shadow" or outcome.trial.share == call.share
            case "rollback":
                assert outcome.moves
