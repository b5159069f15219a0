"""Any process may die at any instruction: interleavings, crashes and lost answers, chosen by hypothesis.

And the proof that the rules can be broken: for each part of the protocol, a registry without it is caught.
"""

from __future__ import annotations

import random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from tests.support.chaos.registry_calls import Call
from tests.support.chaos.registry_mutants import mutated
from tests.support.registry_world import VERSIONS, Verdict, World

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


@pytest.mark.parametrize(
    ("name", "caught"),
    [
        ("log_put_without_condition", "a log entry was altered"),
        ("no_search_for_ones_own_commit", "invariant='op_id once'|was told .*, then"),
        ("taken_generation_believed_to_be_ones_own", "is not in the log|invariant='alias'|was told .*, then"),
        ("commit_before_publish", "invariant='verified'"),
        ("trial_before_publish", "invariant='verified'|invariant='trial'"),
        ("trial_that_forgets_its_promotion", "invariant='restores'"),
        ("alias_written_blindly", "the alias went back"),
        ("alias_before_the_log", "invariant='alias'"),
        ("retry_leaves_the_alias_behind", "is not served"),
        ("rollback_to_the_very_first", "was told .* back to generation . was due|settled it"),
        ("rollback_over_a_newer_promotion", "was told .* back to generation . was due"),
        ("refuses_now_and_then", "was refused: .* but (it could be done|generation . was free)"),
    ],
)
def test_a_registry_without_it_is_caught(name: str, caught: str) -> None:
    with mutated(name), pytest.raises(AssertionError, match=caught):
        for seed in range(60):
            simulate(seed)
