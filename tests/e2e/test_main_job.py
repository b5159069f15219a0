"""The main job as its users do it: a file, the command line, Airflow, the API by HTTP, the form in a browser."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import sync_playwright

from perennial import keys
from perennial.demo import FLOWER, outcome_of, write_iris
from perennial.deploy.package import ROOT
from perennial.deploy.scheduler import environment
from perennial.deploy.up import LocalStack
from perennial.registry.check import check
from perennial.registry.registry import Registry
from perennial.store import Store
from tests.support.browser import find_browser
from tests.support.dag_runs import DagRuns, dag_runs

SPEC = ROOT / "examples/iris/model.yaml"
COMMAND = Path(sys.executable).with_name("perennial")
Run = Callable[..., Any]


@pytest.fixture(scope="module")
def airflow(stack: LocalStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DagRuns]:
    with dag_runs(environment(stack, str(SPEC), tmp_path_factory.mktemp("airflow"))) as runs:
        yield runs


def test_from_a_file_to_an_answer_in_the_form(
    perennial: Run, stack: LocalStack, store: Store, airflow: DagRuns, tmp_path: Path
) -> None:
    write_iris(tmp_path / "iris.csv")
    (landed,) = perennial("land", SPEC, tmp_path / "iris.csv")
    assert landed["key"] == keys.landing("iris", "iris.csv")

    trained = airflow.run("train_iris")
    assert trained.state == trained.tasks["conclude"] == trained.tasks["release"] == "success", trained.log
    assert {f"train [{index}]" for index in range(3)} == {task for task in trained.tries if task.startswith("train")}
    outcome = outcome_of(store, "iris")
    assert outcome.promoted and outcome.generation == 1
    assert check(store, "iris") == ()

    answer = httpx.post(f"{stack.api_url}/models/iris/predict", json=FLOWER, timeout=30).json()
    assert answer["prediction"] == "setosa"
    assert answer["model"]["version"] == outcome.version
    assert answer["model"]["dataset"] == outcome.dataset
    local = perennial("predict", "iris", json.dumps(FLOWER))
    assert local["probabilities"] == answer["probabilities"]

    assert ask_form(stack) == "setosa"

    again = airflow.run("train_iris")
    assert again.state == again.tasks["nothing_to_do"] == again.tasks["release"] == "success", again.log
    assert again.tasks["conclude"] == "skipped"
    assert len(Registry(store).log("iris")) == 1


def ask_form(stack: LocalStack) -> str:
    """Fill the published form with the flower and read the answer."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=find_browser(), args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        page = browser.new_page()
        page.set_default_timeout(20_000)
        page.goto(f"{stack.site_url}#iris")
        for name, value in FLOWER.items():
            page.get_by_label(name.replace("_", " ").capitalize()).fill(str(value))
        page.get_by_role("button", name="Predict").click()
        page.wait_for_selector(".prediction data")
        prediction = page.inner_text(".prediction data")
        browser.close()
    return prediction
