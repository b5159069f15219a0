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
_NUMBER = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,15})?")


class StageFile(BaseModel):
    """Where a stage lives, if its file says so, and the parameters of ``template.yaml`` that are not the defaults."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    account: str | None = Field(default=None, pattern=r"^\d{12}$")
    region: str | None = Field(default=None, pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")
    parameters: dict[str, str] = {}

    @field_validator("parameters", mode="before")
    @classmethod
    def _as_text(cls, value: Any) -> Any:
        """CloudFormation takes texts, and lists with commas between them."""
        return {name: _text(one) for name, one in value.items()} if isinstance(value, dict) else value


class _Texts(yaml.BaseLoader):
    """YAML whose scalars are the texts that stand there: 014 is no octal 12, 1:30 no 90, and no is no boolean."""


def _once(loader: _Texts, node: yaml.MappingNode) -> dict[Any, Any]:
    """A mapping that names nothing twice; YAML itself would take what comes last."""
    found = loader.construct_mapping(node, deep=True)
    if len(found) < len(node.value):
        keys = [loader.construct_object(key) for key, _ in node.value]
        twice = next(key for number, key in enumerate(keys) if key in keys[:number])
        raise yaml.constructor.ConstructorError(None, None, f"{twice!r} is named twice", node.start_mark)
    return found


_Texts.add_constructor("tag:yaml.org,2002:map", _once)


def read_stage(stage: str, folder: Path = FOLDER) -> StageFile:
    """The file of a stage; without one, nothing is said.

    Raises:
        DeployError: it is malformed; names the key.
    """
    path = folder / f"{stage}.yaml"
    if not path.is_file():
        return StageFile()
    try:
        return StageFile.model_validate(yaml.load(path.read_text(encoding="utf-8"), _Texts) or {})  # noqa: S506 - makes texts
    except (yaml.YAMLError, OSError, UnicodeDecodeError, RecursionError) as error:
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
    pairs = [word.split("=", 1) for word in words]
    names = [name for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            raise DeployError(f"PARAMETERS: {name} is named twice.", remedy="Name it once.")
    return dict(pairs)


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
    allowed = [str(one) for one in rule.get("AllowedValues", [])]
    right = None
    if allowed and value not in allowed:
        right = f"One of {', '.join(allowed)}"
    elif rule.get("Type") == "Number" and not _within(value, rule):
        right = f"A number from {rule.get('MinValue', 'any')} to {rule.get('MaxValue', 'any')}"
    elif len(value) > int(rule.get("MaxLength", len(value))):
        right = f"At most {rule['MaxLength']} characters"
    elif "AllowedPattern" in rule and not all(re.fullmatch(rule["AllowedPattern"], one) for one in _each(value, rule)):
        right = f"A text like {rule['AllowedPattern']}"
    if right:
        raise DeployError(f"Parameter {name}={value[:60]!r}: wrong. {right} is right. {_about(rule)}")


def _each(value: str, rule: Mapping[str, Any]) -> list[str]:
    """What a pattern is compared with: of a list, each of its values."""
    return [one.strip() for one in value.split(",")] if rule.get("Type") == "CommaDelimitedList" else [value]


def _within(value: str, rule: Mapping[str, Any]) -> bool:
    if not _NUMBER.fullmatch(value):  # Python takes nan, 1_000 and digits of every script for numbers too
        return False
    number = float(value)
    return float(rule.get("MinValue", number)) <= number <= float(rule.get("MaxValue", number))


def _about(rule: Mapping[str, Any]) -> str:
    return " ".join(str(rule.get("Description", "")).split())


def _text(value: Any) -> Any:
    """A list as one text; what else is no text stays, to be refused."""
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return ",".join(value)
    return "" if value in ("null", "~") else value
