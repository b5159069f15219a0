"""By whose rights CloudFormation changes a stage: of whoever deploys, or of a role that ``infra/ci.yaml`` made."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from perennial.errors import DeployError

ROLE, BOUNDARY = "PERENNIAL_CLOUDFORMATION_ROLE", "PERENNIAL_BOUNDARY"
_ARN = {
    ROLE: re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/\S+"),
    BOUNDARY: re.compile(r"arn:aws[a-z-]*:iam::\d{12}:policy/\S+"),
}


@dataclass(frozen=True)
class Authority:
    """The ARN of the role that CloudFormation takes, and of the boundary that every role it makes is to carry."""

    role: str | None = None
    boundary: str | None = None

    def request(self) -> dict[str, str]:
        """What is added to a request to CloudFormation."""
        return {"RoleARN": self.role} if self.role else {}

    def bounded(self, template: dict[str, Any]) -> dict[str, Any]:
        """The template whose roles carry the boundary."""
        if self.boundary is None:
            return template
        resources = {
            name: one | {"Properties": one["Properties"] | {"PermissionsBoundary": self.boundary}}
            if one["Type"] == "AWS::IAM::Role"
            else one
            for name, one in template["Resources"].items()
        }
        return template | {"Resources": resources}


def authority_of(env: Mapping[str, str]) -> Authority:
    """What the environment says; none, where it says nothing.

    Raises:
        DeployError: a value is no ARN of its kind.
    """
    for name, pattern in _ARN.items():
        if (value := env.get(name)) and not pattern.fullmatch(value):
            raise DeployError(
                f"{name}={value} is no ARN of its kind.", remedy="Take it from the outputs of infra/ci.yaml."
            )
    return Authority(env.get(ROLE) or None, env.get(BOUNDARY) or None)
