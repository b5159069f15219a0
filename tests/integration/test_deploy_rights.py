"""What a deployment asks of AWS, recorded while it runs, is what ``infra/ci.yaml`` lets the pipeline's role ask."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from perennial.deploy.aws import Aws
from perennial.deploy.form import build_form
from perennial.deploy.ministack import MiniStack
from perennial.deploy.package import build_packages
from perennial.deploy.site import publish
from perennial.deploy.smoke import site_of, smoke
from perennial.deploy.stack import deploy
from perennial.deploy.template import read_template
from perennial.deploy.trust import PARAMETER, local_key
from perennial.deploy.up import BUILD, TEMPLATE
from perennial.serving.presign import upload_address
from tests.support.templates import ROOT

ACTIONS = {
    "s3:HeadBucket": "s3:ListBucket", "s3:ListObjectsV2": "s3:ListBucket", "s3:HeadObject": "s3:GetObject",
    "s3:CreateMultipartUpload": "s3:PutObject", "s3:UploadPart": "s3:PutObject",
    "s3:CompleteMultipartUpload": "s3:PutObject",
}  # fmt: skip
FREE = {"sts:GetCallerIdentity"}
"""What needs no permission."""
EMULATED = {"apigatewayv2:UpdateApi", "s3:PutBucketLifecycleConfiguration", "s3:PutObjectLockConfiguration"}
"""What is done for an emulator alone, after CloudFormation."""
AT_TIMES = {
    "cloudformation:DescribeStackEvents",  # where it fails, for the reason
    "s3:AbortMultipartUpload",  # where an upload is cut off
    "s3:DeleteObject",  # of the page, what it no longer has
    "cloudfront:CreateInvalidation",  # where the page is behind CloudFront
    "iam:PassRole",  # handing CloudFormation its role is no request of its own
}


def allowed() -> set[str]:
    (policy,) = read_template(ROOT / "infra/ci.yaml")["Resources"]["DeployRole"]["Properties"]["Policies"]
    found: set[str] = set()
    for statement in policy["PolicyDocument"]["Statement"]:
        found |= {statement["Action"]} if isinstance(statement["Action"], str) else set(statement["Action"])
    return found


def test_the_pipeline_may_do_what_a_deployment_does_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: set[str] = set()
    real = Aws.client

    def recorded(self: Aws, service: str) -> Any:
        client = real(self, service)
        client.meta.events.register(
            "before-call.*.*",
            lambda model, **rest: asked.add(f"{service}:{model.name}"),
            unique_id=f"seen-{id(client)}",
        )
        return client

    monkeypatch.setattr(Aws, "client", recorded)
    with MiniStack(tmp_path) as emulator:
        packages = build_packages("local", BUILD, python=emulator.python)
        for rate in ("50", "60"):  # made, then changed
            parameters = {PARAMETER: local_key().public.text, "RequestRate": rate}
            stack = deploy(emulator.aws, packages, TEMPLATE, parameters=parameters)
            uploads = upload_address(emulator.aws.settings(stack.bucket))
            publish(emulator.aws.client("s3"), stack.site_bucket, build_form(), stack.api_url, uploads)
        smoke(site_of(emulator.aws, "local"), lambda line: None)
    needed = {ACTIONS.get(one, one) for one in asked} - FREE - EMULATED
    assert needed <= allowed(), needed - allowed()
    assert allowed() <= needed | AT_TIMES, allowed() - needed - AT_TIMES
