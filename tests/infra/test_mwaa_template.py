"""``infra/mwaa.yaml`` costs nothing without a package, and lets Airflow do what its tasks do and no more."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from perennial import keys
from perennial.deploy.template import read_template

ROOT = Path(__file__).parents[2]
TEMPLATE = ROOT / "infra/mwaa.yaml"
DATA = "arn:${AWS::Partition}:s3:::perennial-${Stage}-data-${AWS::AccountId}-${AWS::Region}/"
WITHOUT_RESOURCE = {  # AWS knows none for them
    "s3:GetAccountPublicAccessBlock", "cloudwatch:PutMetricData", "batch:DescribeJobs", "batch:ListJobs",
}  # fmt: skip


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    return read_template(TEMPLATE)


@pytest.fixture(scope="module")
def statements(template: dict[str, Any]) -> list[dict[str, Any]]:
    """Of the role itself, and of the policy that infra/batch.yaml has for it."""
    documents = [
        policy["PolicyDocument"] for policy in template["Resources"]["ExecutionRole"]["Properties"]["Policies"]
    ]
    documents.append(
        read_template(ROOT / "infra/batch.yaml")["Resources"]["SubmitJobs"]["Properties"]["PolicyDocument"]
    )
    return [statement for document in documents for statement in document["Statement"]]


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def allowed(statements: list[dict[str, Any]], action: str) -> Iterator[str]:
    for statement in statements:
        if action in as_list(statement["Action"]):
            for place in as_list(statement.get("Resource", [])):
                yield str(place["Fn::Sub"] if isinstance(place, dict) and "Fn::Sub" in place else place)


def test_it_is_readable() -> None:
    assert len(TEMPLATE.read_text().splitlines()) <= 400


def test_without_a_package_there_is_nothing_that_costs_anything(template: dict[str, Any]) -> None:
    unconditional = {each["Type"] for each in template["Resources"].values() if "Condition" not in each}
    assert unconditional == {"AWS::S3::Bucket", "AWS::S3::BucketPolicy", "AWS::IAM::Role"}
    assert template["Parameters"]["RequirementsVersion"]["Default"] == ""
    assert template["Conditions"]["MakesNetwork"] == {
        "Fn::And": [{"Condition": "HasPackage"}, {"Condition": "OwnNetwork"}]
    }


def test_the_smallest_class_and_the_newest_airflow_that_requirements_are_made_for(template: dict[str, Any]) -> None:
    parameters = template["Parameters"]
    assert parameters["EnvironmentClass"]["Default"] == "mw1.micro"
    constraints = (ROOT / "airflow/constraints.txt").read_text().splitlines()
    assert f"apache-airflow=={parameters['AirflowVersion']['Default']}" in constraints


def test_actions_are_named_and_so_are_resources_where_aws_knows_any(statements: list[dict[str, Any]]) -> None:
    for statement in statements:
        actions = set(as_list(statement["Action"]))
        assert not any("*" in action for action in actions)
        if "*" in as_list(statement.get("Resource", [])):
            assert actions <= WITHOUT_RESOURCE
        if "NotResource" in statement:
            assert all(action.startswith("kms:") for action in actions) and statement["Condition"]


@pytest.mark.parametrize("log", ["DAGProcessing", "Scheduler", "Task", "WebServer", "Worker"])
def test_every_log_is_made_before_the_environment_and_ends_some_day(template: dict[str, Any], log: str) -> None:
    name = {"Fn::Sub": f"airflow-perennial-${{Stage}}-{log}"}
    (logical,) = [
        logical for logical, each in template["Resources"].items()
        if each["Type"] == "AWS::Logs::LogGroup" and each["Properties"]["LogGroupName"] == name
    ]  # fmt: skip
    assert template["Resources"][logical]["Properties"]["RetentionInDays"] == {"Ref": "LogRetentionDays"}
    assert logical in template["Resources"]["Environment"]["DependsOn"]


def test_tasks_that_wait_hold_no_place(template: dict[str, Any]) -> None:
    options = template["Resources"]["Environment"]["Properties"]["AirflowConfigurationOptions"]
    assert options["operators.default_deferrable"] == "True"


def test_what_steps_beside_airflow_write_is_allowed_and_no_more(statements: list[dict[str, Any]]) -> None:
    writable = [place.removeprefix(DATA) for place in allowed(statements, "s3:PutObject")]
    for key in (
        keys.training_lock("m"), keys.job_spec("m", "0" * 64), keys.notice("m", "event"),
        keys.notice_sent("m", "event"),
    ):  # fmt: skip
        assert any(fnmatchcase(key, pattern) for pattern in writable), key
    for key in (
        keys.alias("m", "champion"), keys.log_entry("m", 1), keys.version_manifest("m", "v"),
        keys.registry_blob("m", "0"), keys.landing("m", "a.csv"), keys.approval("m", "v"), keys.FEEDBACK_KEY,
        keys.job_result("m", "run", "job"), keys.outcome("m", "0"),
    ):  # fmt: skip
        assert not any(fnmatchcase(key, pattern) for pattern in writable), key


def test_results_of_jobs_are_read(statements: list[dict[str, Any]]) -> None:
    readable = [place.removeprefix(DATA) for place in allowed(statements, "s3:GetObject")]
    for key in (keys.job_result("m", "run", "job"), keys.batch_result("m", "w")):
        assert any(fnmatchcase(key, pattern) for pattern in readable), key
    assert not any(fnmatchcase(keys.landing("m", "a.csv"), pattern) for pattern in readable)


def test_jobs_of_other_stages_are_out_of_reach(statements: list[dict[str, Any]]) -> None:
    places = [place for place in allowed(statements, "batch:SubmitJob") if "GetAtt" not in place]
    assert places and all("/perennial-${Stage}-" in place for place in places)
