"""Rights that no code of ours uses: ``infra/checks/service-calls.yaml``, read."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

import yaml
from pydantic import BaseModel, ConfigDict

from tests.support.iam_statements import Right, matches
from tests.support.templates import ROOT

PATH = ROOT / "infra/checks/service-calls.yaml"


class Listed(BaseModel):
    """All rights of ``holders``; where ``statements``, ``actions`` or ``patterns`` are given, those of them alone."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    holders: tuple[str, ...]
    statements: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    why: str
    source: str

    def names(self, right: Right) -> bool:
        statement = right.statement.partition("[")[0]
        return (
            right.holder in self.holders
            and (not self.statements or statement in self.statements)
            and (not self.actions or right.action in self.actions)
            and (not self.patterns or any(matches(one, right.pattern) for one in self.patterns))
        )

    def gone(self, rights: Iterable[Right]) -> list[str]:
        """What it names that no template has."""
        own = [right for right in rights if self.names(right)]
        missing = set(self.holders) - {right.holder for right in own}
        missing |= set(self.actions) - {right.action for right in own}
        missing |= set(self.statements) - {right.statement.partition("[")[0] for right in own}
        missing |= {one for one in self.patterns if not any(matches(one, right.pattern) for right in own)}
        return sorted(missing)


@cache
def listed() -> tuple[Listed, ...]:
    return tuple(Listed.model_validate(one) for one in yaml.safe_load(PATH.read_text()))


def is_listed(right: Right) -> bool:
    return any(one.names(right) for one in listed())
