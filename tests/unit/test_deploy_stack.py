from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError
from botocore.stub import Stubber

from perennial.deploy import session, stack
from perennial.deploy.aws import Aws, aws_errors
from perennial.deploy.ministack import MiniStack
from perennial.deploy.package import ROOT, Package
from perennial.deploy.preparation import site_origin
from perennial.deploy.up import LocalStack
from perennial.errors import DeployError
from perennial.settings import STACK_FILE

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def event(resource: str, status: str, reason: str) -> dict[str, Any]:
    return {
        "StackId": "id", "EventId": resource, "StackName": "perennial-prod", "Timestamp": NOW,
        "LogicalResourceId": resource, "ResourceStatus": status, "ResourceStatusReason": reason,
    }  # fmt: skip


def test_a_failed_stack_names_the_resource_that_failed_first(monkeypatch: pytest.MonkeyPatch) -> None:
    client = boto3.client("cloudformation", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b")
    statuses = ["CREATE_IN_PROGRESS", "ROLLBACK_IN_PROGRESS", "ROLLBACK_COMPLETE"]
    with Stubber(client) as stub:
        stub.add_response("create_stack", {"StackId": "id"})
        for status in statuses:
            described = {"StackName": "perennial-prod", "CreationTime": NOW, "StackStatus": status}
            stub.add_response("describe_stacks", {"Stacks": [described]})
        newest_first = [
            event("Api", "DELETE_COMPLETE", ""),
            event("Api", "CREATE_FAILED", "Resource creation cancelled"),
            event("DataBucket", "CREATE_FAILED", "perennial-prod-data already exists"),
        ]
        stub.add_response("describe_stack_events", {"StackEvents": newest_first})
        monkeypatch.setattr(Aws, "client", lambda self, service: client)
        with pytest.raises(DeployError, match="ROLLBACK_COMPLETE: DataBucket: perennial-prod-data already"):
            stack._apply(Aws(), "perennial-prod", "{}", {})


def test_a_nested_stack_that_failed_names_the_resource_within_it(monkeypatch: pytest.MonkeyPatch) -> None:
    client = boto3.client("cloudformation", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b")
    arn = "arn:aws:cloudformation:us-east-1:1:stack/perennial-prod-Storage/1"
    inner = {"PhysicalResourceId": arn, "ResourceType": "AWS::CloudFormation::Stack"}
    embedded = event("Storage", "CREATE_FAILED", "Embedded stack was not successfully created") | inner
    bucket = event("DataBucket", "CREATE_FAILED", "already exists") | {"ResourceType": "AWS::S3::Bucket"}
    itself = event("perennial-prod-Storage", "CREATE_FAILED", "[DataBucket]") | inner | {"StackId": arn}
    with Stubber(client) as stub:
        described = {"StackName": "perennial-prod", "CreationTime": NOW, "StackStatus": "ROLLBACK_COMPLETE"}
        stub.add_response("describe_stacks", {"Stacks": [described]})
        stub.add_response("describe_stack_events", {"StackEvents": [embedded]}, {"StackName": "perennial-prod"})
        stub.add_response("describe_stack_events", {"StackEvents": [itself, bucket]}, {"StackName": arn})
        monkeypatch.setattr(Aws, "client", lambda self, service: client)
        with pytest.raises(DeployError, match="Storage: DataBucket: already exists"):
            stack.deployed(Aws(), "prod")


def test_an_unchanged_stack_is_a_success(monkeypatch: pytest.MonkeyPatch) -> None:
    client = boto3.client("cloudformation", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b")
    outputs = [{"OutputKey": "ApiId", "OutputValue": "abc"}]
    done = {"StackName": "p", "CreationTime": NOW, "StackStatus": "UPDATE_COMPLETE", "Outputs": outputs}
    with Stubber(client) as stub:
        stub.add_client_error("create_stack", "AlreadyExistsException")
        stub.add_client_error("update_stack", "ValidationError", "No updates are to be performed.")
        stub.add_response("describe_stacks", {"Stacks": [done]})
        monkeypatch.setattr(Aws, "client", lambda self, service: client)
        assert stack._apply(Aws(), "p", "{}", {}) == {"ApiId": "abc"}


OUTPUTS = {
    "ApiUrl": "https://abc.execute-api.us-east-1.amazonaws.com",
    "ApiId": "abc",
    "ApiFunctionName": "perennial-prod-api",
    "CaptureFunctionName": "perennial-prod-capture",
    "TopicArn": "arn:aws:sns:us-east-1:123456789012:perennial-prod-notices",
    "LandingQueueUrl": "https://sqs.us-east-1.amazonaws.com/123456789012/perennial-prod-landing",
    "ScoreFunctionName": "perennial-prod-score",
    "ScoringQueueUrl": "https://sqs.us-east-1.amazonaws.com/123456789012/perennial-prod-scoring",
    "ScoringDeadQueueUrl": "https://sqs.us-east-1.amazonaws.com/123456789012/perennial-prod-scoring-dead",
    "BucketName": "data",
    "SiteBucketName": "pages",
    "SiteUrl": "https://pages.s3.us-east-1.amazonaws.com/index.html",
}


def test_on_aws_the_addresses_are_those_of_aws() -> None:
    deployed = stack._deployed(None, OUTPUTS)
    assert (deployed.api_url, deployed.site_url) == (OUTPUTS["ApiUrl"], OUTPUTS["SiteUrl"])
    assert (deployed.topic_arn, deployed.landing_queue) == (OUTPUTS["TopicArn"], OUTPUTS["LandingQueueUrl"])


def test_on_an_emulator_they_are_its_own_and_of_two_origins() -> None:
    deployed = stack._deployed("http://127.0.0.1:4566", OUTPUTS)
    assert deployed.api_url == "http://127.0.0.1:4566/_aws/execute-api/abc/$default"
    assert deployed.site_url == "http://localhost:4566/pages/index.html"
    assert deployed.landing_queue == "http://127.0.0.1:4566/123456789012/perennial-prod-landing"
    assert deployed.scoring_queue == "http://127.0.0.1:4566/123456789012/perennial-prod-scoring"
    assert deployed.scoring_dead_queue == "http://127.0.0.1:4566/123456789012/perennial-prod-scoring-dead"
    assert site_origin("http://emulator:4566/") == "http://emulator:4566"


def test_a_damaged_record_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / STACK_FILE
    path.parent.mkdir()
    whole = dict.fromkeys((field.name for field in fields(LocalStack) if field.name != "endpoint_url"), "x")
    whole |= {"aws_endpoint_url": "x", "token": "x"}
    damaged = [{"bucket": "b"}, whole, whole | {"pid": "12"}, whole | {"pid": 0}, whole | {"pid": 12, "bucket": None}]
    for text in ("{", "[]", "7", *map(json.dumps, damaged)):
        path.write_text(text)
        with pytest.raises(DeployError, match=r"stack\.json: damaged\. Run `make down`"):
            session.read(tmp_path)
    path.write_text(json.dumps(whole | {"pid": 12}))
    found = session.read(tmp_path)
    assert found is not None and found.stack.landing_queue == "x"
    path.unlink()
    assert session.read(tmp_path) is None


def test_a_stack_of_an_earlier_release_says_what_to_do() -> None:
    outputs = {name: value for name, value in OUTPUTS.items() if name != "TopicArn"}
    with pytest.raises(DeployError, match=r"no output TopicArn.*deploy it again"):
        stack._deployed(None, outputs)


def run_deploy(home: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """The command in an environment without a trace of AWS."""
    nothing = {"HOME": str(home), "PATH": os.defpath, "AWS_EC2_METADATA_DISABLED": "true"}
    command = [sys.executable, "-m", "perennial.deploy", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=home, env=nothing | env)


@pytest.mark.parametrize("verb", ["cloud", "publish"])
def test_without_credentials_one_line_says_what_to_do(tmp_path: Path, verb: str) -> None:
    result = run_deploy(tmp_path, verb)
    assert result.returncode == DeployError.exit_code
    (line,) = result.stderr.splitlines()
    assert "Unable to locate credentials" in line and "AWS_PROFILE" in line


@pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"])
@pytest.mark.parametrize("verb", ["cloud", "publish"])
def test_the_cloud_is_never_mistaken_for_a_local_stack(tmp_path: Path, verb: str, name: str) -> None:
    leftover = {name: "http://127.0.0.1:9", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    result = run_deploy(tmp_path, verb, **leftover)
    assert result.returncode == DeployError.exit_code
    (line,) = result.stderr.splitlines()
    assert f"{name}=http://127.0.0.1:9" in line and "unset AWS_ENDPOINT_URL" in line
    assert "PERENNIAL_TRUSTED_KEYS" in line  # or the cloud would come to trust this machine's key


def test_an_unknown_profile_is_one_line(tmp_path: Path) -> None:
    result = run_deploy(tmp_path, "cloud", AWS_PROFILE="nobody")
    assert result.returncode == DeployError.exit_code
    assert "nobody" in result.stderr and len(result.stderr.splitlines()) == 1


def test_whatever_boto_raises_becomes_one_line(tmp_path: Path) -> None:
    package = Package(tmp_path, "d" * 64, 1.0, True)
    nowhere = Aws("http://127.0.0.1:9", access_key="a", secret_key="b")
    with pytest.raises(DeployError, match=r"127\.0\.0\.1:9.*Is it running\?"):
        stack.deploy(nowhere, {"api": package, "score": package}, ROOT / "template.yaml")


def test_aws_itself_is_not_asked_whether_it_runs() -> None:
    unreachable = EndpointConnectionError(endpoint_url="https://sts.us-east-1.amazonaws.com/")
    with pytest.raises(DeployError, match=r"sts\.us-east-1.*Is this machine online"), aws_errors():
        raise unreachable


def test_what_was_deployed_is_found_again(monkeypatch: pytest.MonkeyPatch) -> None:
    client = boto3.client("cloudformation", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b")
    outputs = [{"OutputKey": key, "OutputValue": value} for key, value in OUTPUTS.items()]
    described = {"StackName": "p", "CreationTime": NOW, "StackStatus": "UPDATE_COMPLETE", "Outputs": outputs}
    monkeypatch.setattr(Aws, "client", lambda self, service: client)
    with Stubber(client) as stub:
        stub.add_response("describe_stacks", {"Stacks": [described]}, {"StackName": "perennial-test"})
        assert stack.deployed(Aws(), "test").site_bucket == "pages"
        stub.add_client_error("describe_stacks", "ValidationError", "Stack with id perennial-test does not exist")
        with pytest.raises(DeployError, match="perennial-test does not exist"):
            stack.deployed(Aws(), "test")


def test_without_its_environment_the_emulator_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DeployError, match=r"nowhere/python does not exist\. Run `make setup`"):
        MiniStack(tmp_path, python=tmp_path / "nowhere/python").start()


def test_an_emulator_that_dies_at_once_names_its_log(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho broken\nexit 1\n")
    python.chmod(0o755)
    with pytest.raises(DeployError, match=r"did not start; see .*ministack\.log"):
        MiniStack(tmp_path / "stack", python=python).start()
    assert "broken" in (tmp_path / "stack/ministack.log").read_text()


def test_the_emulator_sees_none_of_a_developer_s_aws_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_ENDPOINT_URL", "PYTHONPATH"):
        monkeypatch.setenv(name, "private")
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nenv\nexit 1\n")
    python.chmod(0o755)
    with pytest.raises(DeployError):
        MiniStack(tmp_path / "stack", python=python).start()
    log = (tmp_path / "stack/ministack.log").read_text()
    assert "BIND_HOST=127.0.0.1" in log
    assert "private" not in log
