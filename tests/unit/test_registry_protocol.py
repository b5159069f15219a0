"""Any process may die at any instruction: interleavings, crashes and lost answers, chosen by hypothesis.

And the proof that the rules can be broken: for each part of the protocol, a registry without it is caught.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
from obstore.exceptions import BaseError

from perennial import keys
from perennial.errors import AlreadyExistsError
from perennial.registry.log import CHAMPION, Intent, Kind, LogEntry, ModelLog
from perennial.registry.registry import Registry
from perennial.store import Store
from tests.support.registry_world import VERSIONS, Call, Verdict, World

ACTORS = 3
VERDICTS: tuple[Verdict, ...] = ("die before", "die after", "fail", "lose", "conflict", "precondition")


class RegistryMachine(RuleBasedStateMachine):
    """Three processes at most, any order of their requests, any of them killed or deceived at any request."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.operations = 0

    @precondition(lambda self: len(self.world.actors) < ACTORS)
    @rule(
        kind=st.sampled_from(["promote", "promote", "rollback", "rollback to"]),
        number=st.integers(0, len(VERSIONS) - 1),
        publish=st.booleans(),
    )
    def begin(self, kind: str, number: int, publish: bool) -> None:
        self.operations += 1
        op_id = f"dag/run {self.operations}/promote"
        match kind:
            case "promote":
                call = Call("promote", op_id, number, publish)
            case "rollback":
                call = Call("rollback", op_id)
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

    def teardown(self) -> None:
        try:
            self.world.end()
        finally:
            self.world.kill_all()


TestRegistryProtocol = RegistryMachine.TestCase
TestRegistryProtocol.settings = settings(max_examples=60, stateful_step_count=40)


def simulate(seed: int) -> None:
    """One history by chance, with few versions and many deaths, until its end."""
    chance = random.Random(seed)
    world = World()
    try:
        for _ in range(120):
            if world.actors and chance.random() < 0.9:
                deadly = chance.random() < 0.1
                world.step(chance.choice(world.actors), chance.choice(VERDICTS) if deadly else "pass")
            elif world.calls and chance.random() < 0.3:
                world.start(chance.choice(list(world.calls.values())))
            elif len(world.actors) < ACTORS:
                number, op_id = chance.randrange(len(VERSIONS)), f"op-{len(world.calls)}"
                kind = chance.choice(["promote", "promote", "promote", "rollback"])
                if kind == "promote":
                    world.start(Call("promote", op_id, number, publish=chance.random() < 0.8))
                else:
                    world.start(Call("rollback", op_id))
        world.end()
    finally:
        world.kill_all()


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
        def intend(self: ModelLog, op_id: str, kind: Kind, to: str | None) -> Intent:
            newest = self.newest()
            return Intent(op_id=op_id, kind=kind, to=to, generation=newest.generation if newest else 0)

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
        patch.setattr(Registry, "_refuse_damaged", lambda self, model, version: None)

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
        ("taken_generation_believed_to_be_ones_own", "is not in the log|invariant='alias'"),
        ("commit_before_publish", "invariant='verified'"),
        ("alias_written_blindly", "the alias went back"),
        ("alias_before_the_log", "invariant='alias'"),
        ("retry_leaves_the_alias_behind", "is not served"),
    ],
)
def test_a_registry_without_it_is_caught(name: str, caught: str) -> None:
    with mutated(name), pytest.raises(AssertionError, match=caught):
        for seed in range(60):
            simulate(seed)
