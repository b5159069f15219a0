"""Whose a stack is by its name and its parameters, and in which order those of a stage go."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from moto import mock_aws

from perennial.deploy.adoption import takes_up
from perennial.deploy.aws import Aws
from perennial.deploy.destroy import destroy
from perennial.deploy.ours import stacks_of
from perennial.deploy.stack import apply_stack
from perennial.deploy.trust import cloud_key
from perennial.errors import DeployError

CALLER = "arn:aws:iam::123456789012:role/of-the-pipeline"


@pytest.fixture
def aws() -> Iterator[Aws]:
    with mock_aws():
        yield Aws(access_key="testing", secret_key="testing")


def template(**parameters: str) -> str:
    """One of ours: a topic, whose ARN is its output, or what ``told`` says instead."""
    told = parameters.pop("told", "")
    return json.dumps({
        "Description": "Perennial - test",
        "Parameters": {name: {"Type": "String"} for name in parameters},
        "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
        "Outputs": {"Arn": {"Value": told or {"Ref": "Topic"}}},
    })  # fmt: skip


def begin(aws: Aws, name: str, stage: str, *, told: str = "", role: str = "", **parameters: str) -> str:
    """Make a stack; returns its output."""
    given = parameters | {"Stage": stage}
    more: dict[str, Any] = {"RoleARN": role} if role else {}
    client = aws.client("cloudformation")
    client.create_stack(
        StackName=name, TemplateBody=template(told=told, **given), **more,
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in given.items()],
    )  # fmt: skip
    return str(client.describe_stacks(StackName=name)["Stacks"][0]["Outputs"][0]["OutputValue"])


def names(aws: Aws, stage: str) -> list[str]:
    return [stack.name for stack in stacks_of(aws, stage)]


@pytest.mark.parametrize("other", ["prod-signing", "prod-batch", "ci-prod"])
def test_a_stage_is_not_deployed_over_a_companion_of_another(aws: Aws, other: str) -> None:
    """The name of its stack is that of the key, of the jobs or of the pipeline of the stage prod."""
    begin(aws, f"perennial-{other}", "prod")
    for act in (lambda: takes_up(aws, other), lambda: destroy(aws, other, say=print)):
        with pytest.raises(DeployError, match=f"Stack perennial-{other} is of stage prod, not of {other}; nothing was"):
            act()
    assert names(aws, "prod") == [f"perennial-{other}"]


def test_a_companion_is_not_deployed_over_another_stage(aws: Aws) -> None:
    topic = begin(aws, "perennial-prod-signing", "prod-signing")
    for act in (
        lambda: cloud_key(aws, "prod"),
        lambda: apply_stack(aws, "perennial-prod-signing", template(Stage=""), {"Stage": "prod"}),
    ):
        with pytest.raises(DeployError, match=r"perennial-prod-signing is of stage prod-signing, not of prod; nothing"):
            act()
    assert [one["TopicArn"] for one in aws.client("sns").list_topics()["Topics"]] == [topic]


def test_a_stage_that_is_called_like_a_stack_of_keys_can_be_removed(aws: Aws) -> None:
    begin(aws, "perennial-prod-signing", "prod-signing")
    destroy(aws, "prod-signing", say=print)
    assert names(aws, "prod-signing") == []


def test_stacks_go_before_what_they_were_given(aws: Aws) -> None:
    """IAM removes no policy and no boundary that a role of another stack has; nor can a role be taken that is gone."""
    begin(aws, "perennial-ci-prod", "prod", told=CALLER, Repository="a/b", ProviderArn="")
    trainer = begin(aws, "perennial-prod", "prod", role=CALLER)
    jobs = begin(aws, "perennial-prod-batch", "prod", TrainerRoleArn=trainer)
    begin(aws, "perennial-prod-mwaa", "prod", JobsPolicy=jobs)
    begin(aws, "perennial-prod-a", "prod", Empty="")
    expected = [f"perennial-{one}" for one in ("prod-a", "prod-mwaa", "prod-batch", "prod", "ci-prod")]
    assert names(aws, "prod") == expected
    begin(aws, "perennial-prod-eu", "prod-eu")
    said: list[str] = []
    destroy(aws, "prod", say=said.append)
    removed = [line.split()[2] for line in said if line.startswith("Removing")]
    assert removed == expected
    assert names(aws, "prod-eu") == ["perennial-prod-eu"]


def test_the_order_of_what_goes_in_circles_is_that_of_names(aws: Aws) -> None:
    begin(aws, "perennial-prod-a", "prod", told="one", Other="two")
    begin(aws, "perennial-prod-b", "prod", told="two", Other="one")
    assert names(aws, "prod") == ["perennial-prod-a", "perennial-prod-b"]


def test_more_than_a_thousand_versions_and_markers_go(aws: Aws) -> None:
    s3, bucket = aws.client("s3"), "perennial-prod-data-123456789012-us-east-1"
    s3.create_bucket(Bucket=bucket)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    for number in range(520):
        s3.put_object(Bucket=bucket, Key=f"a/{number}", Body=b"")
        s3.delete_object(Bucket=bucket, Key=f"a/{number}")
    s3.create_multipart_upload(Bucket=bucket, Key="unfinished")
    said: list[str] = []
    destroy(aws, "prod", delete_data=True, confirm="prod", say=said.append)
    assert said == [f"Emptied {bucket}: 1040 objects", f"Removed {bucket}"]
