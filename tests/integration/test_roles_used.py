"""Every right of every role is used by the code that has it, and every call of that code is a right of its role.

A stage is deployed by the roles of the pipeline, within their boundary; its functions, jobs and runs of Spark then do
all they do, each under its own role, while the emulator writes down what they ask of it.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pytest

from perennial.jobs import steps
from tests.support import iam_scoring, iam_serving
from tests.support.iam_jobs import AIRFLOW, CYCLE, PROMOTER, SECRET, TRAINER, Steps
from tests.support.iam_listed import is_listed, listed
from tests.support.iam_pipeline import EMULATED
from tests.support.iam_recorder import Call
from tests.support.iam_scoring import SPARK
from tests.support.iam_statements import Right, all_rights, as_list, refused, rights_of, unused
from tests.support.iam_template import Template
from tests.support.iam_world import World, world
from tests.support.templates import ROOT, all_templates
from tests.support.webhook import webhook

pytestmark = pytest.mark.timeout(600)  # a stage is deployed here, and all of its work done

DEPLOY, BOUNDARY = "infra/ci.yaml DeployRole", "infra/ci.yaml Boundary"
API, FEEDBACK = "infra/stacks/serving.yaml ApiRole", "infra/stacks/serving.yaml FeedbackRole"
SCORE = "infra/stacks/scoring.yaml ScoreRole"
INSTANCE, MWAA, ECS = "infra/airflow-instance.yaml Role", "infra/mwaa.yaml ExecutionRole", "infra/ecs.yaml ApiRole"
FREE = {"sts:GetCallerIdentity"}
"""What needs no permission."""


@dataclass
class Witnessed:
    """What there is to compare. ``done`` are the steps that were run."""

    world: World
    calls: tuple[Call, ...]
    done: frozenset[str]

    @cached_property
    def rights(self) -> tuple[Right, ...]:
        return all_rights(self.world.values)

    @cached_property
    def actors(self) -> dict[str, frozenset[str]]:
        """As which roles each holder of rights acts: its own, or those of others whose work it may have to do."""
        own = {holder: frozenset([role]) for holder, role in self.world.roles.items()}
        stage = frozenset(role for holder, role in self.world.roles.items() if holder.startswith("infra/stacks/"))
        return own | {
            MWAA: own[AIRFLOW],
            ECS: own[API] | own[FEEDBACK],  # one container has the routes of both functions
            BOUNDARY: stage,
        }


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Witnessed]:
    with world(tmp_path_factory.mktemp("emulator")) as w, webhook() as hook:
        w.root.client("secretsmanager").create_secret(Name=SECRET, SecretString=hook.url)
        w.make_role(AIRFLOW, INSTANCE)
        for holder in (CYCLE, SPARK):
            w.make_role(holder)
        iam_serving.promote_models(w)
        iam_serving.answer(w)
        iam_scoring.score(w)
        iam_scoring.score_in_bad_weather(w, SCORE, "functions")
        iam_scoring.score_in_bad_weather(w, SPARK, "spark")
        iam_scoring.score_new(w)
        done = Steps(w, tmp_path_factory.mktemp("steps"))
        done.all()
        assert hook.posts
        ours = [call for call in w.emulator.calls() if call.action not in (*FREE, *EMULATED)]
        yield Witnessed(w, tuple(ours), frozenset(done.done))


def told(found: Iterator[object] | list[Any]) -> list[str]:
    return sorted({str(one) for one in found})


def test_nothing_was_denied(seen: Witnessed) -> None:
    assert told([call for call in seen.calls if not call.allowed]) == []


def test_every_step_was_looked_at(seen: Witnessed) -> None:
    # The one needs Spark on Airflow's machine, where none of the templates' roles runs.
    assert {*steps.STEPS, *steps.TAKING, "train"} - seen.done == {"scoring-spark"}


def test_every_right_is_used(seen: Witnessed) -> None:
    rights = [right for right in seen.rights if not is_listed(right)]
    assert told(unused(rights, seen.calls, seen.actors)) == []


def test_every_call_is_a_right(seen: Witnessed) -> None:
    own = {holder: frozenset([role]) for holder, role in seen.world.roles.items()}
    assert told(refused(seen.rights, seen.calls, own)) == []


@pytest.mark.parametrize("holder", [BOUNDARY, ECS])
def test_who_stands_for_others_may_do_what_they_do(seen: Witnessed, holder: str) -> None:
    calls = [call for call in seen.calls if call.role in seen.actors[holder]]
    rights = [right for right in seen.rights if right.holder == holder]
    assert calls and told(refused(rights, calls, seen.actors)) == []


def test_the_list_of_what_services_do_holds_nothing_else_and_nothing_that_is_gone(seen: Witnessed) -> None:
    assert [(one.holders, one.gone(seen.rights)) for one in listed() if one.gone(seen.rights)] == []
    rights = [right for right in seen.rights if is_listed(right)]
    assert set(rights) - set(unused(rights, seen.calls, seen.actors)) == set()
    assert all(one.why.endswith(".") and one.source.startswith("https://") for one in listed())


def test_every_holder_of_rights_acted_or_is_listed(seen: Witnessed) -> None:
    holders = {right.holder for right in seen.rights if not is_listed(right)}
    roles = {call.role for call in seen.calls}
    assert {holder for holder in holders if not seen.actors.get(holder, frozenset()) & roles} == set()


MUTANTS = (API, SCORE, TRAINER, PROMOTER, SPARK, AIRFLOW, CYCLE, DEPLOY)


def mutated(seen: Witnessed, holder: str, action: str, *, more: bool) -> list[Right]:
    """The rights of a holder under its template, one of whose statements has an action more, or less."""
    path, name = holder.split()
    content = copy.deepcopy(dict(all_templates()[ROOT / path]))
    properties = content["Resources"][name]["Properties"]
    documents = [properties["PolicyDocument"]] if "PolicyDocument" in properties else [
        policy["PolicyDocument"] for policy in properties["Policies"]
    ]  # fmt: skip
    for document in documents:
        for statement in document["Statement"]:
            actions = as_list(statement.get("Action", []))
            if more and "s3:PutObject" in actions:
                statement["Action"] = [*actions, action]
            elif not more and action in actions:
                statement["Action"] = [one for one in actions if one != action]
    rights = rights_of(path, Template(content, seen.world.values[path]))
    return [right for right in rights if right.holder == holder and not is_listed(right)]


@pytest.mark.parametrize("holder", MUTANTS)
def test_an_action_too_many_is_caught(seen: Witnessed, holder: str) -> None:
    found = unused(mutated(seen, holder, "s3:DeleteObjectVersion", more=True), seen.calls, seen.actors)
    assert found and {right.action for right in found} == {"s3:DeleteObjectVersion"}


@pytest.mark.parametrize("holder", MUTANTS)
def test_an_action_too_few_is_caught(seen: Witnessed, holder: str) -> None:
    calls = [call for call in seen.calls if call.role == seen.world.roles[holder]]
    found = refused(mutated(seen, holder, "s3:PutObject", more=False), calls, seen.actors)
    assert found and {call.action for call in found} >= {"s3:PutObject"}


def test_a_prefix_too_many_is_caught(seen: Witnessed) -> None:
    listing = next(right for right in seen.rights if right.holder == TRAINER and right.prefix == "*/landing/*")
    other = Right(TRAINER, listing.statement, listing.action, listing.pattern, (), "*/approvals/*")
    assert unused([listing, other], seen.calls, seen.actors) == [other]
