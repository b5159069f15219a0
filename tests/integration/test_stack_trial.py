"""A trial as deployed: callers by HTTP, a function that follows the log, its lines in S3, and what stops it."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import httpx
import numpy as np
import pytest

from perennial.deploy.up import LocalStack
from perennial.jobs.steps import Arguments, perform
from perennial.jobs.trial import TrialResult
from perennial.jobs.workspace import Workspace
from perennial.monitoring.captures import Span, batches
from perennial.monitoring.captures import captured as captured_lines
from perennial.registry.registry import Registry
from perennial.registry.trials import start_trial
from perennial.serving.captured import CapturedPrediction
from perennial.serving.challenger import in_share
from perennial.settings import Settings
from perennial.spec import ModelSpec
from perennial.store import Store
from tests.support import models

CALLERS = [f"caller-{number}" for number in range(16)]
SECONDS = 30.0


@pytest.fixture
def api(stack: LocalStack) -> httpx.Client:
    return httpx.Client(base_url=stack.api_url, timeout=60)


def spec_of(name: str) -> ModelSpec:
    values = models.make_spec(name).model_dump(mode="json")
    return ModelSpec.model_validate(values | {"trial": {"disagreement": 0.1, "minimum_rows": 5}})


def pair(spec: ModelSpec) -> tuple[models.Built, models.Built]:
    """Two versions that answer the same record differently."""
    first, *others = (models.build(spec, seed=seed) for seed in range(1, 20))
    return first, next(other for other in others if _word(other) != _word(first))


def _word(built: models.Built) -> str:
    row = np.array([[models.IRIS_RECORD[name] for name in models.MEASURES]])
    return built.manifest.classes[int(models.answer(built, row)[0].argmax())]


def arrived(store: Store, model: str, expected: int) -> list[CapturedPrediction]:
    """The lines in S3, shadows too, once so many are there."""
    deadline = time.monotonic() + SECONDS
    while True:
        found = list(captured_lines(store, model, batches(store, model, Span(None, None)), shadows=True))
        if len(found) >= expected:
            return found
        assert time.monotonic() < deadline, f"{len(found)} of {expected} lines arrived"
        time.sleep(0.2)


def test_a_canary_from_its_first_caller_until_it_is_stopped(api: httpx.Client, stack: LocalStack, store: Store) -> None:
    spec = spec_of("tried")
    champion, challenger = pair(spec)
    models.promote(store, champion)
    models.register(store, challenger)
    begun = start_trial(
        store, "tried", challenger.version, mode="canary", share=0.3, op_id="try", actor="test", reason="",
        now=datetime.now(UTC),
    )  # fmt: skip
    assert begun.trial is not None

    def answered(who: str) -> str:
        answer = api.post("/models/tried/predict", json=models.IRIS_RECORD, headers={"x-caller-id": who})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["model"]["version"])

    with ThreadPoolExecutor(3) as pool:  # several workers of the function
        first, second = (dict(zip(CALLERS, pool.map(answered, CALLERS), strict=True)) for _ in range(2))
    inside = {who for who in CALLERS if in_share("tried", begun.trial, f"id:{who}")}
    assert 2 <= len(inside) <= 10  # 4.8 are expected, and who they are never changes
    assert first == second == {who: (challenger if who in inside else champion).version for who in CALLERS}
    told = api.get("/models/tried").json()
    assert (told["version"], told["trial"]["version"]) == (champion.version, challenger.version)

    lines = arrived(store, "tried", 2 * (len(CALLERS) + len(inside)))
    by_role = {role: {line.prediction_id for line in lines if line.role == role} for role in ("canary", "shadow")}
    assert by_role["canary"] == by_role["shadow"] and len(by_role["canary"]) == 2 * len(inside)
    assert {line.version for line in lines if line.role == "shadow"} == {champion.version}

    found = check(stack, store, spec)
    assert found.report is not None and found.report.disagreement.value == 1.0
    head = Registry(store).head("tried")
    assert head is not None and (head.kind, head.generation) == ("trial_end", found.ended_by)
    assert "it disagrees with the champion on 100.00%" in head.reason
    assert {answered(who) for who in sorted(inside)[:3]} == {champion.version}
    assert api.get("/models/tried").json()["trial"] is None
    assert check(stack, store, spec).ended_by == found.ended_by


def check(stack: LocalStack, store: Store, spec: ModelSpec) -> TrialResult:
    """The step as a monitoring pass runs it."""
    workspace = Workspace(
        spec=spec, store=store, run="pass", code="0123abc", api_url=stack.api_url, progress=print,
        now=lambda: datetime.now(UTC), settings=Settings.load(stack.environment()),
    )  # fmt: skip
    found = perform("trial-check", workspace, given=Arguments(at=datetime.now(UTC).isoformat()))
    assert isinstance(found, TrialResult)
    return found


def test_a_shadow_is_asked_about_every_row_and_answers_none(api: httpx.Client, store: Store) -> None:
    champion, challenger = pair(spec_of("shadowed"))
    models.promote(store, champion)
    models.register(store, challenger)
    start_trial(
        store, "shadowed", challenger.version, mode="shadow", op_id="try", actor="test", reason="",
        now=datetime.now(UTC),
    )  # fmt: skip
    answer = api.post("/models/shadowed/predict", json={"instances": [models.IRIS_RECORD] * 10}).json()
    assert answer["model"]["version"] == champion.version
    assert {one["prediction"] for one in answer["predictions"]} == {_word(champion)}
    lines = arrived(store, "shadowed", 20)
    words = {(line.role, line.version, line.prediction) for line in lines}
    assert words == {("champion", champion.version, _word(champion)), ("shadow", challenger.version, _word(challenger))}
    assert {line.prediction_id for line in lines} == {one["prediction_id"] for one in answer["predictions"]}
