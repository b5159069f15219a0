"""Templates with values for their parameters, as CloudFormation resolves what they say of roles."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

ACCOUNT, REGION = "000000000000", "us-east-1"
PSEUDO = {"AccountId": ACCOUNT, "Region": REGION, "Partition": "aws", "URLSuffix": "amazonaws.com"}
ARNS = {
    "AWS::SQS::Queue": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{{QueueName}}",
    "AWS::Logs::LogGroup": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{{LogGroupName}}:*",
    "AWS::Serverless::Function": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{{FunctionName}}",
    "AWS::Batch::JobQueue": f"arn:aws:batch:{REGION}:{ACCOUNT}:job-queue/{{JobQueueName}}",
    "AWS::ECR::Repository": f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/{{RepositoryName}}",
    "AWS::EMRServerless::Application": f"arn:aws:emr-serverless:{REGION}:{ACCOUNT}:/applications/{{Name}}",
    "AWS::S3::Bucket": "arn:aws:s3:::{BucketName}",
}


@dataclass
class Template:
    """One template, with values for its parameters; what none is given for has its default."""

    content: Mapping[str, Any]
    values: Mapping[str, Any]
    known: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        defaults = {name: one.get("Default", name) for name, one in self.content.get("Parameters", {}).items()}
        self.known = {**defaults, **self.values, **{f"AWS::{name}": value for name, value in PSEUDO.items()}}

    def value(self, said: Any) -> Any:
        """What a part of the template comes to; of a list, without what is no value."""
        if isinstance(said, list):
            return [one for one in map(self.value, said) if one is not None]
        if not isinstance(said, dict):
            return said
        if len(said) == 1:
            ((name, of),) = said.items()
            if name == "Ref" or (name == "Condition" and isinstance(of, str)) or name.startswith("Fn::"):
                return self._function(name, of)
        return {name: value for name, one in said.items() if (value := self.value(one)) is not None}

    def _function(self, name: str, of: Any) -> Any:
        match name:
            case "Ref":
                return None if of == "AWS::NoValue" else self.known.get(of, self._name(of))
            case "Fn::Sub":
                return re.sub(r"\$\{([^}]+)\}", lambda found: self._substitute(found[1]), of)
            case "Fn::GetAtt":
                return self._attribute(*(of if isinstance(of, list) else of.split(".", 1)))
            case "Fn::If":
                return self.value(of[1] if self.holds(of[0]) else of[2])
            case "Condition":
                return self.holds(of)
            case "Fn::Not":
                return not self.value(of[0])
            case "Fn::And":
                return all(map(self.value, of))
            case "Fn::Equals":
                return self.value(of[0]) == self.value(of[1])
            case "Fn::Join":
                return of[0].join(self.value(of[1]))
            case "Fn::Split":
                return self.value(of[1]).split(of[0])
            case "Fn::Select":
                return self.value(of[1])[int(of[0])]
        raise AssertionError(f"{name} is not known here.")

    def holds(self, condition: str) -> bool:
        return bool(self.value(self.content["Conditions"][condition]))

    def _substitute(self, name: str) -> str:
        return str(self._attribute(*name.split(".", 1)) if "." in name else self.value({"Ref": name}))

    def _attribute(self, name: str, attribute: str) -> str:
        if f"{name}.{attribute}" in self.known:
            return str(self.known[f"{name}.{attribute}"])
        resource = self.content["Resources"][name]
        kind = resource["Type"]
        if kind == "AWS::IAM::Role":
            return f"arn:aws:iam::{ACCOUNT}:role/{self._name(name)}"
        return ARNS[kind].format_map({"Name": name, **self.value(resource.get("Properties", {}))})

    def _name(self, resource: str) -> str:
        properties = self.content["Resources"].get(resource, {}).get("Properties", {})
        for key in ("RoleName", "FunctionName", "QueueName", "LogGroupName", "JobQueueName", "BucketName"):
            if key in properties:
                return str(self.value(properties[key]))
        if "ManagedPolicyName" in properties:
            return f"arn:aws:iam::{ACCOUNT}:policy/{self.value(properties['ManagedPolicyName'])}"
        return resource

    def documents(self) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
        """(logical id, name of the policy, document) of every policy that says what a role may do, resolved."""
        for name, resource in self.content["Resources"].items():
            properties = resource.get("Properties", {})
            if resource["Type"] == "AWS::IAM::ManagedPolicy":
                yield name, name, self.value(properties["PolicyDocument"])
            for policy in properties.get("Policies", []) if resource["Type"] == "AWS::IAM::Role" else []:
                yield name, policy["PolicyName"], self.value(policy["PolicyDocument"])
            assert resource["Type"] != "AWS::Serverless::Function" or "Policies" not in properties, name
