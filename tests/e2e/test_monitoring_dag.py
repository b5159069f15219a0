"""A monitoring pass in real Airflow on a real stack."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from perennial.demo import write_iris
from perennial.monitoring.results import MonitorReport
from tests.support.airflow import Airflow, airflow

__all__ = ["airflow"]

pytestmark = pytest.mark.timeout(600)  # Airflow starts here, and each of its tasks is a process

SPEC = """
name: watched-flowers
task: multiclass
target: {column: species, classes: [setosa, versicolor, virginica]}
features: {petal_length: {type: number}, petal_width: {type: number}}
candidates: {tree: {estimator: sklearn.tree.DecisionTreeClassifier, params: {max_depth: 3}}}
metric: accuracy
retrain: {schedule: null, new_rows: 100}
monitor: {schedule: null}
"""
MONITOR, TRAIN = "monitor_watched-flowers", "train_watched-flowers"
Run = Callable[..., Any]


def test_a_pass_without_predictions_ends_with_a_summary_and_starts_one_training_however_often_it_is_tried(
    perennial: Run, airflow: Airflow, tmp_path: Path
) -> None:
    spec = tmp_path / "model.yaml"
    spec.write_text(SPEC)
    write_iris(tmp_path / "iris.csv")
    perennial("land", spec, tmp_path / "iris.csv")
    airflow.serve(spec)
    airflow.pause(TRAIN)  # what is started waits; other tests see trainings through

    watched = airflow.trigger(MONITOR)
    assert airflow.await_run(MONITOR, watched) == "success"
    summary = MonitorReport.model_validate(airflow.xcom(MONITOR, watched, "summary"))
    assert (summary.rows, summary.quality.status, summary.drift.status) == (0, "unknown", "unknown")
    assert summary.retrain and "nothing has been trained yet" in summary.reasons
    assert airflow.task_state(MONITOR, watched, "no_training") == "skipped"

    airflow.clear(MONITOR, watched, "summary")
    assert airflow.await_run(MONITOR, watched) == "success"
    assert MonitorReport.model_validate(airflow.xcom(MONITOR, watched, "summary")) == summary
    (started,) = airflow.runs(TRAIN)
    assert (started["dag_run_id"], started["state"]) == (f"monitor__{watched}", "queued")
    assert started["conf"] == {"cause": "monitor", "because": "; ".join(summary.reasons)}
    airflow.delete(TRAIN, started["dag_run_id"])
