"""What strangers can reach or read: routes, and secrets in a template."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from tests.support.template_rules.evaluation import Deployment
from tests.support.template_rules.findings import Rule, Told

READING = ("GET ", "HEAD ", "OPTIONS ")
ASKED = ("AWS_IAM", "JWT", "CUSTOM")
SECRET_NAME = re.compile(r"(?i)passw|secret(?!s)|credential|api_?key|access_?key|private_?key|(?<!feedback_)token$")
SECRET_VALUE = re.compile(r"AKIA[0-9A-Z]{16}|-----BEGIN [A-Z ]*PRIVATE KEY|xox[baprs]-|ghp_[0-9A-Za-z]{20}")
TELLS_WHERE = re.compile(r"(?i)arn:|resolve:(secretsmanager|ssm-secure)|\$\{")


def open_routes(deployed: Deployment) -> Told:
    """Of those that change something, who may call is asked, by what parameters are by default."""
    for one in deployed.resources("AWS::ApiGatewayV2::Route"):
        key = one.properties["RouteKey"]
        if not key.startswith(READING) and one.properties.get("AuthorizationType") not in ASKED:
            yield one, key
    for one in deployed.resources("AWS::Lambda::Url"):
        if one.properties.get("AuthType") != "AWS_IAM":
            yield one, "a function's own address, for anyone"


def any_origin(deployed: Deployment) -> Told:
    for one in deployed.resources("AWS::ApiGatewayV2::Api"):
        cors = one.properties.get("CorsConfiguration", {})
        if "*" in str(cors.get("AllowOrigins", "")) or cors.get("AllowCredentials"):
            yield one, "any origin, or with credentials"
    for one in deployed.resources("AWS::S3::Bucket"):
        for rule in one.properties.get("CorsConfiguration", {}).get("CorsRules", []):
            if "*" in str(rule["AllowedOrigins"]):
                yield one, "any origin"


def secrets(deployed: Deployment) -> Told:
    """None in the default of a parameter, in the environment of anything that runs, nor anywhere else."""
    for part in deployed.parts:
        first = next(iter(part.resources.values()))
        for name, said in part.document.get("Parameters", {}).items():
            if SECRET_NAME.search(name) and (said.get("Default") or not said.get("NoEcho")):
                yield first, f"parameter {name} has a default, or is shown"
    for one in deployed.resources():
        for name, value in _variables(one.properties):
            if SECRET_NAME.search(name) and value and not TELLS_WHERE.search(value):
                yield one, f"variable {name}"
        if SECRET_VALUE.search(str(one.declared)):
            yield one, "something that looks like a key"


def _variables(value: Any) -> Iterator[tuple[str, str]]:
    """Names and values of environment variables, as functions and as containers say them."""
    if isinstance(value, list):
        for member in value:
            yield from _variables(member)
    elif isinstance(value, dict):
        for name, member in value.items():
            if name in ("Environment", "Variables") and isinstance(member, dict):
                yield from ((key, each) for key, each in member.items() if isinstance(each, str))
            if name == "Environment" and isinstance(member, list):
                yield from ((each.get("Name", ""), str(each.get("Value", ""))) for each in member)
            yield from _variables(member)


RULES: dict[str, Rule] = {"any origin": any_origin, "secret": secrets}
BY_DEFAULT: dict[str, Rule] = {"open route": open_routes}
"""What only holds as parameters are by default: a parameter may open a route on purpose."""
