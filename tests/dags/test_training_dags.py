"""The policy of our DAGs, read from what Airflow itself makes of the files."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.unit.test_schedule import TAKEN

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".local/envs/airflow/bin/python"
HEAVY = {"sklearn", "numpy", "pandas", "pyarrow", "onnxruntime", "onnx", "xgboost", "boto3", "obstore", "scipy"}

SECOND = """
name: second
task: regression
target: {column: y}
features: {x: {type: number}}
candidates: {line: {estimator: sklearn.linear_model.Ridge}}
retrain: {schedule: "30 4 * * 1"}
"""


@pytest.fixture(scope="module")
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
        "PERENNIAL_SPECS": os.pathsep.join([str(ROOT / "examples/iris/model.yaml"), str(specs)]),
    }
    done = subprocess.run(
        [PYTHON, ROOT / "tests/dags/describe.py", ROOT / "airflow/dags", out],
        env=env, cwd=folder, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(out.read_text())
    return found


def test_files_load_without_an_error(described: dict[str, Any]) -> None:
    assert described["import_errors"] == {}


def test_one_dag_for_each_spec_found(described: dict[str, Any]) -> None:
    assert {"train_iris", "train_second"} <= set(described["dags"])


def test_a_mistake_in_one_spec_is_shown_and_hides_no_other_model(described: dict[str, Any]) -> None:
    broken = described["dags"]["broken_mistake"]
    assert "model.yaml:7" in broken["doc"]
    assert broken["schedule"] == "None"


def test_a_name_given_twice_is_shown_as_a_mistake(described: dict[str, Any]) -> None:
    assert "already defined by" in described["dags"]["broken_twice"]["doc"]


def test_schedule_comes_from_the_spec(described: dict[str, Any]) -> None:
    assert described["dags"]["train_second"]["schedule"] == "30 4 * * 1"


def test_a_schedule_that_a_spec_may_have_is_one_that_airflow_takes(tmp_path: Path) -> None:
    script = (
        "import json, sys\n"
        "from airflow.sdk import DAG\n"
        "for text in json.loads(sys.argv[1]):\n"
        "    DAG('x', schedule=text).validate()\n"
    )
    done = subprocess.run(
        [PYTHON, "-c", script, json.dumps(TAKEN)], env={**os.environ, "AIRFLOW_HOME": str(tmp_path)}, cwd=tmp_path,
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_every_dag_follows_the_policy(described: dict[str, Any]) -> None:
    for name, dag in described["dags"].items():
        assert dag["doc"], name
        assert dag["owner"] == "perennial", name
        assert "perennial" in dag["tags"], name
        assert dag["catchup"] is False, name
        assert dag["max_active_runs"] == 1, name


def test_every_task_of_a_training_is_retried(described: dict[str, Any]) -> None:
    tasks = described["dags"]["train_iris"]["tasks"]
    assert all(task["retries"] >= 1 for task in tasks.values())


def test_candidates_are_mapped(described: dict[str, Any]) -> None:
    assert described["dags"]["train_iris"]["tasks"]["train"]["mapped"]


def test_only_the_gate_leads_to_promotion(described: dict[str, Any]) -> None:
    tasks = described["dags"]["train_iris"]["tasks"]
    assert [name for name, task in tasks.items() if "promote" in task["downstream"]] == ["passed"]
    assert [name for name, task in tasks.items() if "passed" in task["downstream"]] == ["gate"]
    assert tasks["promote"]["downstream"] == ["smoke"]


def test_reading_a_dag_file_imports_nothing_heavy(described: dict[str, Any]) -> None:
    assert HEAVY & set(described["imported"]) == set()
    assert "perennial" in described["imported"]
