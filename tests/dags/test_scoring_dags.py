"""The shape of the scoring DAG, and its task on EMR Serverless against a server that takes such jobs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from perennial import keys
from perennial.settings import Settings
from perennial.spec import load_spec
from perennial.store_opening import open_store
from tests.dags.conftest import SECOND
from tests.dags.test_training_dags import HEAVY, before
from tests.support import dag_files
from tests.support.dag_runs import dag_runs
from tests.support.models import build, promote

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".local/envs/airflow/bin/python"
DAGS = ROOT / "airflow/dags"
ROLE = "arn:aws:iam::123456789012:role/perennial-spark"
KEYS = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
Described = dict[str, Any]


def access(url: str) -> dict[str, str]:
    """The variables under which a server is AWS."""
    return {"AWS_ENDPOINT_URL": url, **{name.upper(): value for name, value in KEYS.items()}}


def environment(folder: Path, source: str = "s3://lake/customers/", **more: str) -> dict[str, str]:
    (folder / "model.yaml").write_text(SECOND.replace("s3://lake/customers/", source))
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return {
        **kept,
        "AIRFLOW_HOME": str(folder),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{folder}/airflow.db",
        "PERENNIAL_SPECS": str(folder / "model.yaml"),
        "PERENNIAL_LANDING_QUEUE": "",
        "AWS_REGION": "eu-central-1",
        **more,
    }


@pytest.fixture
def tasks(described: Described) -> Described:
    found: Described = described["dags"]["score_second"]["tasks"]
    return found


@pytest.fixture(scope="module")
def on_emr(tmp_path_factory: pytest.TempPathFactory) -> Described:
    """The same DAG where an application on EMR Serverless is named."""
    folder = tmp_path_factory.mktemp("dags")
    env = environment(folder, PERENNIAL_SPARK_APPLICATION="00f1", PERENNIAL_SPARK_ROLE=ROLE)
    found = dag_files.described(folder, env)
    assert found["import_errors"] == {}
    described: Described = found["dags"]["score_second"]["tasks"]
    return described


def test_only_a_spec_with_a_schedule_for_it_is_scored(described: Described) -> None:
    found = {name: dag["schedule"] for name, dag in described["dags"].items() if dag["file"] == "scoring.py"}
    assert found == {"score_second": "@hourly"}


def test_it_says_what_it_scores_and_belongs_to_its_model(described: Described) -> None:
    dag = described["dags"]["score_second"]
    assert "`s3://lake/customers/`" in dag["doc"] and "by size" in dag["doc"]
    assert set(dag["tags"]) == {"perennial", "scoring", "second"}
    assert (dag["owner"], dag["catchup"], dag["max_active_runs"]) == ("perennial", False, 1)
    assert all(task["doc"] for name, task in dag["tasks"].items() if name != "engine")


def test_functions_or_spark_or_nothing_follow_from_what_is_new(tasks: Described) -> None:
    assert before(tasks, "engine") == {"find"}
    for way in ("request", "hand_over", "nothing_new"):
        assert "engine" in before(tasks, way)
    assert before(tasks, "wait") == {"request"}
    assert before(tasks, "spark") == {"hand_over"}


def test_either_way_ends_with_the_check_and_then_the_summary(tasks: Described) -> None:
    assert before(tasks, "check") == {"wait", "spark"}
    assert tasks["check"]["rule"] == "none_failed_min_one_success"
    assert before(tasks, "summary") == {"check"}


def test_waiting_takes_no_worker_and_has_an_end(tasks: Described) -> None:
    settings = tasks["wait"]["settings"]
    assert (settings["mode"], settings["timeout"]) == ("reschedule", "21600.0")
    assert (settings["poke_interval"], settings["max_wait"]) == ("5.0", "0:01:00")
    assert settings["exponential_backoff"] == "True"
    assert "BaseSensorOperator" in tasks["wait"]["kinds"]


def test_no_failure_of_a_scoring_goes_untold(tasks: Described) -> None:
    assert tasks["report_failure"]["rule"] == "one_failed"
    assert before(tasks, "report_failure") == set(tasks) - {"report_failure"}


def test_without_an_application_spark_is_a_step_on_this_machine(tasks: Described) -> None:
    assert "EmrServerlessStartJobOperator" not in tasks["spark"]["kinds"]


def test_with_an_application_spark_runs_there_and_takes_no_worker(on_emr: Described, tasks: Described) -> None:
    spark = on_emr["spark"]
    assert "EmrServerlessStartJobOperator" in spark["kinds"]
    assert spark["settings"]["deferrable"] == "True"
    assert (spark["settings"]["application_id"], spark["settings"]["execution_role_arn"]) == ("00f1", ROLE)
    assert "hand_over" in spark["settings"]["job_driver"]
    assert {name: each["downstream"] for name, each in on_emr.items()} == {
        name: each["downstream"] for name, each in tasks.items()
    }


def test_reading_the_file_brings_nothing_heavy(described: Described) -> None:
    assert described["import_errors"] == {}
    assert HEAVY & set(described["imported"]) == set()


@pytest.fixture
def server() -> Iterator[str]:
    """Where moto answers, on a free port."""
    found = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    found.start()
    host, port = found.get_host_and_port()
    yield f"http://{host}:{port}"
    found.stop()


LATE = """
import sys
from airflow.sdk import DAG

sys.path.append({dags!r})
from perennial_wiring import POLICY, place_of, report_failures, specs, steps_of
from scoring import find, request, wait

(file,) = specs()
place = place_of(file)
once = {{**POLICY, "default_args": {{"owner": "perennial", "retries": 0}}}}
with DAG("late", schedule=None, **once) as late:
    find(place) >> request(place) >> wait.override(timeout=0)(place)
report_failures(late, steps_of(file))
"""


def test_a_run_whose_time_is_over_names_the_files_that_did_not_come(server: str, tmp_path: Path) -> None:
    folder = tmp_path / "dags"
    folder.mkdir()
    (folder / "late.py").write_text(LATE.format(dags=str(DAGS)))
    env = environment(
        tmp_path, "batch/nightly/", PERENNIAL_PYTHON=sys.executable, PERENNIAL_BUCKET="models",
        AIRFLOW__CORE__DAGS_FOLDER=str(folder), **access(server),
    )  # fmt: skip
    boto3.client("s3", endpoint_url=server, region_name="us-east-1", **KEYS).create_bucket(Bucket="models")
    store = open_store(Settings(bucket="models", aws_endpoint_url=server))
    promote(store, build(load_spec(tmp_path / "model.yaml")))
    for name in ("one.csv", "two.csv"):
        store.put_new(f"{keys.batch_source('second', 'batch/nightly/')}{name}", b"x\n1\n")
    with dag_runs(env, folder) as runs:
        run = runs.run("late")
    assert (run.state, run.tasks) == (
        "failed",
        {"find": "success", "request": "success", "wait": "failed", "report_failure": "failed"},
    )
    assert "wait: 2 of 2 files are not scored yet: one.csv, two.csv" in run.log
    assert len(list(store.list(keys.batch_works("second")))) == 0


@pytest.fixture
def emr(server: str) -> Any:
    """A client of moto's EMR Serverless, whose jobs end at once."""
    return boto3.client("emr-serverless", endpoint_url=server, region_name="eu-central-1", **KEYS)


def start(emr: Any, folder: Path, arguments: list[str]) -> tuple[str, Described]:
    """Run the task for an application of its own; returns the application's id, and what came of it."""
    application = emr.create_application(name="perennial", releaseLabel="emr-7.9.0", type="SPARK", clientToken="one")
    env = environment(
        folder, PERENNIAL_SPARK_APPLICATION=application["applicationId"], PERENNIAL_SPARK_ROLE=ROLE,
        **access(emr.meta.endpoint_url),
    )  # fmt: skip
    done = subprocess.run(
        [PYTHON, str(ROOT / "tests/dags/emr_runner.py"), str(DAGS), json.dumps(arguments), str(folder / "came.json")],
        env=env, cwd=folder, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    came: Described = json.loads((folder / "came.json").read_text())
    return application["applicationId"], came


ARGUMENTS = ["--bucket", "models", "--model", "second", "--run", "scheduled-1"]


def test_a_job_is_started_on_emr_serverless_and_waited_for_by_the_triggerer(emr: Any, tmp_path: Path) -> None:
    application, came = start(emr, tmp_path, ARGUMENTS)
    assert (came["trigger"], came["timeout"], came["said"]) == ("EmrServerlessStartJobTrigger", 12 * 3600, {})
    (listed,) = emr.list_job_runs(applicationId=application)["jobRuns"]
    assert listed["id"] == came["job"]
    job = emr.get_job_run(applicationId=application, jobRunId=came["job"])["jobRun"]
    assert job["jobDriver"]["sparkSubmit"]["entryPointArguments"] == ARGUMENTS
    entry = job["jobDriver"]["sparkSubmit"]["entryPoint"]
    assert (
        f"COPY infra/spark/score.py {entry.removeprefix('local://')}\n" in (ROOT / "infra/spark/Dockerfile").read_text()
    )
    assert (job["executionRole"], job["name"]) == (ROLE, "perennial second")
    assert job["executionTimeoutMinutes"] == 12 * 60


def test_a_job_that_fails_there_fails_the_task_and_says_why(
    emr: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("moto.emrserverless.models.JOB_STATUS", "FAILED")
    _, came = start(emr, tmp_path, ARGUMENTS)
    assert came["failed"].startswith("The job of Spark failed: Serverless Job failed")
    assert came["said"] == {"error": came["failed"]}
