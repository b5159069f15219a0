"""The DAGs of SQL sources and of the queue of new files, read from what Airflow itself makes of the files."""

from __future__ import annotations

import os
from typing import Any

import pytest

from tests.support import dag_files

SPEC = """
name: shop
task: regression
target: {column: y}
features: {x: {type: number}}
candidates: {line: {estimator: sklearn.linear_model.Ridge}}
sources:
  orders: {connection: shop-db, table: orders, watermark: changed_at, schedule: "@hourly"}
  old-orders: {connection: archive, query: SELECT * FROM old, watermark: day, late: 7d, schedule: null}
"""


@pytest.fixture(scope="module")
def dags(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What Airflow finds for a model with two sources, where there is a queue of new files."""
    folder = tmp_path_factory.mktemp("dags")
    (folder / "model.yaml").write_text(SPEC)
    queue = "https://sqs.us-east-1.amazonaws.com/123456789012/landing"
    env = {"PERENNIAL_SPECS": str(folder), "PERENNIAL_LANDING_QUEUE": queue, "AWS_REGION": "us-east-1"}
    found = dag_files.described(folder, {**os.environ, **env})
    assert found["import_errors"] == {}
    described: dict[str, Any] = found["dags"]
    return described


def test_each_source_has_a_dag_on_its_own_schedule(dags: dict[str, Any]) -> None:
    pulls = {name: dag["schedule"] for name, dag in dags.items() if name.startswith("pull_")}
    assert pulls == {"pull_shop_orders": "@hourly", "pull_shop_old-orders": "None"}


def test_a_pull_asks_between_two_steps(dags: dict[str, Any]) -> None:
    tasks = dags["pull_shop_orders"]["tasks"]
    assert set(tasks["query"]["downstream"]) >= {"ask"}
    assert set(tasks["ask"]["downstream"]) >= {"land"}
    assert all(task["retries"] > 0 for task in tasks.values())


def test_a_pull_says_what_it_brings_from_where(dags: dict[str, Any]) -> None:
    doc = dags["pull_shop_old-orders"]["doc"]
    assert "`archive`" in doc and "`day`" in doc and "7 days" in doc


def test_messages_are_forgotten_only_after_the_trainings_are_started(dags: dict[str, Any]) -> None:
    landing = dags["landing"]
    assert landing["tasks"]["read"]["downstream"] == ["start"]
    assert landing["tasks"]["start"]["mapped"]
    assert landing["tasks"]["start"]["downstream"] == ["forget"]
    assert "perennial-landing" in landing["schedule"]


def test_they_follow_the_policy_of_every_dag(dags: dict[str, Any]) -> None:
    for name in ("landing", "pull_shop_orders"):
        dag = dags[name]
        assert (dag["owner"], dag["catchup"], dag["max_active_runs"]) == ("perennial", False, 1)
        assert "perennial" in dag["tags"] and dag["doc"]
        assert all(task["doc"] for task in dag["tasks"].values()), name
