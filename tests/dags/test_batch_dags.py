"""Steps as jobs on AWS Batch: DAGs that wait for them as no process, and jobs that do what was submitted for real."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from perennial.datasets.landing import land
from perennial.deploy.scheduler import environment
from perennial.deploy.up import LocalStack
from perennial.jobs.local import FINAL
from perennial.jobs.outcomes import last_training
from perennial.registry.check import check
from perennial.registry.registry import Registry
from perennial.spec import load_spec
from perennial.store import Store
from tests.support import dag_files
from tests.support.batch_jobs import FAILED, Batch, batch
from tests.support.dag_runs import dag_runs
from tests.support.iam_batch import HOLDER, rights
from tests.support.iam_statements import refused, unused
from tests.support.shop import SPEC, write_rows
from tests.support.stack import stack, store

__all__ = ["stack", "store"]

pytestmark = pytest.mark.timeout(600)  # a stack and Airflow start here, and each task and each job is a process

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".local/envs/airflow/bin/python"
DAGS = ROOT / "airflow/dags"
Described = dict[str, Any]
ITSELF = {HOLDER: frozenset([HOLDER])}
JOB = "job: {runner: batch, vcpu: 0.5, memory: 2 GB, timeout: 1h, train: {vcpu: 2, memory: 8 GB, timeout: 2h}}\n"
BATCH = SPEC.replace("name: shop", "name: batch-shop") + "retrain: {schedule: null}\nmonitor: {schedule: null}\n" + JOB
WAITS = {6, 10}
BESIDE = {"acquire", "release", "report_failure"}
ROLES = {"TrainerRoleArn": "arn:aws:iam::000000000000:role/t", "PromoterRoleArn": "arn:aws:iam::000000000000:role/p"}


def jobs_of(server: Batch, queue: str) -> list[Any]:
    """All jobs of a queue as Batch describes them, in the order of their submission."""
    api = server.client("batch")
    found = [api.list_jobs(jobQueue=queue, jobStatus=state)["jobSummaryList"] for state in ("SUCCEEDED", "FAILED")]
    ids = [one["jobId"] for several in found for one in several]
    jobs = api.describe_jobs(jobs=ids)["jobs"] if ids else []
    return sorted(jobs, key=lambda one: one["createdAt"])


@pytest.fixture
def deployed(stack: LocalStack, tmp_path: Path) -> Iterator[Batch]:
    """Batch, whose jobs act on the shared stack under the roles that it declares."""
    cloudformation = stack.aws().client("cloudformation")
    (root,) = cloudformation.describe_stacks(StackName="perennial-local")["Stacks"]
    roles = {one["OutputKey"]: one["OutputValue"] for one in root["Outputs"] if one["OutputKey"] in ROLES}
    with batch(tmp_path / "jobs", stack) as server:
        server.deploy(
            ApiUrl=stack.api_url, SiteUrl=stack.site_url, TrustedKeys=stack.trusted_keys,
            SigningKey=stack.signing_key, **roles,
        )  # fmt: skip
        yield server


def test_a_training_of_jobs_ends_with_a_champion_and_one_that_fails_says_why(
    deployed: Batch, stack: LocalStack, store: Store, tmp_path: Path
) -> None:
    specs = tmp_path / "specs"
    for name, text in {"good": BATCH, "bad": BATCH.replace("name: batch-shop", "name: empty-shop")}.items():
        (specs / name).mkdir(parents=True)
        (specs / name / "model.yaml").write_text(text)
    spec = load_spec(specs / "good/model.yaml")
    land(store, spec, write_rows(tmp_path / "rows.csv", 400, 1))
    bare = str(PYTHON)  # Airflow's own environment has no training library, and no other is named
    env = {**environment(stack, str(specs), tmp_path / "home"), **deployed.environment(), "PERENNIAL_PYTHON": bare}
    with dag_runs(env) as runs:
        good, bad = runs.run("train_batch-shop"), runs.run("train_empty-shop")

    assert good.state == "success", good.log[-6000:]
    head = Registry(store).head(spec.name)
    outcome = last_training(store, spec.name)
    assert head is not None and outcome is not None and outcome.promoted
    assert (head.version, head.generation) == (outcome.version, 1)
    assert check(store, spec.name) == ()

    jobs = [job for job in jobs_of(deployed, deployed.outputs["JobQueue"]) if job["jobName"].startswith("batch-shop")]
    done = [job for job in jobs if job["status"] == "SUCCEEDED"]
    told = [(job["jobName"], job["statusReason"], job["container"].get("exitCode")) for job in jobs if job not in done]
    assert {code for *_, code in told} <= WAITS, told  # a machine that is too busy is waited for
    steps = [job["container"]["command"][3] for job in done]
    assert steps == [
        "collect", "snapshot", "train", "train", "select", "register", "gate", "promote", "smoke", "conclude",
    ]  # fmt: skip
    roles = {step: job["jobDefinition"].rpartition("/")[2] for step, job in zip(steps, done, strict=True)}
    assert {step for step, name in roles.items() if "promoter" in name} == {"gate", "promote", "smoke", "conclude"}
    assert all(job["container"]["command"] in deployed.ran for job in done)
    assert "trained logistic" in good.log or "cross-validation" in good.log  # what jobs logged is in the tasks' log

    assert refused(rights(), deployed.asked, ITSELF) == []
    submitted = {call.resource.partition("/")[2] for call in deployed.asked if call.action == "batch:SubmitJob"}
    assert any(name.startswith("perennial-local-promoter") for name in submitted)

    assert bad.state == "failed"
    assert bad.tasks["snapshot"] == "failed" and bad.tasks["report_failure"] == "failed"
    (job,) = [job for job in jobs_of(deployed, deployed.outputs["JobQueue"]) if "empty-shop-snapshot" in job["jobName"]]
    code = job["container"]["exitCode"]
    (said,) = set(re.findall(r"snapshot: (Step snapshot failed with exit code .*?\(job [0-9a-f-]+\))", bad.log))
    assert said.startswith(f"Step snapshot failed with exit code {code}: ") and job["jobId"] in said
    assert "empty-shop/landing/" in said and code in FINAL  # tried once


class Tasks:
    """A process of Airflow's environment that has a task on Batch done, in the way that a word says."""

    def __init__(self, server: Batch, folder: Path) -> None:
        (folder / "model.yaml").write_text(SPEC + JOB)
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        access = {"AWS_ENDPOINT_URL": server.url, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
        airflow = {
            "AIRFLOW_HOME": str(folder),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{folder}/airflow.db",
            "AWS_REGION": "us-east-1",
            "PERENNIAL_BUCKET": "models",
            "PERENNIAL_LANDING_QUEUE": "",
            "PERENNIAL_SPECS": str(folder / "model.yaml"),
        }
        self.log = folder / "task.log"
        self._process = subprocess.Popen(
            [PYTHON, str(ROOT / "tests/dags/batch_runner.py"), str(DAGS)], cwd=folder, text=True,
            env={**kept, **airflow, **access, **server.environment()},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log.open("w"),
        )  # fmt: skip

    def do(self, word: str) -> Described:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, self.log.read_text()[-4000:]
        found: Described = json.loads(answer)
        return found

    def end(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(30)


def test_a_job_is_found_again_ended_with_its_task_and_tried_again_only_where_that_helps(tmp_path: Path) -> None:
    with batch(tmp_path / "jobs") as server:
        server.deploy(ApiUrl="https://api", SiteUrl="https://site", TrustedKeys="unsigned", **ROLES)
        server.client("s3").create_bucket(Bucket="models")
        api, tasks = server.client("batch"), Tasks(server, tmp_path)

        server.hold = True
        first = tasks.do("submit")
        assert first["trigger"] == "StepTrigger"
        assert first["seconds"] >= 5 * 3600  # of five attempts of an hour each
        (job,) = api.describe_jobs(jobs=[first["job"]])["jobs"]
        assert job["timeout"] == {"attemptDurationSeconds": 3600}
        assert job["container"]["command"][:4] == ["python", "-m", "perennial.jobs", "select"]
        assert server.sizes(first["job"]) == {"VCPU": "0.5", "MEMORY": "2048"}
        assert tasks.do("submit")["job"] == first["job"]  # its worker died: a second one finds the job

        killed = tasks.do("kill")
        assert killed["job"] == first["job"] and "ended or cleared" in killed["failed"]
        assert killed["final"] is False

        server.hold, server.spoil = False, (137, FAILED, "OutOfMemoryError: Container killed due to memory usage")
        small = tasks.do("run")
        assert small["job"] != first["job"]
        assert small["final"] is True and "Set the spec's job.memory" in small["failed"]
        assert small["kept"] == small["failed"]  # for the task that tells people

        server.spoil = (None, "Host EC2 (instance i-0abc) terminated.", "")
        taken = tasks.do("run")
        assert taken["final"] is False and "taken away in every attempt" in taken["kept"]

        server.spoil = (0, "", "")
        empty = tasks.do("run")
        assert "left no result" in empty["failed"]

        api.update_job_queue(jobQueue=server.outputs["JobQueue"], state="DISABLED")
        api.delete_job_queue(jobQueue=server.outputs["JobQueue"])
        gone = tasks.do("run")
        assert gone["final"] is True and "AWS Batch did not take the job" in gone["failed"]
        tasks.end()

        assert refused(rights(), server.asked, ITSELF) == []
        left = {right.pattern.rpartition("/")[2] for right in unused(rights(), server.asked, ITSELF)}
        # A whole training has those of the promoter; moto has no machines for large ones.
        assert left == {"perennial-local-promoter*", "perennial-local-large-jobs", "perennial-local-large-trainer*"}


def test_a_spec_for_batch_has_the_same_dag_whose_steps_are_operators_of_batch(tmp_path: Path) -> None:
    from tests.dags.conftest import SECOND

    described: list[Described] = []
    for name, more in (("here", ""), ("there", JOB)):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "model.yaml").write_text(SECOND + more)
        none = {"PERENNIAL_LANDING_QUEUE": "", "PERENNIAL_SPARK_APPLICATION": ""}
        described.append(dag_files.described(folder, {**os.environ, **none, "PERENNIAL_SPECS": str(folder)}))
    here, there = described
    assert there["import_errors"] == {}
    on_batch = {name: on_jobs(dag) for name, dag in there["dags"].items()}
    assert on_batch["train_second"] == {
        "collect", "snapshot", "train", "select", "register", "gate", "request_approval", "answer", "promote", "smoke",
        "rollback", "conclude",
    }  # fmt: skip
    assert {"check", "quality", "drift", "performance", "retain", "summary"} <= on_batch["monitor_second"]
    assert on_batch["score_second"] == {"find", "request", "hand_over", "check", "summary"}
    for name, dag in there["dags"].items():
        assert not BESIDE & on_batch[name]
        for task_id, task in dag["tasks"].items():
            was = here["dags"][name]["tasks"][task_id]
            assert (task["downstream"], task["rule"], task["retries"], task["mapped"], task["doc"]) == (
                was["downstream"], was["rule"], was["retries"], was["mapped"], was["doc"],
            )  # fmt: skip
    assert there["dags"]["train_second"]["tasks"]["train"]["mapped"]


def on_jobs(dag: Described) -> set[str]:
    """The tasks that run as jobs; what a mapped one is stands in its settings alone."""
    tasks = dag["tasks"].items()
    return {name for name, task in tasks if "BatchOperator" in task["kinds"] or "StepOnBatch" in task["operator"]}
