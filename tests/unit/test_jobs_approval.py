"""A person decides, on the in-process store: what is asked, that the first answer stands, and what follows from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from perennial.datasets.landing import land
from perennial.errors import NotFoundError, PromotionRefused, SettingsError
from perennial.jobs import lock, steps
from perennial.jobs.airflow_rest import TaskPlace
from perennial.jobs.answer import Answered, answer
from perennial.jobs.approval import (
    NOBODY,
    AnswerStands,
    ApprovalRequest,
    answer_approval,
    find_answer,
    find_request,
    pending,
    request_approval,
)
from perennial.jobs.cycle import run_cycle
from perennial.jobs.results import OutcomeResult, ReleaseResult
from perennial.jobs.workspace import Workspace
from perennial.registry.check import check
from perennial.registry.registry import Registry
from perennial.settings import Settings
from perennial.spec import ModelSpec
from perennial.spec_source import parse_spec
from perennial.store import Store, memory_store
from tests.support.shop import SPEC, write_rows

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
SITE = Settings(bucket="memory", site_url="https://site.example/index.html")
Ask = Callable[..., ApprovalRequest]


@pytest.fixture
def store() -> Store:
    return memory_store()


@pytest.fixture
def spec() -> ModelSpec:
    return parse_spec(SPEC.replace("gate: {", "gate: {approval: human, approval_timeout: 2h, "))


@pytest.fixture
def open_run(store: Store, spec: ModelSpec) -> Callable[[str], Workspace]:
    def make(run: str) -> Workspace:
        return Workspace(
            spec=spec, store=store, run=run, code="0123abc", api_url=None, progress=lambda line: None,
            now=lambda: NOON, force=True, settings=SITE,
        )  # fmt: skip

    return make


@pytest.fixture
def ask(store: Store, spec: ModelSpec, open_run: Callable[[str], Workspace], tmp_path: Path) -> Ask:
    """Trains a version that passes the gate, and asks a person."""
    land(store, spec, write_rows(tmp_path / "first.csv", 400, 1))

    def make(run: str = "one", asked_by: TaskPlace | None = None) -> ApprovalRequest:
        w = open_run(run)
        if asked_by is None:
            outcome = run_cycle(w)
            assert outcome.waiting and not outcome.promoted
            return find_request(store, "shop", str(outcome.version))
        steps.snapshot(w)
        for candidate in spec.candidates:
            steps.train(w, candidate)
        steps.select(w)
        steps.register(w)
        return request_approval(w, asked_by)

    return make


def reply(store: Store, version: str | None = None, **changes: Any) -> Answered:
    given: dict[str, Any] = {
        "approved": True, "by": "ada", "reason": "looks right", "now": lambda: NOON + timedelta(hours=1),
        "progress": lambda line: None, "env": {},
    }  # fmt: skip
    return answer(store, SITE, "shop", version, **{**given, **changes})


def test_a_request_says_what_is_asked_until_when_and_where_both_models_stand(ask: Ask, store: Store) -> None:
    request = ask()
    assert request.version in request.subject and request.version in request.body
    assert request.until == NOON + timedelta(hours=2)
    assert request.page == "https://site.example/model.html#shop"
    assert request.page in request.body and request.card in request.body
    assert b"<title>Model card: shop" in store.get(request.card).data
    assert all(reason in request.body for reason in request.reasons)


def test_a_request_sets_the_champion_beside_the_version(ask: Ask, store: Store) -> None:
    first = ask("one")
    reply(store)
    second = ask("two")
    assert second.champion == first.version
    metric = Registry(store).manifest("shop", first.version).metrics["accuracy"].value
    (row,) = [line for line in second.body.splitlines() if line.startswith("| accuracy (decides)")]
    assert row.count(f"{metric:.4g} (") == 2


def test_a_repeated_request_is_the_first_one(ask: Ask, open_run: Callable[[str], Workspace]) -> None:
    first = ask()
    assert request_approval(open_run("one"), TaskPlace.parse("a/b/c")) == first


def test_an_approved_version_is_promoted_in_the_name_of_who_approved_it(ask: Ask, store: Store) -> None:
    request = ask()
    given = reply(store)
    assert given.through == "here" and given.outcome is not None and given.outcome.promoted
    head = Registry(store).head("shop")
    assert head is not None and (head.version, head.actor) == (request.version, "ada")
    assert head.reason == "passed the gate in run one, approved by ada: looks right"
    assert pending(store, "shop") == []
    assert check(store, "shop") == ()


def test_a_rejected_version_leaves_the_champion(ask: Ask, store: Store) -> None:
    ask()
    given = reply(store, approved=False)
    assert given.outcome is not None and not given.outcome.promoted and given.outcome.answered_by == "ada"
    assert Registry(store).head("shop") is None
    assert pending(store, "shop") == []


@pytest.mark.parametrize("approved", [True, False])
def test_the_first_answer_stands(ask: Ask, store: Store, approved: bool) -> None:
    version = ask().version
    first = reply(store, approved=approved)
    again = reply(store, version, approved=approved, by="grace")
    assert (again.by, again.at) == (first.by, first.at)
    with pytest.raises(AnswerStands, match=f"{'approved' if approved else 'rejected'} by ada") as error:
        reply(store, version, approved=not approved)
    assert ("rollback" if approved else "promote") in str(error.value.remedy)
    assert len(Registry(store).log("shop")) == approved


def test_an_answer_whose_sender_was_killed_is_carried_out_when_given_again(
    ask: Ask, store: Store, open_run: Callable[[str], Workspace]
) -> None:
    version = ask().version
    answer_approval(open_run("one"), approved=True, by="ada")
    assert Registry(store).head("shop") is None
    with pytest.raises(NotFoundError, match="No version of shop waits") as error:
        reply(store)
    assert error.value.remedy == f"Approved but not promoted: `perennial approve shop {version}` finishes it."
    assert reply(store, version).outcome is not None
    assert len(Registry(store).log("shop")) == 1


def test_no_answer_in_time_is_a_rejection(ask: Ask, store: Store) -> None:
    version = ask().version
    with pytest.raises(AnswerStands, match=NOBODY):
        reply(store, now=lambda: NOON + timedelta(hours=2))
    kept = find_answer(store, "shop", version)
    assert kept is not None and not kept.approved and kept.at == NOON + timedelta(hours=2)
    assert Registry(store).head("shop") is None


def test_where_nothing_waits_the_error_says_what_does(ask: Ask, store: Store) -> None:
    with pytest.raises(NotFoundError, match="No version of shop waits") as error:
        reply(store)
    assert error.value.remedy == "Nothing waits for approval."
    version = ask().version
    with pytest.raises(NotFoundError, match=f"Waiting: shop {version}"):
        reply(store, "0" * 16)


def test_of_several_that_wait_one_is_named(ask: Ask, store: Store) -> None:
    first, second = ask("one"), ask("two")
    with pytest.raises(NotFoundError, match="2 versions of shop wait"):
        reply(store)
    reply(store, second.version)
    with pytest.raises(PromotionRefused):  # it was compared with no champion, and there is one now
        reply(store, first.version)
    assert len(Registry(store).log("shop")) == 1


def test_what_airflow_asked_is_answered_there(ask: Ask, store: Store) -> None:
    version = ask("one", TaskPlace.parse("train_shop/manual__1/approve")).version
    with pytest.raises(SettingsError, match="manual__1") as error:
        reply(store)
    assert "PERENNIAL_AIRFLOW_URL" in str(error.value.remedy)
    assert find_answer(store, "shop", version) is None


def test_a_run_that_waits_holds_up_no_other(
    ask: Ask, store: Store, open_run: Callable[[str], Workspace], spec: ModelSpec, tmp_path: Path
) -> None:
    place = TaskPlace.parse("train_shop/one/approve")
    first = ask("one", place)
    steps.ask(open_run("one"), steps.Arguments(asked_by=str(place)))
    assert steps.perform("acquire", open_run("two")) == ReleaseResult(run="two")
    same = steps.snapshot(replace(open_run("two"), force=False))
    assert same.work is None and "trained on" in str(same.blocked)
    land(store, spec, write_rows(tmp_path / "second.csv", 400, 2))
    second = ask("three", TaskPlace.parse("train_shop/three/approve"))
    assert {request.version for request in pending(store, "shop")} == {first.version, second.version}


def test_a_run_that_is_rejected_ends_while_another_one_trains(
    ask: Ask, store: Store, open_run: Callable[[str], Workspace]
) -> None:
    ask("one", TaskPlace.parse("train_shop/one/approve"))
    one = open_run("one")
    steps.ask(one)
    steps.acquire(open_run("two"))
    answer_approval(one, approved=False, by="ada")
    outcome = steps.perform("conclude", one)
    assert isinstance(outcome, OutcomeResult) and outcome.answered_by == "ada" and not outcome.waiting
    assert lock.holder(store, "shop", NOON) == "two"
    with pytest.raises(lock.Busy):
        steps.perform("promote", one)


def test_a_place_has_three_parts() -> None:
    assert str(TaskPlace.parse("dag/run/task")) == "dag/run/task"
    with pytest.raises(SettingsError, match="no task of a run"):
        TaskPlace.parse("dag/run")
