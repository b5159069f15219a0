"""What Airflow itself makes of the DAG files, read once."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".local/envs/airflow/bin/python"

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
    out = folder / "described.json"
    env = {
        **os.environ,
        "AIRFLOW_HOME": str(folder),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{folder}/airflow.db",
        "PERENNIAL_LANDING_QUEUE": "",
        "PERENNIAL_SPARK_APPLICATION": "",
        "PERENNIAL_SPECS": os.pathsep.join([str(ROOT / "examples/iris/model.yaml"), str(specs)]),
    }
    done = subprocess.run(
        [PYTHON, ROOT / "tests/dags/describe.py", ROOT / "airflow/dags", out],
        env=env, cwd=folder, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(out.read_text())
    return found
