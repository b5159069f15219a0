"""What follows the gate: approval, another champion meanwhile, a failed smoke test, and going back by itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from perennial import keys
from perennial.datasets.landing import land
from perennial.errors import PromotionRefused, SmokeTestError
from perennial.jobs import cycle, lock, steps
from perennial.jobs.cycle import run_cycle
from perennial.jobs.results import ApprovalAnswer
from perennial.jobs.workspace import Workspace
from perennial.registry.check import check
from perennial.registry.gate import Decision, RuleResult, record_decision
from perennial.registry.registry import Registry
from perennial.spec import canonical
from perennial.spec_source import parse_spec
from perennial.store import Store, memory_store
from tests.support.shop import SPEC, write_rows

NOW = datetime(2026, 11, 21, tzinfo=UTC)
HUMAN = SPEC.replace("gate: {minimum", "gate: {approval: human, minimum")
Open = Callable[..., Workspace]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = memory_store()
    land(store, parse_spec(SPEC), write_rows(tmp_path / "first.csv", 400, 1))
    return store


@pytest.fixture
def open_run(store: Store) -> Open:
    def make(run: str = "one", text: str = SPEC, **changes: Any) -> Workspace:
        return Workspace(parse_spec(text), store, run, "0123abc", None, lambda line: None, lambda: NOW, **changes)

    return make


def until_registered(w: Workspace) -> str:
    steps.snapshot(w)
    for candidate in w.spec.candidates:
        steps.train(w, candidate)
    steps.select(w)
    return steps.register(w).version


def until_gate(w: Workspace) -> str:
    version = until_registered(w)
    steps.gate(w)
    return version


def answer(store: Store, version: str, *, approved: bool) -> None:
    said = ApprovalAnswer(version=version, approved=approved, by="Ada", at=NOW)
    store.put_new(keys.approval("shop", version), canonical(said.model_dump(mode="json")))


def fails(w: Workspace) -> Any:
    raise SmokeTestError("The endpoint answered by version x.")


def test_an_approved_version_is_promoted_in_the_name_of_who_approved(open_run: Open, store: Store) -> None:
    w = open_run(text=HUMAN)
    version = until_gate(w)
    assert steps.gate(w).approval and not steps.gate(w).promote
    assert steps.conclude(w).waiting
    answer(store, version, approved=True)
    assert steps.promote(w).generation == 1
    (entry,) = Registry(store).log("shop")
    assert entry.actor == "Ada" and "approved by Ada" in entry.reason


def test_what_passes_by_the_labels_of_callers_waits_for_a_person_whatever_the_spec_says(
    open_run: Open, store: Store
) -> None:
    w = open_run()
    version = until_registered(w)
    rule = RuleResult(rule="gain.accuracy", passed=True, reason="callers say so.", approval=True)
    record_decision(
        store, "shop", w.operation("gate"), Decision(candidate=version, champion=None, passed=True, rules=(rule,))
    )
    decision = steps.gate(w)
    assert (decision.passed, decision.promote, decision.approval) == (True, False, True)
    with pytest.raises(PromotionRefused, match="waits for a person"):
        steps.promote(w)
    assert steps.conclude(w).waiting
    answer(store, version, approved=True)
    assert steps.promote(w).version == version


def test_a_rejected_version_is_not_promoted_and_the_outcome_says_by_whom(open_run: Open, store: Store) -> None:
    w = open_run(text=HUMAN)
    answer(store, until_gate(w), approved=False)
    with pytest.raises(PromotionRefused, match="rejected by Ada"):
        steps.promote(w)
    outcome = steps.conclude(w)
    assert (outcome.promoted, outcome.waiting, outcome.answered_by) == (False, False, "Ada")
    assert outcome.fate == "rejected by Ada"


def test_a_comparison_with_a_former_champion_promotes_nothing(open_run: Open, store: Store) -> None:
    first = run_cycle(open_run())
    waiting = open_run("two", force=True)
    version = until_gate(waiting)
    other = run_cycle(open_run("three", SPEC.replace("max_depth: 3", "max_depth: 4"), force=True))
    assert other.promoted and other.version not in (first.version, version)
    with pytest.raises(PromotionRefused, match=f"compared with {first.version}, but {other.version} serves now"):
        steps.promote(waiting)
    assert [entry.version for entry in Registry(store).log("shop")] == [first.version, other.version]


def test_a_failed_smoke_test_goes_back_to_the_version_before(
    open_run: Open, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run_cycle(open_run())
    monkeypatch.setattr(steps, "smoke", fails)
    outcome = run_cycle(open_run("two", SPEC.replace("max_depth: 3", "max_depth: 4"), force=True))
    assert outcome.rolled_back and "answered by version x" in str(outcome.smoke_failure)
    assert outcome.fate == "promoted, but its smoke test failed; rolled back"
    head = Registry(store).head("shop")
    assert head is not None and (head.kind, head.version) == ("rollback", first.version)
    assert check(store, "shop") == ()


def test_the_first_version_has_nothing_to_go_back_to(
    open_run: Open, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "smoke", fails)
    outcome = run_cycle(open_run())
    assert outcome.promoted and not outcome.rolled_back and "it is the first version" in str(outcome.smoke_failure)
    assert len(Registry(store).log("shop")) == 1


def test_a_rollback_repeated_moves_nothing_twice_and_never_a_later_champion(open_run: Open, store: Store) -> None:
    run_cycle(open_run())
    other = SPEC.replace("max_depth: 3", "max_depth: 4")
    second = run_cycle(open_run("two", other, force=True))
    w = open_run("two", other, force=True)
    assert steps.rollback(w, "the endpoint was silent").rolled_back
    assert steps.rollback(w, "again").why == "the endpoint was silent"
    assert len(Registry(store).log("shop")) == 3
    third = run_cycle(open_run("three", SPEC.replace("max_depth: 3", "max_depth: 5"), force=True))
    assert third.promoted and second.promoted
    late = steps.rollback(open_run("two", other, force=True), "late")
    assert late.rolled_back  # its own result, kept: nothing moved again
    head = Registry(store).head("shop")
    assert head is not None and head.version == third.version


def test_a_second_run_waits_its_turn_and_a_finished_one_leaves_it(open_run: Open, store: Store) -> None:
    lock.acquire(store, "shop", "elsewhere", NOW)
    with pytest.raises(lock.Busy, match="Run elsewhere is training shop"):
        run_cycle(open_run())
    with pytest.raises(lock.Busy):
        steps.perform("snapshot", open_run())
    lock.release(store, "shop", "elsewhere", NOW)
    assert cycle.run_cycle(open_run()).promoted
    assert lock.holder(store, "shop", NOW) is None


def test_a_conclusion_repeated_later_says_when_the_run_ended(open_run: Open) -> None:
    first = run_cycle(open_run())
    w = open_run()
    later = Workspace(w.spec, w.store, w.run, w.code, None, lambda line: None, lambda: NOW + timedelta(hours=1))
    assert steps.conclude(later) == first


class Overtaken(Store):
    """A bucket in which another promotion comes in just before the rollback's commit."""

    def __init__(self, store: Store, version: str) -> None:
        super().__init__(store._raw)
        self.version, self.real = version, store

    def put_new(self, key: str, data: bytes, **more: Any) -> str:
        if self.version and b'"kind":"rollback"' in data and key.startswith(keys.log_entries("shop")):
            version, self.version = self.version, ""
            Registry(self.real).promote("shop", version, op_id="by hand", actor="Ada", reason="urgent", now=NOW)
        return super().put_new(key, data, **more)


def test_a_version_promoted_while_the_way_back_is_taken_is_not_rolled_back(open_run: Open, store: Store) -> None:
    run_cycle(open_run())
    other = SPEC.replace("max_depth: 3", "max_depth: 5")
    until_gate(open_run("three", other, force=True))
    urgent = steps.register(open_run("three", other, force=True)).version
    second = SPEC.replace("max_depth: 3", "max_depth: 4")
    run_cycle(open_run("two", second, force=True))
    w = open_run("two", second, force=True)
    found = steps.rollback(replace(w, store=Overtaken(store, urgent)), "silent")
    head = Registry(store).head("shop")
    assert head is not None and head.version == urgent
    assert (found.rolled_back, found.why) == (False, f"silent; {urgent} serves now")
    assert check(store, "shop") == ()


def test_a_rollback_that_was_cut_off_is_told_as_one_though_another_was_promoted_since(
    open_run: Open, store: Store
) -> None:
    first = run_cycle(open_run())
    other = SPEC.replace("max_depth: 3", "max_depth: 4")
    run_cycle(open_run("two", other, force=True))
    w = open_run("two", other, force=True)
    Registry(store).rollback(
        "shop", op_id=w.operation("rollback"), actor="perennial", reason="silent", now=NOW, to=first.version
    )
    third = run_cycle(open_run("three", SPEC.replace("max_depth: 3", "max_depth: 5"), force=True))
    assert third.promoted
    found = steps.rollback(w, "silent")
    assert (found.rolled_back, found.to, found.generation) == (True, first.version, 3)
    assert len(Registry(store).log("shop")) == 4
