"""The statements of every kind of policy, wherever a resource holds one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tests.support.template_rules.evaluation import Deployment, Resource, as_list

Kind = Literal["identity", "resource", "trust"]
RESOURCE_POLICIES = {
    "AWS::S3::BucketPolicy": "PolicyDocument",
    "AWS::SQS::QueuePolicy": "PolicyDocument",
    "AWS::SNS::TopicPolicy": "PolicyDocument",
    "AWS::Logs::ResourcePolicy": "PolicyDocument",
    "AWS::ECR::Repository": "RepositoryPolicyText",
    "AWS::KMS::Key": "KeyPolicy",
    "AWS::SecretsManager::ResourcePolicy": "ResourcePolicy",
    "AWS::EFS::FileSystem": "FileSystemPolicy",
}
IDENTITY_POLICIES = {"AWS::IAM::Policy", "AWS::IAM::ManagedPolicy", "AWS::IAM::RolePolicy"}


@dataclass(frozen=True)
class Statement:
    """One statement: what it is part of, what it is for, and what it says."""

    resource: Resource
    kind: Kind
    said: Mapping[str, Any]

    @property
    def allows(self) -> bool:
        return bool(self.said["Effect"] == "Allow")

    @property
    def actions(self) -> list[str]:
        return [str(one) for one in as_list(self.said.get("Action", []))]

    @property
    def resources(self) -> list[str]:
        return [str(one) for one in as_list(self.said.get("Resource", []))]

    @property
    def conditions(self) -> set[str]:
        """The condition keys, in lower case as AWS compares them."""
        return {key.lower() for keys in self.said.get("Condition", {}).values() for key in keys}

    @property
    def services(self) -> list[str]:
        principal = self.said.get("Principal")
        named = as_list(principal.get("Service", [])) if isinstance(principal, dict) else []
        return [str(one).replace("${AWS::URLSuffix}", "amazonaws.com") for one in named]


def statements(deployed: Deployment) -> Iterator[Statement]:
    for one in deployed.resources():
        for kind, document in _documents(one):
            for said in as_list(document["Statement"]):
                yield Statement(one, kind, said)


def _documents(one: Resource) -> Iterator[tuple[Kind, Mapping[str, Any]]]:
    said = one.properties
    if one.kind in RESOURCE_POLICIES and said.get(RESOURCE_POLICIES[one.kind]):
        document = said[RESOURCE_POLICIES[one.kind]]
        yield "resource", json.loads(document) if isinstance(document, str) else document
    if one.kind in IDENTITY_POLICIES:
        yield "identity", said["PolicyDocument"]
    if "AssumeRolePolicyDocument" in said:
        yield "trust", said["AssumeRolePolicyDocument"]
    for policy in said.get("Policies", []) if one.kind in ("AWS::IAM::Role", "AWS::Serverless::Function") else []:
        if "Statement" in policy or "PolicyDocument" in policy:  # else a policy of SAM's own, by its name
            yield "identity", policy.get("PolicyDocument", policy)
