"""Read and prepare ``template.yaml`` for deploying it by the CloudFormation API."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from perennial.errors import DeployError


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short forms, such as ``!Ref``, spelled out."""


def _intrinsic(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        assert isinstance(node, yaml.MappingNode)
        value = loader.construct_mapping(node, deep=True)
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in {"Ref", "Condition"} else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _intrinsic)


def read_template(path: Path) -> dict[str, Any]:
    """The template as plain JSON values.

    Raises:
        DeployError: it is missing or not YAML.
    """
    try:
        template: dict[str, Any] = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506 - a SafeLoader
    except (OSError, yaml.YAMLError) as error:
        raise DeployError(f"{path}: cannot be read: {' '.join(str(error).split())[:300]}") from error
    return template


def with_code(template: dict[str, Any], bucket: str, code: Mapping[str, str]) -> str:
    """The template as JSON text whose functions run uploaded zips, ``code``'s keys of them, instead of a folder."""
    resources = dict(template["Resources"])
    for name, key in code.items():
        properties = resources[name]["Properties"] | {"CodeUri": {"Bucket": bucket, "Key": key}}
        resources[name] = resources[name] | {"Properties": properties}
    return json.dumps(template | {"Resources": resources})


def with_number(template: dict[str, Any], parameter: str, number: str) -> dict[str, Any]:
    """The template whose resources have a number in place of each reference to a parameter that is one.

    CloudFormation makes numbers of parameters; emulators pass on the text, and then compare it with numbers.
    """

    def put(value: Any) -> Any:
        if value == {"Ref": parameter}:
            return int(number)
        if isinstance(value, dict):
            return {name: put(member) for name, member in value.items()}
        return [put(member) for member in value] if isinstance(value, list) else value

    return template | {"Resources": put(template["Resources"])}


def cors_of(template: dict[str, Any], api: str, origin: str) -> dict[str, Any]:
    """The CORS rules that CloudFormation gives the HTTP API ``api`` when AllowedOrigin is ``origin``."""
    rules: dict[str, Any] = template["Resources"][api]["Properties"]["CorsConfiguration"]
    return rules | {"AllowOrigins": [origin]}


def lifecycle_of(template: dict[str, Any], bucket: str) -> list[dict[str, Any]]:
    """The lifecycle rules of a bucket, as S3's own API wants them."""
    rules = template["Resources"][bucket]["Properties"].get("LifecycleConfiguration", {}).get("Rules", [])
    return [
        {"ID": rule["Id"], "Filter": {"Prefix": rule.get("Prefix", "")}}
        | ({"Expiration": {"Days": rule["ExpirationInDays"]}} if "ExpirationInDays" in rule else {})
        | {name: value for name, value in rule.items() if name not in {"Id", "Prefix", "ExpirationInDays"}}
        for rule in rules
    ]
