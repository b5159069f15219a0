"""A stage of its own on an AWS that writes down what every role asks of it, deployed by the roles of the pipeline."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

from perennial.deploy.aws import Aws
from perennial.deploy.trust import PARAMETER, SIGNS, cloud_key, local_key
from perennial.deploy.up import LocalStack
from perennial.settings import Settings
from perennial.store import Store
from perennial.store_opening import open_store
from tests.support.iam_pipeline import DEPLOYER, PROVIDER, ROOT_ARN, SITE, STAGE, deployed_twice, distribution, pipeline
from tests.support.iam_recorder import RecordingStack
from tests.support.iam_statements import template
from tests.support.iam_template import ACCOUNT
from tests.support.templates import ROOT, all_templates

LAKE = "perennial-lake"
SCORED, LEARNT = f"arn:aws:s3:::{LAKE}/tables/*", f"arn:aws:s3:::{LAKE}/pictures/*"
DATA = f"perennial-{STAGE}-data-{ACCOUNT}-us-east-1"
ROLES = {"ApiRole": "Serving", "FeedbackRole": "Serving", "CaptureRole": "Serving", "ScoreRole": "Scoring",
         "TrainerRole": "Jobs", "PromoterRole": "Jobs"}  # fmt: skip


@dataclass
class World:
    """``roles`` are the names that the emulator knows the holders of rights by: a path and a logical id."""

    emulator: RecordingStack
    stack: LocalStack
    signing_key: str
    roles: dict[str, str] = field(default_factory=dict)

    @property
    def root(self) -> Aws:
        return self.stack.aws()

    @property
    def values(self) -> dict[str, dict[str, Any]]:
        """Of the parameters of the templates, by their paths."""
        named = {"DataBucketName": DATA, "SiteBucketName": SITE, "TopicArn": self.stack.topic_arn, "Stage": STAGE}
        more = {
            "ScoringSource": SCORED, "TrainingSource": LEARNT, "Source": f"arn:aws:s3:::{LAKE}/*", "Image": "one",
            "SigningKeyArn": self.signing_key, "JobPrincipals": ROOT_ARN, "ProviderArn": PROVIDER,
            "Repository": "owner/name", "DagsBucket": f"perennial-{STAGE}-dags",
        }  # fmt: skip
        return {str(path.relative_to(ROOT)): named | more for path in all_templates()}

    @property
    def store(self) -> Store:
        """The data bucket, under root credentials: what others than the roles put there."""
        return self.open(DATA)

    def open(self, bucket: str) -> Store:
        with patch.dict(os.environ, self.stack.environment()):
            return open_store(Settings.load().model_copy(update={"bucket": bucket}))

    def raw(self, bucket: str) -> Any:
        """The same, for what is done through no store of ours."""
        return self.open(bucket)._raw

    def environment(self, role: str) -> dict[str, str]:
        """The stack's variables, with credentials of a role; ``role`` is its name."""
        arn = f"arn:aws:iam::{ACCOUNT}:role/{role}"
        return (
            self.stack.environment() | _assumed(self.root, arn) | {"PERENNIAL_SIGNING_KEY": f"kms:{self.signing_key}"}
        )

    @contextmanager
    def acting(self, role: str, **more: str) -> Iterator[Settings]:
        """This process acts as a role for the length of the block."""
        with patch.dict(os.environ, self.environment(role) | more), patch("boto3.DEFAULT_SESSION", None):
            yield Settings.load()

    def make_role(self, holder: str, *others: str) -> str:
        """A role that has what a template gives to a holder, and the others to it besides; anyone here may take it."""
        path, name = holder.split()
        with patch.dict(os.environ, self.stack.environment()):
            iam = self.root.client("iam")
        trust = {"Statement": [{"Effect": "Allow", "Principal": {"AWS": ROOT_ARN}, "Action": "sts:AssumeRole"}]}
        made = f"test-{Path(path).stem}-{name}"
        iam.create_role(RoleName=made, AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", **trust}))
        for each in (holder, *others):
            path, name = each.split()
            documents = template(path, self.values.get(path, {})).documents()
            for number, (one, _, document) in enumerate(documents):
                if one == name:
                    iam.put_role_policy(
                        RoleName=made, PolicyName=f"{name}-{number}", PolicyDocument=json.dumps(document)
                    )
            self.roles[each] = made
        return made


def _assumed(aws: Aws, arn: str) -> dict[str, str]:
    found = aws.client("sts").assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]
    return {
        "AWS_ACCESS_KEY_ID": found["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": found["SecretAccessKey"],
        "AWS_SESSION_TOKEN": found["SessionToken"],
    }


@contextmanager
def world(folder: Path) -> Iterator[World]:
    """A stage of its own for the length of the block."""
    with ExitStack() as stack:
        emulator = stack.enter_context(RecordingStack(folder))
        aws = emulator.aws
        authority = pipeline(aws)
        key = cloud_key(aws, STAGE)
        trusted = f"{key.public.text},{local_key().public.text}"
        parameters = {
            PARAMETER: trusted, "RefreshSeconds": "0", "PartBytes": "20000", "ScoringSource": SCORED,
            "TrainingSource": LEARNT, "JobPrincipals": ROOT_ARN, SIGNS: key.name.removeprefix("kms:"),
        }  # fmt: skip
        pages = distribution(aws)
        with patch.dict(os.environ, _assumed(aws, f"arn:aws:iam::{ACCOUNT}:role/{DEPLOYER}")):
            mine = replace(aws, access_key=None, secret_key=None)
            deployed = deployed_twice(mine, emulator.python, parameters, authority, pages, folder)
        found = World(
            emulator,
            LocalStack(
                endpoint_url=emulator.endpoint_url, region=aws.region, access_key=str(aws.access_key),
                secret_key=str(aws.secret_key), trusted_keys=trusted, signing_key=local_key().name, **vars(deployed),
            ),
            parameters[SIGNS],
        )  # fmt: skip
        found.roles |= {"infra/ci.yaml DeployRole": DEPLOYER} | _names(aws)
        s3 = aws.client("s3")
        s3.create_bucket(Bucket=LAKE)
        s3.put_bucket_versioning(Bucket=LAKE, VersioningConfiguration={"Status": "Enabled"})
        yield found


def _names(aws: Aws) -> dict[str, str]:
    """What CloudFormation called the roles of the stage."""
    cloudformation = aws.client("cloudformation")

    def physical(stack: str, name: str) -> str:
        found = cloudformation.describe_stack_resource(StackName=stack, LogicalResourceId=name)
        return str(found["StackResourceDetail"]["PhysicalResourceId"])

    paths = {"Serving": "serving", "Scoring": "scoring", "Jobs": "jobs"}
    stacks = {name: physical(f"perennial-{STAGE}", name) for name in paths}
    return {f"infra/stacks/{paths[of]}.yaml {role}": physical(stacks[of], role) for role, of in ROLES.items()}
