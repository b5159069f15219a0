"""What a stage is deployed with: ``infra/stages/<stage>.yaml`` and ``PARAMETERS="Name=value ..."``, checked beforehand.

CloudFormation would say what is wrong only after everything was built and sent, and of one parameter at a time.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from perennial.deploy.package import ROOT
from perennial.errors import DeployError

FOLDER = ROOT / "infra/stages"
OF_THE_DEPLOYMENT = frozenset({"Stage", "ExistingData", "Transport"})
"""Parameters that follow from where is deployed, and are nobody's to choose."""


class StageFile(BaseModel):
    """Where a stage lives, if its file says so, and the parameters of ``template.yaml`` that are not the defaults."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    account: str | None = Field(default=None, pattern=r"^\d{12}$")
    region: str | None = Field(default=None, pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")
    parameters: dict[str, str] = {}

    @field_validator("parameters", mode="before")
    @classmethod
    def _as_text(cls, value: Any) -> Any:
        """CloudFormation takes texts; YAML makes numbers, booleans and lists of some."""
        return {str(name): _text(one) for name, one in value.items()} if isinstance(value, dict) else value


def read_stage(stage: str, folder: Path = FOLDER) -> StageFile:
    """The file of a stage; without one, nothing is said.

    Raises:
        DeployError: it is malformed; names the key.
    """
    path = folder / f"{stage}.yaml"
    if not path.is_file():
        return StageFile()
    try:
        return StageFile.model_validate(yaml.safe_load(path.read_text()) or {})
    except (yaml.YAMLError, OSError) as error:
        raise DeployError(f"{path}: cannot be read: {' '.join(str(error).split())[:200]}") from error
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "it"
        raise DeployError(
            f"{path}: {place}: {first['msg']}.",
            remedy='It has account: "123456789012", region: and parameters:, each as it is needed.',
        ) from error


def read_arguments(text: str) -> dict[str, str]:
    """``Name=value Other="two words"`` as parameters.

    Raises:
        DeployError: a word is no such pair.
    """
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise DeployError(f"PARAMETERS: {error}.", remedy='Write PARAMETERS="Name=value Other=value".') from error
    wrong = [word for word in words if not re.fullmatch(r"\w+=.*", word, re.DOTALL)]
    if wrong:
        raise DeployError(f"PARAMETERS: {wrong[0]!r} is no Name=value.", remedy='Write PARAMETERS="Name=value".')
    return dict(word.split("=", 1) for word in words)


def check_parameters(given: Mapping[str, str], declared: Mapping[str, Mapping[str, Any]]) -> None:
    """See that a template's ``Parameters`` take what is given, and lack nothing.

    Raises:
        DeployError: a parameter is unknown, missing or wrong; names it, and says what is right.
    """
    for name in sorted(given.keys() - declared.keys()):
        raise DeployError(f"Parameter {name}: template.yaml has none.", remedy=f"It has {', '.join(sorted(declared))}.")
    for name in sorted(given.keys() & OF_THE_DEPLOYMENT):
        raise DeployError(f"Parameter {name}: follows from where is deployed.", remedy="Leave it out.")
    for name, rule in declared.items():
        if name in given:
            _check(name, given[name], rule)
        elif "Default" not in rule and name not in OF_THE_DEPLOYMENT:
            raise DeployError(f"Parameter {name} is missing. {_about(rule)}", remedy=f'Say PARAMETERS="{name}=...".')


def _check(name: str, value: str, rule: Mapping[str, Any]) -> None:
    allowed = [_text(one) for one in rule.get("AllowedValues", [])]
    right = None
    if allowed and value not in allowed:
        right = f"One of {', '.join(allowed)}"
    elif rule.get("Type") == "Number" and not _within(value, rule):
        right = f"A number from {rule.get('MinValue', 'any')} to {rule.get('MaxValue', 'any')}"
    elif len(value) > int(rule.get("MaxLength", len(value))):
        right = f"At most {rule['MaxLength']} characters"
    elif "AllowedPattern" in rule and not re.fullmatch(rule["AllowedPattern"], value):
        right = f"A text like {rule['AllowedPattern']}"
    if right:
        raise DeployError(f"Parameter {name}={value[:60]!r}: wrong. {right} is right. {_about(rule)}")


def _within(value: str, rule: Mapping[str, Any]) -> bool:
    try:
        number = float(value)
    except ValueError:
        return False
    return float(rule.get("MinValue", number)) <= number <= float(rule.get("MaxValue", number))


def _about(rule: Mapping[str, Any]) -> str:
    return " ".join(str(rule.get("Description", "")).split())


def _text(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case None:
            return ""
        case list():
            return ",".join(map(_text, value))
        case _:
            return str(value)
