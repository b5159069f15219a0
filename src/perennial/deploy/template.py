"""Read and prepare ``template.yaml``, and those that it nests, for deploying them by the CloudFormation API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from perennial.deploy.resolution import Resolver
from perennial.errors import DeployError

STACK = "AWS::CloudFormation::Stack"
CANARY = "DeploymentPreference"


@dataclass(frozen=True)
class Templates:
    """A template, and those that it nests by the logical ids of their stacks; each as plain JSON values."""

    root: dict[str, Any]
    nested: Mapping[str, dict[str, Any]]

    def declaring(self, resource: str) -> dict[str, Any]:
        """The one nested template that declares a resource.

        Raises:
            DeployError: none does.
        """
        for template in self.nested.values():
            if resource in template["Resources"]:
                return template
        raise DeployError(f"No template declares {resource}.")

    def properties(self, resource: str, values: Mapping[str, str]) -> dict[str, Any]:
        """Those of a resource as CloudFormation reads them under the root's parameters: ``values``, or the defaults.

        Nested templates call them alike. What only a deployment knows, such as an address, stays as it is written.
        """
        template = self.declaring(resource)
        declared = self.root.get("Parameters", {})
        known = {name: one["Default"] for name, one in declared.items() if "Default" in one} | dict(values)
        found: dict[str, Any] = Resolver(template, known).resolved(template["Resources"][resource]["Properties"])
        return found


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
        return parse_template(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise DeployError(f"{path}: cannot be read: {' '.join(str(error).split())[:300]}") from error


def parse_template(text: str) -> dict[str, Any]:
    """A template, in YAML or JSON, as plain JSON values. Raises yaml.YAMLError: it is neither."""
    template: dict[str, Any] = yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
    return template


def read_templates(path: Path) -> Templates:
    """The template at ``path``, and those that its stacks take from files beside it.

    Raises:
        DeployError: one is missing or not YAML.
    """
    root = read_template(path)
    stacks = {name: one["Properties"] for name, one in root["Resources"].items() if one["Type"] == STACK}
    return Templates(root, {name: read_template(path.parent / one["TemplateURL"]) for name, one in stacks.items()})


def with_addresses(root: dict[str, Any], addresses: Mapping[str, str]) -> dict[str, Any]:
    """The template whose stacks take their templates, by their logical ids, from where these were uploaded."""
    return root | {"Resources": _with(root["Resources"], "TemplateURL", addresses)}


def with_code(template: dict[str, Any], bucket: str, code: Mapping[str, str]) -> dict[str, Any]:
    """The template whose functions run uploaded zips, ``code``'s keys of them, instead of a folder."""
    resources = template["Resources"]
    places = {name: {"Bucket": bucket, "Key": key} for name, key in code.items() if name in resources}
    return template | {"Resources": _with(resources, "CodeUri", places)}


def _with(resources: dict[str, Any], name: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """The resources, a property of some of them put in place of another's."""
    return {
        resource: one | {"Properties": one["Properties"] | {name: values[resource]}} if resource in values else one
        for resource, one in resources.items()
    }


def with_empty_defaults(template: dict[str, Any]) -> dict[str, Any]:
    """The template whose texts need not be given: LocalStack takes one that is given as empty for one that is not."""
    parameters = {
        name: {"Default": ""} | one if one.get("Type") == "String" and "AllowedValues" not in one else one
        for name, one in template.get("Parameters", {}).items()
    }
    return template | {"Parameters": parameters}


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


def without_canaries(template: dict[str, Any]) -> dict[str, Any]:
    """The template whose callers move to new versions at once: emulators have no CodeDeploy to move some first."""
    resources = {
        name: one | {"Properties": {key: value for key, value in one.get("Properties", {}).items() if key != CANARY}}
        for name, one in template["Resources"].items()
    }
    return template | {"Resources": resources}


def cors_of(template: dict[str, Any], api: str, origin: str, *, tokens: bool) -> dict[str, Any]:
    """The CORS rules that CloudFormation gives the HTTP API ``api`` when AllowedOrigin is ``origin``.

    ``tokens`` says whether any of its routes asks for a token.
    """
    rules: dict[str, Any] = template["Resources"][api]["Properties"]["CorsConfiguration"]
    _, with_tokens, without = rules["AllowHeaders"]["Fn::If"]
    return rules | {"AllowOrigins": [origin], "AllowHeaders": with_tokens if tokens else without}


def lifecycle_rules(properties: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The lifecycle rules among the properties of a bucket, as S3's own API wants them."""
    rules = properties.get("LifecycleConfiguration", {}).get("Rules", [])
    return [
        {"ID": rule["Id"], "Filter": {"Prefix": rule.get("Prefix", "")}}
        | ({"Expiration": {"Days": rule["ExpirationInDays"]}} if "ExpirationInDays" in rule else {})
        | {name: value for name, value in rule.items() if name not in {"Id", "Prefix", "ExpirationInDays"}}
        for rule in rules
    ]
