"""What ``make deploy`` says at its end lets the command line train, sign and promote for that stage."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from perennial.deploy.aws import Aws
from perennial.deploy.exports import exports
from perennial.settings import Settings
from tests.support.signing import signer

NAME = "perennial-prod"
ARN = "arn:aws:kms:eu-west-1:123456789012:key/1234"
OUTPUTS = {
    "ApiUrl": "https://abc.execute-api.eu-west-1.amazonaws.com", "ApiId": "abc", "ApiFunctionName": "api",
    "CaptureFunctionName": "capture", "ScoreFunctionName": "score", "BucketName": "data", "SiteBucketName": "pages",
    "SiteUrl": "https://pages.example.org/index.html", "TopicArn": "arn:aws:sns:eu-west-1:123456789012:notices",
    "LandingQueueUrl": "https://sqs/landing", "ScoringQueueUrl": "https://sqs/scoring",
    "ScoringDeadQueueUrl": "https://sqs/dead",
}  # fmt: skip


def described(outputs: dict[str, str], parameters: dict[str, str]) -> dict[str, Any]:
    return {"Stacks": [{
        "StackName": NAME, "StackId": "id", "StackStatus": "CREATE_COMPLETE",
        "CreationTime": datetime(2026, 11, 21, tzinfo=UTC),
        "Outputs": [{"OutputKey": key, "OutputValue": value} for key, value in outputs.items()],
        "Parameters": [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
    }]}  # fmt: skip


def exported(monkeypatch: pytest.MonkeyPatch, parameters: dict[str, str]) -> dict[str, str]:
    """What is said of a stage with AWS Batch beside it and without Spark."""
    client = boto3.client("cloudformation", region_name="eu-west-1", aws_access_key_id="a", aws_secret_access_key="b")
    monkeypatch.setattr(Aws, "client", lambda self, service: client)
    with Stubber(client) as stub:
        stub.add_response("describe_stacks", described(OUTPUTS, parameters), {"StackName": NAME})
        stub.add_response("describe_stacks", described({"JobQueue": "queue"}, {}), {"StackName": f"{NAME}-batch"})
        stub.add_client_error("describe_stacks", "ValidationError", f"Stack with id {NAME}-spark does not exist")
        stub.add_response("describe_stacks", described(OUTPUTS, parameters), {"StackName": NAME})
        return exports(Aws(region="eu-west-1"), "prod")


def test_who_works_on_a_stage_asks_for_the_signatures_that_its_servers_do(monkeypatch: pytest.MonkeyPatch) -> None:
    key = signer().public_key().text
    said = exported(monkeypatch, {"TrustedKeys": key, "SigningKeyArn": ARN, "ApiMegabytes": "2048"})
    settings = Settings.load(said)
    assert (settings.trusted_keys, settings.signing_key, settings.api_megabytes) == (key, f"kms:{ARN}", 2048)
    assert (settings.bucket, settings.region, settings.job_queue) == ("data", "eu-west-1", "queue")
    assert settings.site_url == OUTPUTS["SiteUrl"]
    assert "AWS_ACCESS_KEY_ID" not in said and "AWS_ENDPOINT_URL" not in said


def test_where_no_key_of_kms_signs_none_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    said = exported(monkeypatch, {"TrustedKeys": "unsigned", "SigningKeyArn": "", "ApiMegabytes": "1024"})
    assert said["PERENNIAL_TRUSTED_KEYS"] == "unsigned"
    assert "PERENNIAL_SIGNING_KEY" not in said
