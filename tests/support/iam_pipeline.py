"""A stage as the pipeline deploys it: the roles of ``infra/ci.yaml``, and all that deploying does under them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

from perennial.deploy.authority import Authority
from perennial.deploy.aws import Aws
from perennial.deploy.form import build_form
from perennial.deploy.package import Package, build_packages
from perennial.deploy.site import invalidate, publish
from perennial.deploy.smoke import site_of, smoke
from perennial.deploy.stack import Deployed, deploy, first_failure
from perennial.deploy.trust import SIGNS, signing_arn
from perennial.deploy.up import BUILD, TEMPLATE
from perennial.deploy.uploads import upload
from perennial.errors import DeployError
from perennial.serving.presign import upload_address
from tests.support.iam_template import ACCOUNT
from tests.support.templates import ROOT, all_templates

STAGE = "local"
ROOT_ARN = f"arn:aws:iam::{ACCOUNT}:root"
PROVIDER = f"arn:aws:iam::{ACCOUNT}:oidc-provider/token.actions.githubusercontent.com"
SITE = f"perennial-{STAGE}-site-{ACCOUNT}-us-east-1"
DEPLOYER = f"perennial-ci-{STAGE}-deploy"
EMULATED = ("apigateway:PATCH", "s3:PutBucketObjectLockConfiguration", "s3:PutLifecycleConfiguration")
"""What ``deploy`` does for an emulator alone, after CloudFormation."""


def pipeline(aws: Aws) -> Authority:
    """The roles of ``infra/ci.yaml``; the emulator knows no provider of OpenID Connect, so its root takes them."""
    content = json.loads(json.dumps(all_templates()[ROOT / "infra/ci.yaml"]))
    del content["Resources"]["Provider"]
    body = json.dumps(content).replace(json.dumps({"Ref": "Provider"}), '""')
    values = {"Stage": STAGE, "Repository": "owner/name", "ProviderArn": PROVIDER}
    cloudformation, ci = aws.client("cloudformation"), f"perennial-ci-{STAGE}"
    cloudformation.create_stack(
        StackName=ci, TemplateBody=body, Capabilities=["CAPABILITY_NAMED_IAM"],
        Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in values.items()],
    )  # fmt: skip
    cloudformation.get_waiter("stack_create_complete").wait(StackName=ci, WaiterConfig={"Delay": 1})
    (made,) = cloudformation.describe_stacks(StackName=ci)["Stacks"]
    outputs = {one["OutputKey"]: one["OutputValue"] for one in made["Outputs"]}
    iam = aws.client("iam")
    taken = [{"Effect": "Allow", "Principal": {"AWS": ROOT_ARN}, "Action": "sts:AssumeRole"}]
    emulated = [{"Effect": "Allow", "Action": EMULATED, "Resource": "*"}]
    for call, statements in (("update_assume_role_policy", taken), ("put_role_policy", emulated)):
        document = json.dumps({"Version": "2012-10-17", "Statement": statements})
        more = {"PolicyName": "emulated"} if call == "put_role_policy" else {}
        getattr(iam, call)(RoleName=DEPLOYER, PolicyDocument=document, **more)
    return Authority(outputs["ServiceRoleArn"], outputs["BoundaryArn"])


def distribution(aws: Aws) -> str:
    """What CloudFormation makes of the pages in the cloud; here they lie in a bucket that everyone reads."""
    origin = {"Id": "site", "DomainName": f"{SITE}.s3.amazonaws.com", "S3OriginConfig": {"OriginAccessIdentity": ""}}
    behaviour = {"TargetOriginId": "site", "ViewerProtocolPolicy": "redirect-to-https", "CachePolicyId": "any"}
    config = {"CallerReference": "one", "Comment": "", "Enabled": True, "DefaultCacheBehavior": behaviour,
              "Origins": {"Quantity": 1, "Items": [origin]}}  # fmt: skip
    tags = {"Items": [{"Key": "aws:cloudformation:stack-name", "Value": f"perennial-{STAGE}-Site"}]}
    given = {"DistributionConfig": config, "Tags": tags}
    made = aws.client("cloudfront").create_distribution_with_tags(DistributionConfigWithTags=given)
    return str(made["Distribution"]["Id"])


def deployed_twice(
    aws: Aws, python: Path, parameters: Mapping[str, str], authority: Authority, pages: str, scratch: Path
) -> Deployed:
    """As ``make deploy`` does, twice: the stage is made, and then changed."""
    packages = build_packages("local", BUILD, python=python)
    assert signing_arn(aws, STAGE) == parameters[SIGNS]
    for rate in ("50", "60"):
        given = {**parameters, "RequestRate": rate}
        deployed = deploy(aws, packages, TEMPLATE, parameters=given, authority=authority)
        uploads = upload_address(aws.settings(deployed.bucket))
        form = shutil.copytree(build_form(), scratch / rate)
        (form / f"assets/{rate}.js").write_text("")  # which the next page has not
        publish(aws.client("s3"), deployed.site_bucket, form, deployed.api_url, uploads)
    smoke(site_of(aws, STAGE), lambda line: None)
    cloudformation = aws.client("cloudformation")
    for stack in (f"perennial-{STAGE}", f"perennial-{STAGE}-signing"):  # as where one of them fails
        first_failure(cloudformation, stack)
    _cut_off(aws, packages)
    invalidate(aws.client("cloudfront"), pages, "once")
    return deployed


def _cut_off(aws: Aws, packages: Mapping[str, Package]) -> None:
    """An upload of code that is too large for one request, and whose connection breaks."""
    others = {name: replace(one, digest=one.digest[::-1]) for name, one in packages.items()}

    def broken(**_: Any) -> None:
        raise ConnectionError

    def client(self: Aws, service: str) -> Any:
        made = real(self, service)
        made.meta.events.register("before-call.s3.UploadPart", broken)
        return made

    real = Aws.client
    with patch.object(Aws, "client", client), suppress(ConnectionError, DeployError):
        upload(aws, others, STAGE)
