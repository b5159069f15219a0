"""What Airflow itself makes of the DAG files, read once."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.support import dag_files

ROOT = Path(__file__).resolve().parents[2]

SECOND = """
name: second
task: regression
target: {column: y}
features: {x: {type: number}}
candidates: {line: {estimator: sklearn.linear_model.Ridge}}
gate: {approval: human, approval_timeout: 2h}
retrain: {schedule: "30 4 * * 1"}
monitor: {schedule: "15 * * * *"}
batch: {schedule: "@hourly", source: "s3://lake/customers/"}
"""


@pytest.fixture(scope="session")
def described(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What Airflow finds: the iris example, another model, one with a mistake, and a name given twice."""
    folder = tmp_path_factory.mktemp("dags")
    specs = folder / "specs"
    for name, text in {"second": SECOND, "mistake": SECOND.replace("Ridge}", "Ridge"), "twice": SECOND}.items():
        (specs / name).mkdir(parents=True)
        (specs / name / "model.yaml").write_text(text)
    specs_given = os.pathsep.join([str(ROOT / "examples/iris/model.yaml"), str(specs)])
    none = {"PERENNIAL_LANDING_QUEUE": "", "PERENNIAL_SPARK_APPLICATION": ""}
    return dag_files.described(folder, {**os.environ, **none, "PERENNIAL_SPECS": specs_given})
