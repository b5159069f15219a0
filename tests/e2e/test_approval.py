"""A person decides, in real Airflow on a real stack: by its pages, its REST API and the command line, or not in time.

All models are trained side by side and parked; each test then answers for one of them.
"""

from __future__ import annotations

import getpass
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import sync_playwright

from perennial import keys
from perennial.datasets.landing import land
from perennial.demo import write_iris
from perennial.deploy.up import LocalStack
from perennial.jobs.approval import NOBODY, find_answer, find_request, pending
from perennial.registry.check import check
from perennial.registry.registry import Registry
from perennial.settings import Settings
from perennial.spec import load_spec
from perennial.store import Store
from perennial.store_opening import open_store
from tests.support.airflow import Airflow, airflow
from tests.support.browser import find_browser

__all__ = ["airflow"]

pytestmark = pytest.mark.timeout(600)  # Airflow starts here, and each of its tasks is a process

SPEC = """
name: {name}
task: multiclass
target: {{column: species, classes: [setosa, versicolor, virginica]}}
features:
  sepal_length: {{type: number}}
  petal_length: {{type: number}}
  petal_width: {{type: number}}
candidates:
  tree: {{estimator: sklearn.tree.DecisionTreeClassifier, params: {{max_depth: 3}}}}
metric: accuracy
gate: {{approval: human, approval_timeout: {timeout}, minimum: {{accuracy: 0.8}}}}
retrain: {{schedule: null}}
monitor: {{schedule: null}}
"""
MODELS = {"by-page": "3d", "by-rest": "3d", "by-command": "3d", "in-vain": "3s"}
Run = Callable[..., Any]
Runs = dict[str, str]


@pytest.fixture(scope="module")
def runs(airflow: Airflow, stack: LocalStack, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """Model -> its run in Airflow, each of which has been started."""
    folder = tmp_path_factory.mktemp("approval")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in stack.environment().items():
            patch.setenv(name, value)
        bucket = open_store(Settings.load())
    write_iris(folder / "iris.csv")
    specs = []
    for name, timeout in MODELS.items():
        spec = folder / name / "model.yaml"
        spec.parent.mkdir()
        spec.write_text(SPEC.format(name=name, timeout=timeout))
        land(bucket, load_spec(spec), folder / "iris.csv")
        specs.append(spec)
    airflow.serve(*specs)
    return {name: airflow.trigger(f"train_{name}") for name in MODELS}


def await_parked(airflow: Airflow, runs: Runs, model: str) -> str:
    """Wait until a model's run waits for its answer, and has settled; returns the run."""
    airflow.await_task(f"train_{model}", runs[model], "approve", ["awaiting_input"])
    time.sleep(3)
    return runs[model]


def assert_promoted(airflow: Airflow, store: Store, model: str, run: str) -> None:
    assert airflow.await_run(f"train_{model}", run) == "success"
    assert airflow.task_state(f"train_{model}", run, "rejected") == "skipped"
    outcome = airflow.xcom(f"train_{model}", run, "conclude")
    head = Registry(store).head(model)
    assert head is not None and outcome["promoted"] and outcome["version"] == head.version
    assert outcome["answered_by"] == head.actor
    assert pending(store, model) == [] and check(store, model) == ()


def test_a_killed_step_is_taken_up_by_the_retry(airflow: Airflow, runs: Runs, store: Store) -> None:
    dag, run = "train_by-page", runs["by-page"]
    os.kill(process_of(airflow, "by-page", "train"), signal.SIGKILL)
    airflow.await_task(dag, run, "train", ["up_for_retry"])
    airflow.clear(dag, run, "train", downstream=False)  # what waiting for half a minute does
    await_parked(airflow, runs, "by-page")
    assert len(Registry(store).versions("by-page")) == 1
    assert len(pending(store, "by-page")) == 1


def process_of(airflow: Airflow, model: str, step: str) -> int:
    """The process of a model's step, as soon as there is one."""
    place = str(airflow.specs / model / "model.yaml").encode()

    def find() -> int | None:
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if place in words and step.encode() in words:
                return int(entry.name)
        return None

    return airflow.wait(find, f"the step {step}", 120)


def test_a_run_that_waits_holds_up_no_other(airflow: Airflow, runs: Runs) -> None:
    dag, waiting = "train_by-rest", await_parked(airflow, runs, "by-rest")
    second = airflow.trigger(dag)
    assert airflow.await_run(dag, second) == "success"
    assert airflow.task_state(dag, second, "nothing_to_do") == "success"  # it would ask the same of the same rows
    assert airflow.task_state(dag, waiting, "approve") == "awaiting_input"


def test_rejection_by_rest_leaves_the_champion(airflow: Airflow, runs: Runs, store: Store) -> None:
    run = await_parked(airflow, runs, "by-rest")
    (request,) = pending(store, "by-rest")
    assert request.asked_by is not None and request.asked_by.run_id == run
    airflow.answer("train_by-rest", run, "approve", "Reject", "too few flowers")
    assert airflow.await_run("train_by-rest", run) == "success"
    assert airflow.task_state("train_by-rest", run, "promote") == "skipped"
    answer = find_answer(store, "by-rest", request.version)
    assert answer is not None and not answer.approved and answer.reason == "too few flowers"
    outcome = airflow.xcom("train_by-rest", run, "conclude")
    assert outcome["passed"] and not outcome["promoted"] and outcome["answered_by"] == answer.by
    assert Registry(store).head("by-rest") is None


def test_approval_in_the_pages_promotes(airflow: Airflow, runs: Runs, stack: LocalStack, store: Store) -> None:
    run = await_parked(airflow, runs, "by-page")
    (request,) = pending(store, "by-page")
    place = f"{airflow.url}/dags/train_by-page/runs/{quote(run, safe='')}/tasks/approve/required_actions"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=find_browser(), args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        page = browser.new_page()
        page.set_default_timeout(30_000)
        page.goto(place)
        page.get_by_text(request.subject).first.wait_for()
        link = page.get_by_role("link", name="Both models side by side").get_attribute("href")
        assert link == request.page and str(link).startswith(stack.site_url.rpartition("/")[0])
        page.get_by_role("button", name="Approve", exact=True).click()
        airflow.await_task("train_by-page", run, "answer", ["running", "success"])
        browser.close()
    assert_promoted(airflow, store, "by-page", run)


def test_approval_by_the_command_line_promotes_once(
    perennial: Run, airflow: Airflow, runs: Runs, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    dag, run = "train_by-command", runs["by-command"]
    airflow.await_task(dag, run, "approve", ["awaiting_input"])
    (waiting,) = perennial("approvals", "by-command")
    assert waiting["asked_by"] == f"{dag}/{run}/approve"
    assert "PERENNIAL_AIRFLOW_URL" in perennial("approve", "by-command", code=2)["error"]["remedy"]
    monkeypatch.setenv("PERENNIAL_AIRFLOW_URL", airflow.url)
    answered = perennial("approve", "by-command", "--reason", "it holds")
    assert (answered["through"], answered["run"], answered["approved"]) == ("airflow", run, True)
    assert answered["by"] == getpass.getuser()
    assert perennial("approvals", "by-command") == []
    version = waiting["version"]
    assert "first answer stands" in perennial("approve", "by-command", version, "--reject", code=6)["error"]["message"]
    assert_promoted(airflow, store, "by-command", run)
    assert perennial("approve", "by-command", version)["reason"] == "it holds"
    assert "No version" in perennial("approve", "by-command", "--reject", code=5)["error"]["message"]
    (entry,) = perennial("log", "by-command")
    assert entry["actor"] == getpass.getuser() and entry["reason"].endswith(f"by {entry['actor']}: it holds")


def test_no_answer_in_time_rejects(
    perennial: Run, airflow: Airflow, runs: Runs, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = runs["in-vain"]
    assert airflow.await_run("train_in-vain", run) == "success"
    outcome = airflow.xcom("train_in-vain", run, "conclude")
    assert not outcome["promoted"] and outcome["answered_by"] == NOBODY
    request = find_request(store, "in-vain", outcome["version"])
    assert (request.until - request.at).total_seconds() == 3
    assert store.exists(keys.approval("in-vain", outcome["version"]))
    assert Registry(store).head("in-vain") is None
    monkeypatch.setenv("PERENNIAL_AIRFLOW_URL", airflow.url)
    assert NOBODY in perennial("approve", "in-vain", outcome["version"], code=6)["error"]["message"]
