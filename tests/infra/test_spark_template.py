"""``infra/spark`` is valid for AWS, lets a job do what it does and no more, and costs nothing that is not used."""

from __future__ import annotations

import re
import subprocess
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from perennial import keys
from perennial.deploy.template import read_template

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "infra/spark"
TEMPLATE = FOLDER / "template.yaml"
BUCKET = "arn:${AWS::Partition}:s3:::perennial-${Stage}-data-${AWS::AccountId}-${AWS::Region}"


@pytest.fixture(scope="module")
def resources() -> dict[str, Any]:
    found: dict[str, Any] = read_template(TEMPLATE)["Resources"]
    return found


@pytest.fixture(scope="module")
def dockerfile() -> str:
    return (FOLDER / "Dockerfile").read_text()


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def statements(role: dict[str, Any]) -> list[dict[str, Any]]:
    documents = [policy["PolicyDocument"] for policy in role["Properties"]["Policies"]]
    return [statement for document in documents for statement in document["Statement"]]


def allowed(role: dict[str, Any], action: str) -> list[str]:
    """Patterns of the keys of the data bucket for which an action is allowed."""
    places = [
        str(place["Fn::Sub"])
        for statement in statements(role)
        if action in as_list(statement["Action"])
        for place in as_list(statement["Resource"])
        if "Fn::Sub" in place
    ]
    return [place.removeprefix(f"{BUCKET}/") for place in places if place.startswith(f"{BUCKET}/")]


def test_cfn_lint_finds_nothing() -> None:
    command = [str(ROOT / ".venv/bin/cfn-lint"), "--include-checks", "I", "--", str(TEMPLATE)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert (result.returncode, result.stdout) == (0, ""), result.stdout


def test_a_job_may_write_what_it_writes_and_nothing_else(resources: dict[str, Any]) -> None:
    writable = allowed(resources["JobRole"], "s3:PutObject")
    out, refused = keys.batch_out("m", "a/b.csv", "v" * 64, "w" * 32, "csv"), keys.batch_quarantine("m", "a", "v", "w")
    for key in (
        out, refused, keys.batch_folder_part(out, 1), keys.batch_plan("m", "w"), keys.batch_progress("m", "w"),
        keys.batch_part("m", "w", 1), keys.batch_result("m", "w"), keys.batch_piece("m", "w", 1, "scored"),
    ):  # fmt: skip
        assert any(fnmatchcase(key, pattern) for pattern in writable), key
    for key in (
        keys.alias("m", "champion"), keys.log_entry("m", 1), keys.landing("m", "a.csv"), keys.FEEDBACK_KEY,
        keys.batch_in("m", "a.csv"), keys.batch_task("m", "w", "join"), keys.batch_request("m", "w"),
        keys.batch_spark_request("m", "run"), keys.batch_waiting("m") + "a.csv",
    ):  # fmt: skip
        assert not any(fnmatchcase(key, pattern) for pattern in writable), key


def test_a_job_may_read_models_files_and_its_own_and_no_personal_data(resources: dict[str, Any]) -> None:
    readable = allowed(resources["JobRole"], "s3:GetObject")
    assert allowed(resources["JobRole"], "s3:GetObjectVersion") == ["*/batch/*"]
    for key in (
        keys.alias("m", "champion"), keys.version_manifest("m", "v"), keys.registry_blob("m", "0"),
        keys.batch_waiting("m") + "a.csv", keys.batch_in("m", "a.csv"), keys.batch_spark_request("m", "run"),
        keys.batch_piece("m", "w", 1, "scored"), keys.batch_result("m", "w"),
    ):  # fmt: skip
        assert any(fnmatchcase(key, pattern) for pattern in readable), key
    for key in (keys.landing("m", "a.csv"), keys.dataset_blob("m", "0"), keys.FEEDBACK_KEY):
        assert not any(fnmatchcase(key, pattern) for pattern in readable), key
    own, stack = (read_template(path)["Parameters"]["ScoringSource"] for path in (TEMPLATE, ROOT / "template.yaml"))
    assert {**own, "Description": ""} == {**stack, "Description": ""}


def test_no_action_is_a_wildcard_and_nothing_is_deleted(resources: dict[str, Any]) -> None:
    found = statements(resources["JobRole"]) + resources["StartJobs"]["Properties"]["PolicyDocument"]["Statement"]
    for statement in found:
        assert statement["Effect"] == "Allow"
        assert not [one for one in as_list(statement["Action"]) if "*" in one or "Delete" in one]
        assert "*" not in as_list(statement["Resource"])
    (trust,) = resources["JobRole"]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "emr-serverless.amazonaws.com"}
    assert trust["Condition"]["StringEquals"] == {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}


def test_the_application_is_bounded_and_stops_by_itself(resources: dict[str, Any]) -> None:
    application = resources["Application"]["Properties"]
    assert "InitialCapacity" not in application
    assert application["AutoStopConfiguration"] == {"Enabled": True, "IdleTimeoutMinutes": 5}
    assert set(application["MaximumCapacity"]) == {"Cpu", "Memory"}
    (defaults,) = application["RuntimeConfiguration"]
    settings = defaults["Properties"]
    assert settings["spark.dynamicAllocation.maxExecutors"] == {"Fn::Sub": "${MaximumExecutors}"}
    parameters = read_template(TEMPLATE)["Parameters"]
    driver, executor = int(settings["spark.driver.cores"]), int(settings["spark.executor.cores"])
    needed = driver + executor * parameters["MaximumExecutors"]["Default"]
    assert needed <= parameters["MaximumVcpus"]["Default"]
    assert driver + executor <= parameters["MaximumVcpus"]["MinValue"]


def test_a_task_is_tried_as_often_as_the_job_thinks(resources: dict[str, Any]) -> None:
    from perennial.scoring.spark import ATTEMPTS

    (defaults,) = resources["Application"]["Properties"]["RuntimeConfiguration"]
    assert int(defaults["Properties"]["spark.task.maxFailures"]) >= ATTEMPTS


def test_image_and_application_are_of_one_release_and_one_python(resources: dict[str, Any], dockerfile: str) -> None:
    application = resources["Application"]["Properties"]
    assert f"/spark/{application['ReleaseLabel']}:" in dockerfile
    (defaults,) = application["RuntimeConfiguration"]
    pythons = {value for name, value in defaults["Properties"].items() if name.endswith("PYTHON")}
    assert pythons == {"/opt/perennial/bin/python"}
    assert "python3.11 -m venv /opt/perennial" in dockerfile
    assert "src/perennial /opt/perennial/lib/python3.11/site-packages/perennial" in dockerfile


def test_the_image_holds_what_is_locked_and_runs_as_emr_has_it(dockerfile: str) -> None:
    lines = [line for line in dockerfile.splitlines() if not line.startswith("#")]
    assert "--require-hashes" in dockerfile and "requirements/spark-image.txt" in dockerfile
    assert [line for line in lines if line.startswith("USER")][-1] == "USER hadoop:hadoop"
    assert not [line for line in lines if line.startswith(("ENTRYPOINT", "CMD"))]
    copied = re.findall(r"^COPY (\S+)", dockerfile, re.MULTILINE)
    sent = (FOLDER / "Dockerfile.dockerignore").read_text().splitlines()
    assert sorted(copied) == sorted(line[1:] for line in sent if line.startswith("!"))
    assert all((ROOT / path).exists() for path in copied)


def test_airflow_starts_what_lies_in_the_image(dockerfile: str) -> None:
    (entry,) = re.findall(r'^ENTRY = "local://(\S+)"', (ROOT / "airflow/dags/scoring.py").read_text(), re.MULTILINE)
    assert f"COPY infra/spark/score.py {entry}" in dockerfile
