"""What a rule finds, and what of it is known and has a reason."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from tests.support.template_rules.evaluation import Deployment, Resource

Told = Iterator[tuple[Resource, str]]
Rule = Callable[[Deployment], Told]


@dataclass(frozen=True, order=True)
class Finding:
    """A rule, and the resource that breaks it. ``detail`` is for people; what is excepted is told by the rest."""

    template: str
    resource: str
    rule: str
    detail: str = ""

    @property
    def place(self) -> tuple[str, str, str]:
        return (self.template, self.resource, self.rule)


def broken(rules: dict[str, Rule], deployments: Iterable[Deployment]) -> list[Finding]:
    """All that any rule finds in any of the deployments, each once."""
    found = {
        Finding(one.template, one.name, name, detail)
        for each in deployments
        for name, rule in rules.items()
        for one, detail in rule(each)
    }
    return sorted(found)
