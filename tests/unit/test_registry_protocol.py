"""Any process may die at any instruction: interleavings, crashes and lost answers, chosen by hypothesis.

And the proof that the rules can be broken: for each part of the protocol, a registry without it is caught.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
from obstore.exceptions import BaseError

from perennial import keys
from perennial.errors import AlreadyExistsError
from perennial.registry import registry as registry_module
from perennial.registry import trials
from perennial.registry.entries import Intent, Kind, LogEntry, Mode, Trial, next_entry
from perennial.registry.log import CHAMPION, ModelLog
from perennial.store import Store
from tests.support.registry_world import VERSIONS, Call, Verdict, World

ACTORS = 3
VERDICTS: tuple[Verdict, ...] = (
    "die before", "die after", "die sending", "fail", "lose", "delay", "conflict", "precondition",
)  # fmt: skip


class RegistryMachine(RuleBasedStateMachine):
    """Three processes at most, any order of their requests, any of them killed or deceived at any request."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.operations = 0

    @precondition(lambda self: len(self.world.actors) < ACTORS)
    @rule(
        kind=st.sampled_from(["promote", "promote", "rollback", "rollback to", "canary", "canary", "shadow", "end"]),
        number=st.integers(0, len(VERSIONS) - 1),
        publish=st.booleans(),
        share=st.sampled_from([0.1, 0.5]),
    )
    def begin(self, kind: str, number: int, publish: bool, share: float) -> None:
        self.operations += 1
        op_id = f"dag/run {self.operations}/promote"
        match kind:
            case "promote":
                call = Call("promote", op_id, number, publish)
            case "canary":
                call = Call("canary", op_id, number, publish, share)
            case "shadow":
                call = Call("shadow", op_id, number, publish)
            case "rollback":
                call = Call("rollback", op_id)
            case "end":
                call = Call("end", op_id)
            case _:
                call = Call("rollback to", op_id, number)
        self.world.start(call)

    @precondition(lambda self: self.world.calls and len(self.world.actors) < ACTORS)
    @rule(data=st.data())
    def begin_again(self, data: st.DataObject) -> None:
        self.world.start(data.draw(st.sampled_from(list(self.world.calls.values()))))

    @precondition(lambda self: self.world.actors)
    @rule(data=st.data(), requests=st.integers(1, 12))
    def go_on(self, data: st.DataObject, requests: int) -> None:
        actor = data.draw(st.sampled_from(self.world.actors))
        for _ in range(requests):
            if not actor.done:
                self.world.step(actor)

    @precondition(lambda self: self.world.actors)
    @rule(data=st.data(), verdict=st.sampled_from(VERDICTS))
    def suffer(self, data: st.DataObject, verdict: Verdict) -> None:
        self.world.step(data.draw(st.sampled_from(self.world.actors)), verdict)

    @precondition(lambda self: self.world.under_way)
    @rule(data=st.data())
    def land(self, data: st.DataObject) -> None:
        self.world.land(data.draw(st.integers(0, len(self.world.under_way) - 1)))

    def teardown(self) -> None:
        try:
            self.world.end()
        finally:
            self.world.kill_all()


TestRegistryProtocol = RegistryMachine.TestCase
TestRegistryProtocol.settings = settings(max_examples=60, stateful_step_count=40)


def simulate(seed: int) -> None:
    """One history by chance, until its end: processes mostly run alone for a while, as if the others had stalled."""
    chance = random.Random(seed)
    world = World()
    running = None
    try:
        for _ in range(150):
            if world.under_way and chance.random() < 0.1:
                world.land(chance.randrange(len(world.under_way)))
            if len(world.actors) < ACTORS and chance.random() < 0.3:
                world.start(_any_call(chance, world))
            if running not in world.actors or chance.random() < 0.15:
                running = chance.choice(world.actors) if world.actors else None
            if running:
                world.step(running, chance.choice(VERDICTS) if chance.random() < 0.05 else "pass")
        world.end()
    finally:
        world.kill_all()


def _any_call(chance: random.Random, world: World) -> Call:
    """A new operation, or one repeated."""
    if world.calls and chance.random() < 0.3:
        return chance.choice(list(world.calls.values()))
    op_id = f"op-{len(world.calls)}"
    if chance.random() < 0.2:
        return Call("rollback", op_id)
    if chance.random() < 0.3:
        if chance.random() < 0.3:
            return Call("end", op_id)
        return Call("canary", op_id, chance.randrange(len(VERSIONS)), publish=chance.random() < 0.2)
    return Call("promote", op_id, chance.randrange(len(VERSIONS)), publish=chance.random() < 0.2)


@pytest.mark.parametrize("seed", range(5))
def test_the_true_registry_survives_the_simulation(seed: int) -> None:
    simulate(seed)


def overwrite(store: Store, key: str, data: bytes) -> None:
    """Put without a condition, as often as it takes."""
    while True:
        try:
            store._raw.put(key, data, mode="overwrite", use_multipart=False)
            return
        except BaseError:
            continue


class Mutants:
    """Registries that each lack one part of the protocol."""

    @staticmethod
    def log_put_without_condition(patch: pytest.MonkeyPatch) -> None:
        def append(self: ModelLog, entry: LogEntry) -> None:
            overwrite(self._store, keys.log_entry(self.model, entry.generation), entry.to_bytes())

        patch.setattr(ModelLog, "append", append)

    @staticmethod
    def no_search_for_ones_own_commit(patch: pytest.MonkeyPatch) -> None:
        def intend(
            self: ModelLog, op_id: str, kind: Kind, to: str | None, *, mode: Mode | None = None,
            share: float | None = None, began: int | None = None,
        ) -> Intent:  # fmt: skip
            newest = self.newest()
            generation = newest.generation if newest else 0
            return Intent(op_id=op_id, kind=kind, to=to, generation=generation, mode=mode, share=share, began=began)

        patch.setattr(ModelLog, "intend", intend)

    @staticmethod
    def taken_generation_believed_to_be_ones_own(patch: pytest.MonkeyPatch) -> None:
        true = ModelLog.append

        def append(self: ModelLog, entry: LogEntry) -> None:
            try:
                true(self, entry)
            except AlreadyExistsError:
                return

        patch.setattr(ModelLog, "append", append)

    @staticmethod
    def commit_before_publish(patch: pytest.MonkeyPatch) -> None:
        patch.setattr(registry_module, "refuse_damaged", lambda store, model, version: None)

    @staticmethod
    def trial_before_publish(patch: pytest.MonkeyPatch) -> None:
        patch.setattr(trials, "_refuse", lambda store, model, champion, version: None)

    @staticmethod
    def trial_that_forgets_its_promotion(patch: pytest.MonkeyPatch) -> None:
        def beside(
            log: ModelLog, newest: LogEntry, intent: Intent, actor: str, reason: str, now: datetime, trial: Trial | None
        ) -> LogEntry:
            return next_entry(newest, intent, newest.version, actor=actor, reason=reason, now=now, trial=trial)

        patch.setattr(trials, "_beside", beside)

    @staticmethod
    def alias_written_blindly(patch: pytest.MonkeyPatch) -> None:
        def advance(self: ModelLog, entry: LogEntry) -> None:
            overwrite(self._store, keys.alias(self.model, CHAMPION), entry.to_bytes())

        patch.setattr(ModelLog, "advance_alias", advance)

    @staticmethod
    def alias_before_the_log(patch: pytest.MonkeyPatch) -> None:
        true = ModelLog.append

        def append(self: ModelLog, entry: LogEntry) -> None:
            self.advance_alias(entry)
            true(self, entry)

        patch.setattr(ModelLog, "append", append)

    @staticmethod
    def retry_leaves_the_alias_behind(patch: pytest.MonkeyPatch) -> None:
        true_append, true_advance = ModelLog.append, ModelLog.advance_alias

        def append(self: ModelLog, entry: LogEntry) -> None:
            true_append(self, entry)
            self.__dict__["committed"] = True

        def advance(self: ModelLog, entry: LogEntry) -> None:
            if "committed" in self.__dict__:
                true_advance(self, entry)

        patch.setattr(ModelLog, "append", append)
        patch.setattr(ModelLog, "advance_alias", advance)


@contextmanager
def mutated(name: str) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        getattr(Mutants, name)(patch)
        yield


@pytest.mark.parametrize(
    ("name", "caught"),
    [
        ("log_put_without_condition", "a log entry was altered"),
        ("no_search_for_ones_own_commit", "invariant='op_id once'"),
        ("taken_generation_believed_to_be_ones_own", "is not in the log|invariant='alias'|was told .*, then"),
        ("commit_before_publish", "invariant='verified'"),
        ("trial_before_publish", "invariant='verified'|invariant='trial'"),
        ("trial_that_forgets_its_promotion", "invariant='restores'"),
        ("alias_written_blindly", "the alias went back"),
        ("alias_before_the_log", "invariant='alias'"),
        ("retry_leaves_the_alias_behind", "is not served"),
    ],
)
def test_a_registry_without_it_is_caught(name: str, caught: str) -> None:
    with mutated(name), pytest.raises(AssertionError, match=caught):
        for seed in range(60):
            simulate(seed)
