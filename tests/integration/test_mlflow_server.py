"""A real MLflow server gets a copy of what a run came to; a server that is dead or slow costs a warning."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from perennial.datasets.landing import land
from perennial.jobs.cycle import run_cycle
from perennial.jobs.tracking import follow_champion, record_run
from perennial.jobs.tracking_data import Logged
from perennial.jobs.workspace import Workspace
from perennial.registry.registry import Registry
from perennial.settings import Settings
from perennial.spec_source import parse_spec
from perennial.store import memory_store
from tests.support.mlflow import mlflow_server
from tests.support.shop import SPEC, write_rows

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
ODD = "  odd: {estimator: sklearn.linear_model.LogisticRegression, params: {max_deep: 3}}\nmetric:"


@dataclass
class Server:
    """What the server says, by its own REST API."""

    url: str

    def get(self, path: str, **params: str) -> dict[str, Any]:
        found: dict[str, Any] = httpx.get(f"{self.url}/api/2.0/mlflow/{path}", params=params).json()
        return found

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = httpx.post(f"{self.url}/api/2.0/mlflow/{path}", json=body).json()
        return found

    def experiment(self, name: str) -> str:
        return str(self.get("experiments/get-by-name", experiment_name=name)["experiment"]["experiment_id"])

    def runs(self, name: str) -> dict[str, dict[str, Any]]:
        """By candidate; each candidate has one."""
        found = self.post("runs/search", {"experiment_ids": [self.experiment(name)]}).get("runs", [])
        by_candidate = {pairs(run["data"]["tags"])["perennial.candidate"]: run for run in found}
        assert len(by_candidate) == len(found)
        return by_candidate

    def versions(self, name: str) -> dict[str, str]:
        """MLflow's number by our version."""
        found = self.get("model-versions/search", filter=f"name='{name}'").get("model_versions", [])
        return {pairs(each["tags"])["perennial.version"]: each["version"] for each in found}

    def champion(self, name: str) -> str:
        found = self.get("registered-models/alias", name=name, alias="champion")
        return str(pairs(found["model_version"]["tags"])["perennial.version"])


def pairs(listed: list[dict[str, Any]]) -> dict[str, Any]:
    return {each["key"]: each.get("value") for each in listed}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with mlflow_server(tmp_path_factory.mktemp("mlflow")) as url:
        yield Server(url)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A run that has promoted a version, and refused a candidate; it names no server yet."""
    store, spec = memory_store(), parse_spec(SPEC.replace("metric:", ODD, 1))
    land(store, spec, write_rows(tmp_path_factory.mktemp("rows") / "first.csv", 300, 1))
    w = Workspace(
        spec=spec, store=store, run="one", code="0123abc", api_url=None, progress=lambda line: None, now=lambda: NOW
    )
    assert run_cycle(w).promoted
    return w


@pytest.fixture(scope="module")
def first(server: Server, trained: Workspace) -> Logged:
    """What came of logging the run."""
    return record_run(at(trained, server.url)[0])


def at(w: Workspace, uri: str | None) -> tuple[Workspace, list[str]]:
    """The run with a tracking server, and what it says."""
    said: list[str] = []
    return replace(w, settings=Settings(bucket="data", mlflow_uri=uri), progress=said.append), said


def test_a_run_is_logged_registered_and_named_champion_and_a_retry_changes_nothing(
    server: Server, trained: Workspace, first: Logged
) -> None:
    w, said = at(trained, server.url)
    assert (first.runs, first.version, first.champion, first.problem) == (3, "1", "1", None)
    head = Registry(w.store).head("shop")
    assert head is not None
    manifest = Registry(w.store).manifest("shop", head.version)
    runs = server.runs("shop")
    assert {name: run["info"]["status"] for name, run in runs.items()} == {
        "logistic": "FINISHED", "tree": "FINISHED", "odd": "FAILED",
    }  # fmt: skip

    chosen = runs[manifest.candidate]["data"]
    tags, metrics = pairs(chosen["tags"]), pairs(chosen["metrics"])
    assert tags["perennial.version"] == head.version and tags["perennial.gate"] == "passed"
    assert tags["perennial.dataset"] == manifest.dataset and tags["perennial.code"] == "0123abc"
    assert tags["perennial.spec"] == w.spec.digest()
    assert "pass minimum.accuracy" in tags["mlflow.note.content"]
    assert metrics["holdout.accuracy"] == manifest.metrics["accuracy"].value
    assert metrics["cross_validation.accuracy"] == manifest.cross_validation.value
    tree = pairs(runs["tree"]["data"]["params"])
    assert tree["estimator"] == "sklearn.tree.DecisionTreeClassifier" and tree["max_depth"] == "3"
    assert "max_deep" in pairs(runs["odd"]["data"]["tags"])["mlflow.note.content"]
    folds = server.get("metrics/get-history", run_id=runs["tree"]["info"]["run_id"], metric_key="fold.accuracy")
    assert sorted(each["step"] for each in folds["metrics"]) == [0, 1, 2, 3, 4]

    listed = server.get("artifacts/list", run_id=runs[manifest.candidate]["info"]["run_id"])["files"]
    assert {each["path"]: each["file_size"] for each in listed} == {n: f.size for n, f in manifest.files.items()}
    assert server.versions("shop") == {head.version: "1"} and server.champion("shop") == head.version

    assert record_run(w) == first
    assert server.runs("shop") == runs and server.versions("shop") == {head.version: "1"}
    again = server.get("metrics/get-history", run_id=runs["tree"]["info"]["run_id"], metric_key="fold.accuracy")
    assert again == folds and said == []


def test_the_alias_follows_a_promotion_and_a_rollback(
    server: Server, trained: Workspace, first: Logged, tmp_path: Path
) -> None:
    w, _ = at(trained, server.url)
    before = Registry(w.store).head("shop")
    assert before is not None and first.problem is None
    land(w.store, w.spec, write_rows(tmp_path / "second.csv", 200, 2))
    second = replace(w, run="two", force=True)
    outcome = run_cycle(second)
    assert outcome.version is not None
    if not outcome.promoted:
        Registry(w.store).promote("shop", outcome.version, op_id="hand", actor="ada", reason="", now=NOW)
    record_run(second)
    assert server.champion("shop") == outcome.version and len(server.versions("shop")) == 2
    Registry(w.store).rollback("shop", op_id="back", actor="ada", reason="worse", now=NOW)
    assert follow_champion(w).champion == "1"
    assert server.champion("shop") == before.version and len(server.versions("shop")) == 2


def test_a_run_that_was_cut_off_is_completed_and_not_begun_again(
    server: Server, trained: Workspace, first: Logged
) -> None:
    """As when the process was killed right after it had begun the MLflow run: its key is there, and nothing else."""
    assert first.problem is None
    cut = replace(at(trained, server.url)[0], run="cut", force=True)
    key = f"data/shop/{cut.attempt}/tree"
    experiment = server.experiment("shop")
    begun = server.post(
        "runs/create",
        {"experiment_id": experiment, "start_time": 1000, "tags": [{"key": "perennial.key", "value": key}]},
    )["run"]["info"]["run_id"]
    run_cycle(cut)
    assert record_run(cut).problem is None
    found = server.get("runs/get", run_id=begun)["run"]
    assert found["info"]["status"] == "FINISHED"
    assert pairs(found["data"]["params"])["max_depth"] == "3"
    with_key = server.post(
        "runs/search", {"experiment_ids": [experiment], "filter": f"tags.`perennial.key` = '{key}'"}
    )["runs"]
    assert [run["info"]["run_id"] for run in with_key] == [begun]


def test_a_dead_server_costs_a_warning_without_its_credentials(trained: Workspace) -> None:
    w, said = at(trained, "http://ada:s3cr3t@127.0.0.1:9")
    logged = record_run(w)
    assert logged.problem is not None and (logged.runs, logged.version) == (0, None)
    assert said == [f"not logged to MLflow: {logged.problem}"]
    assert "127.0.0.1" in logged.problem and "s3cr3t" not in logged.problem


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a server that takes connections, and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_a_silent_server_is_given_up(trained: Workspace, silent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    logged = record_run(at(trained, silent)[0])
    assert logged.problem is not None and "timed out" in logged.problem.lower()


def test_a_server_slower_than_we_wait_does_not_hold_the_run_up(trained: Workspace, silent: str) -> None:
    started = time.monotonic()
    logged = record_run(at(trained, silent)[0], wait=0.5)
    assert logged.problem == "the server did not take it within 0.5 s."
    assert time.monotonic() - started < 5
