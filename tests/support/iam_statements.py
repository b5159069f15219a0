"""What the roles of the templates may do, right by right; and which calls need which of these rights.

A right is one action on one pattern of resources, and of listings one prefix. So that none of a statement's actions or
patterns can be one too many unseen, each is looked at by itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from tests.support.iam_recorder import Call
from tests.support.iam_template import Template
from tests.support.templates import ROOT, all_templates

PREFIX = "s3:prefix"


@dataclass(frozen=True)
class Condition:
    """One operator of a statement on one key, with the values that it takes."""

    operator: str
    key: str
    values: tuple[str, ...]

    def holds(self, context: Mapping[str, str]) -> bool:
        found = context.get(self.key.lower())
        operator = self.operator.removesuffix("IfExists")
        if operator == "Null":
            return (found is None) is (self.values == ("true",))
        if found is None:
            return self.operator.endswith("IfExists")
        like = operator in ("StringLike", "ArnLike")
        return any(matches(value, found) if like else value == found for value in self.values)


@dataclass(frozen=True)
class Right:
    """``holder`` has it by ``statement``: to do ``action`` on what ``pattern`` means, under all ``conditions``.

    ``prefix`` is the one of the statement's prefixes that this right is about; None where it names none.
    """

    holder: str
    statement: str
    action: str
    pattern: str
    conditions: tuple[Condition, ...] = ()
    prefix: str | None = None

    def __str__(self) -> str:
        more = f" of the prefix {self.prefix!r}" if self.prefix is not None else ""
        return f"{self.holder}, {self.statement}: {self.action} on {self.pattern}{more}"

    def allows(self, call: Call) -> bool:
        if not matches(self.action.lower(), call.action.lower()) or not matches(self.pattern, call.resource):
            return False
        return all(condition.holds(call.context) for condition in self.conditions)

    def used_by(self, call: Call) -> bool:
        """Whether the call needs this very right: of a listing, this prefix of its statement."""
        if self.prefix is None:
            return self.allows(call)
        found = call.context.get(PREFIX) or ""
        return self.allows(call) and (matches(self.prefix, found) if self.prefix else not found)


@cache
def _pattern(pattern: str) -> re.Pattern[str]:
    parts = ({"*": ".*", "?": "."}.get(letter, re.escape(letter)) for letter in pattern)
    return re.compile("".join(parts), re.DOTALL)


def matches(pattern: str, text: str) -> bool:
    """As IAM compares: a star stands for any text, a question mark for one character."""
    return bool(_pattern(pattern).fullmatch(text))


def template(path: str, values: Mapping[str, Any]) -> Template:
    return Template(all_templates()[ROOT / path], values)


def all_rights(values: Mapping[str, Mapping[str, Any]]) -> tuple[Right, ...]:
    """Of every role and policy of every template; ``values`` are those of their parameters, by the templates' paths."""
    found = [str(path.relative_to(ROOT)) for path in all_templates()]
    return tuple(right for path in found for right in rights_of(path, template(path, values.get(path, {}))))


def rights_of(path: str, content: Template) -> Iterator[Right]:
    for holder, policy, document in content.documents():
        for number, statement in enumerate(document["Statement"]):
            yield from _rights(f"{path} {holder}", statement.get("Sid", f"{policy}[{number}]"), statement)


def _rights(holder: str, name: str, statement: Mapping[str, Any]) -> Iterator[Right]:
    assert statement["Effect"] == "Allow", f"{holder}, {name}: roles are only ever allowed something"
    said = statement.get("Condition", {}).items()
    conditions = tuple(
        Condition(operator, key, tuple(map(str, as_list(value))))
        for operator, one in said
        for key, value in one.items()
    )
    prefixes: Sequence[str | None] = next((one.values for one in conditions if one.key == PREFIX), (None,))
    if any(one.operator == "Null" for one in conditions):
        prefixes = ("",)
    resources = as_list(statement["Resource"]) if "Resource" in statement else ["not " + str(statement["NotResource"])]
    for action in as_list(statement["Action"]):
        for pattern in resources:
            whole = Right(holder, name, action, str(pattern), conditions)
            yield from (replace(whole, prefix=prefix) for prefix in prefixes)


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def unused(rights: Iterable[Right], calls: Iterable[Call], holders: Mapping[str, frozenset[str]]) -> list[Right]:
    """The rights that no call used; ``holders`` says as which roles a holder acts."""
    seen = frozenset((call.role, call.action, call.resource, call.context.get(PREFIX)) for call in calls)
    distinct = {(c.role, c.action, c.resource, c.context.get(PREFIX)): c for c in calls} if seen else {}
    return [
        right
        for right in rights
        if not any(call.role in holders.get(right.holder, ()) and right.used_by(call) for call in distinct.values())
    ]


def refused(rights: Iterable[Right], calls: Iterable[Call], holders: Mapping[str, frozenset[str]]) -> list[Call]:
    """The calls that a role made and that no right of its own covers."""
    own: dict[str, list[Right]] = {}
    for right in rights:
        for role in holders.get(right.holder, ()):
            own.setdefault(role, []).append(right)
    return [call for call in calls if not any(right.allows(call) for right in own.get(call.role, ()))]
