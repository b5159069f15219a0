"""A model kept fresh, once round: train, serve, predict, feedback, drift, retrain, approval, promote, rollback.

Everything is real: Airflow with its scheduler, the local AWS with its Lambda functions, the API over HTTP, the pages.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from perennial import keys
from perennial.datasets.history import read_manifest
from perennial.deploy.up import LocalStack
from perennial.monitoring.results import MonitorReport
from perennial.registry.check import check
from perennial.registry.registry import Registry
from perennial.store import Store
from tests.support.airflow import Airflow, airflow

__all__ = ["airflow"]
pytestmark = pytest.mark.timeout(600)  # Airflow starts here, and each of its tasks is a process

MODEL = "loans"
SPEC = """
name: loans
task: binary
target: {column: repaid, positive: "yes"}
features:
  income: {type: number, min: 0, max: 100}
  debt: {type: number, min: 0, max: 100}
  branch: {type: category, values: [north, south]}
candidates:
  tree: {estimator: sklearn.tree.DecisionTreeClassifier, params: {max_depth: 6, min_samples_leaf: 5}}
metric: accuracy
gate: {minimum: {accuracy: 0.8}, approval: human}
retrain: {schedule: null, new_rows: 100000, drift_share: 0.3, performance: {accuracy: 0.85, labels: 100}, cooldown: 1s}
monitor: {schedule: null, minimum_rows: 100}
"""
Record = dict[str, Any]
Run = Callable[..., Any]


def borrowers(count: int, seed: int, *, branch: str) -> Iterator[tuple[Record, str]]:
    """In the north, whoever earns more than 50 repays. The south came later: there, only those with little debt do."""
    draw = random.Random(seed)
    for _ in range(count):
        income, debt = round(draw.uniform(0, 100), 1), round(draw.uniform(0, 100), 1)
        if branch == "south":
            income = round(60 + income * 0.4, 1)
        repays = debt < 40 if branch == "south" else income > 50
        yield {"income": income, "debt": debt, "branch": branch}, "yes" if repays else "no"


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "model.yaml"
    path.write_text(SPEC)
    return path


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "north.csv"
    lines = [f"{r['income']},{r['debt']},{r['branch']},{truth}" for r, truth in borrowers(600, 1, branch="north")]
    path.write_text("\n".join(["income,debt,branch,repaid", *lines]) + "\n")
    return path


def approved(airflow: Airflow, perennial: Run, run: str) -> None:
    """Answer a parked training by the command line, and see it through."""
    airflow.await_task(f"train_{MODEL}", run, "approve", {"awaiting_input", "deferred"})
    time.sleep(1)  # an answer in the very moment of parking may be missed
    perennial("approve", MODEL)
    assert airflow.await_run(f"train_{MODEL}", run) == "success"


def ask(stack: LocalStack, records: list[Record]) -> list[dict[str, Any]]:
    url = f"{stack.api_url}/models/{MODEL}/predict"
    answer = httpx.post(url, json={"instances": records}, timeout=30)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["predictions"]
    return found


def tell(stack: LocalStack, answers: list[dict[str, Any]], truths: list[str]) -> None:
    with httpx.Client(timeout=30) as client:
        for answer, truth in zip(answers, truths, strict=True):
            body = {key: answer[key] for key in ("prediction_id", "feedback_token")} | {"ground_truth": truth}
            stored = client.post(f"{stack.api_url}/models/{MODEL}/feedback", json=body)
            assert stored.status_code == 202, stored.text


def captured(store: Store, expected: int) -> None:
    """Wait until the log lines of all predictions in the south have come to S3, each once."""
    deadline = time.monotonic() + 60
    while True:
        found = sum(store.get(e.key).data.count(b'"south"') for e in store.list(keys.predictions(MODEL)))
        if found >= expected:
            assert found == expected
            return
        assert time.monotonic() < deadline, f"{found} of {expected} predictions captured"
        time.sleep(0.3)


def test_a_drifted_model_is_trained_again_approved_promoted_and_rolled_back(
    stack: LocalStack,
    store: Store,
    airflow: Airflow,
    perennial: Run,
    spec: Path,
    rows: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PERENNIAL_AIRFLOW_URL", airflow.url)
    perennial("land", spec, rows)
    airflow.serve(spec)
    approved(airflow, perennial, airflow.trigger(f"train_{MODEL}"))
    registry = Registry(store)
    first = registry.head(MODEL)
    assert first is not None and first.generation == 1

    people = list(borrowers(300, 2, branch="south"))
    answers = ask(stack, [record for record, _ in people])
    truths = [truth for _, truth in people]
    right = sum(a["prediction"] == truth for a, truth in zip(answers, truths, strict=True))
    assert right < 0.7 * len(people)  # the model has never seen the south
    tell(stack, answers, truths)
    captured(store, len(people))

    watched = airflow.trigger(f"monitor_{MODEL}")
    assert airflow.await_run(f"monitor_{MODEL}", watched) == "success"
    report = MonitorReport.model_validate(airflow.xcom(f"monitor_{MODEL}", watched, "summary"))
    assert (report.drift.status, report.performance.status) == ("drift", "decay")
    assert report.performance.labels == report.quality.labels == 300 and report.quality.lost == 0
    assert report.retrain and [reason.split(":")[0] for reason in report.reasons] == ["drift", "decay"]
    assert report.html, "the reports of Evidently are missing"

    (_, retrained) = [run["dag_run_id"] for run in airflow.runs(f"train_{MODEL}")]
    approved(airflow, perennial, retrained)
    second = registry.head(MODEL)
    assert second is not None and (second.generation, second.previous) == (2, first.version)

    old, new = (registry.manifest(MODEL, entry.version).dataset for entry in (first, second))
    child, parent = read_manifest(store, MODEL, new), read_manifest(store, MODEL, old)
    assert child.parent == old and child.holdout == parent.holdout
    assert sum(source.accepted for source in child.sources if source.kind == "feedback") == 300

    again = ask(stack, [record for record, _ in people])
    assert sum(a["prediction"] == truth for a, truth in zip(again, truths, strict=True)) > 0.9 * len(people)
    traced = perennial("trace", answers[0]["prediction_id"])
    assert traced["version"]["version"] == first.version and traced["dataset"]["id"] == old

    page = httpx.get(f"{stack.site_url.rsplit('/', 1)[0]}/{keys.page_data(MODEL, 'model.json')}", timeout=30)
    assert page.status_code == 200 and second.version in page.text

    perennial("rollback", MODEL, "--reason", "the south complains")
    assert registry.log(MODEL)[-1].version == first.version
    card = httpx.get(f"{stack.api_url}/models/{MODEL}", timeout=30).json()
    assert (card["version"], card["generation"]) == (first.version, 3)
    assert check(store, MODEL) == ()
