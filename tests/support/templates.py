"""The templates as tests read them: those that are deployed together, as one, and all there are."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from perennial.deploy.template import STACK, read_template

ROOT = Path(__file__).parents[2]
TEMPLATE = ROOT / "template.yaml"
BUCKET = "arn:${AWS::Partition}:s3:::${DataBucketName}/"
"""How templates say the data bucket, before the pattern of a key, where another of them declares it."""
NAMED_BUCKET = "arn:${AWS::Partition}:s3:::perennial-${Stage}-data-${AWS::AccountId}-${AWS::Region}/"
"""The same, where it may be older than the stack."""


@cache
def stack_templates() -> dict[Path, dict[str, Any]]:
    """``template.yaml`` and those that it nests."""
    root = read_template(TEMPLATE)
    stacks = [one["Properties"]["TemplateURL"] for one in root["Resources"].values() if one["Type"] == STACK]
    return {TEMPLATE: root} | {ROOT / stack: read_template(ROOT / stack) for stack in stacks}


@cache
def all_templates() -> dict[Path, dict[str, Any]]:
    """Every CloudFormation template of the repository."""
    alone = [
        path for pattern in ("*.yaml", "stacks/*.yaml", "*/template.yaml") for path in (ROOT / "infra").glob(pattern)
    ]
    found = {path: read_template(path) for path in sorted(alone)}
    return stack_templates() | {path: one for path, one in found.items() if "Resources" in one}


@cache
def stack_resources() -> dict[str, Any]:
    """The resources of ``template.yaml`` and of those that it nests, by their logical ids, each of which is one's."""
    found: dict[str, Any] = {}
    for template in stack_templates().values():
        assert not found.keys() & template["Resources"].keys()
        found |= template["Resources"]
    return found


def pattern_of(resource: Any) -> str:
    """The pattern of keys that a policy's resource stands for; what names no objects of the data bucket as it is."""
    said = resource.get("Fn::Sub", "") if isinstance(resource, dict) else resource
    return str(said).removeprefix(BUCKET).removeprefix("${DataBucket.Arn}/").removeprefix(NAMED_BUCKET)
