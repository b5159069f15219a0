"""All rules over all templates, and the list of what is excepted, each with its reason."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field

from tests.support.template_rules import access, exposure, order, storage, watching
from tests.support.template_rules.evaluation import VARIANTS, Deployment, deployment
from tests.support.template_rules.findings import Finding, Rule, broken
from tests.support.templates import ROOT, TEMPLATE, all_templates, stack_templates

EXCEPTIONS = ROOT / "infra/checks/template-rules.yaml"


class Excepted(BaseModel):
    """One resource that may break one rule."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    template: str
    resource: str
    rule: str
    reason: str = Field(min_length=20)

    @property
    def place(self) -> tuple[str, str, str]:
        return (self.template, self.resource, self.rule)


class Exceptions(BaseModel):
    """``without_resource``: actions that AWS lets nobody narrow to a resource, each with why it is needed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    without_resource: dict[str, str]
    excepted: tuple[Excepted, ...]


@cache
def exceptions() -> Exceptions:
    return Exceptions.model_validate(yaml.safe_load(EXCEPTIONS.read_text()))


def documents() -> dict[str, Mapping[str, Any]]:
    """Every template of the repository, by its path in it."""
    return {str(path.relative_to(ROOT)): one for path, one in all_templates().items()}


def rules(without_resource: Mapping[str, str]) -> dict[str, Rule]:
    """Those that hold however parameters are chosen."""
    return access.rules(without_resource) | storage.RULES | watching.RULES | exposure.RULES | order.RULES


BY_DEFAULT: dict[str, Rule] = storage.BY_DEFAULT | exposure.BY_DEFAULT


def deployments(found: Mapping[str, Mapping[str, Any]], variant: str) -> list[Deployment]:
    """Each template that is deployed by itself, with those that it nests."""
    nested = {str(path.relative_to(ROOT)) for path in stack_templates() if path != TEMPLATE}
    return [deployment(path, found, VARIANTS[variant]) for path in found if path not in nested]


def findings(found: Mapping[str, Mapping[str, Any]], without_resource: Mapping[str, str]) -> list[Finding]:
    """All that any rule finds, as parameters are by default and with all conditions one way and the other."""
    by_default = deployments(found, "as by default")
    always = [each for variant in VARIANTS for each in deployments(found, variant)]
    return sorted({*broken(rules(without_resource), always), *broken(BY_DEFAULT, by_default)})
