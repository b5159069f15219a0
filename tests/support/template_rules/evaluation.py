"""Templates as CloudFormation sees them once parameters and conditions are settled, as far as text can say.

What only AWS can fill in stays a token: ``${Queue.Arn}`` for an attribute, ``${AWS::Region}`` for a pseudo parameter.
Names that are made of parameters alone come out as they will be, so that one template's resource is recognised where
another one names it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any, ClassVar

NOTHING = object()
"""What ``AWS::NoValue`` leaves."""
TOKEN = re.compile(r"\$\{([^!}][^}]*)\}")
STACK = "AWS::CloudFormation::Stack"

Settle = Callable[[bool], bool]
VARIANTS: dict[str, Settle] = {
    "as by default": bool,
    "every condition": lambda _: True,
    "no condition": lambda _: False,
}
"""How conditions are settled: by what parameters are by default, or all alike, so that each branch is seen once."""


@dataclass(frozen=True)
class Resource:
    """One resource of one template. ``declared`` is what the template says, ``properties`` what comes of it."""

    template: str
    name: str
    kind: str
    declared: Mapping[str, Any]
    properties: Mapping[str, Any]


@dataclass(frozen=True)
class Evaluated:
    """One template under the values of its parameters; ``path`` is relative to the repository."""

    path: str
    document: Mapping[str, Any]
    given: Mapping[str, Any] = field(default_factory=dict)
    settle: Settle = bool
    nested: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # path -> document

    @cached_property
    def resources(self) -> dict[str, Resource]:
        """Those that exist under the conditions."""
        return {
            name: Resource(self.path, name, one["Type"], one, self.value(one.get("Properties", {})))
            for name, one in self.document["Resources"].items()
            if "Condition" not in one or self.condition(one["Condition"])
        }

    @cached_property
    def children(self) -> dict[str, Evaluated]:
        """The nested stacks by their logical ids."""
        return {name: child for name in self.document["Resources"] if (child := self._child(name)) is not None}

    def condition(self, name: str) -> bool:
        return self.settle(self._truth(self.document["Conditions"][name]))

    def value(self, said: Any) -> Any:
        """What a value of the template comes to."""
        if isinstance(said, list):
            return [one for one in map(self.value, said) if one is not NOTHING]
        if not isinstance(said, dict):
            return said
        if len(said) == 1:
            ((name, argument),) = said.items()
            if name == "Ref" or name.startswith("Fn::"):
                return self._intrinsic(name, argument)
        settled = {name: self.value(member) for name, member in said.items()}
        return {name: member for name, member in settled.items() if member is not NOTHING}

    def _intrinsic(self, name: str, argument: Any) -> Any:
        match name:
            case "Ref":
                return NOTHING if argument == "AWS::NoValue" else self._reference(argument)
            case "Fn::GetAtt":
                return self._attribute(*(argument if isinstance(argument, list) else argument.split(".", 1)))
            case "Fn::Sub":
                text, own = argument if isinstance(argument, list) else (argument, {})
                return TOKEN.sub(lambda found: str(self._named(found[1], own)), text)
            case "Fn::If":
                return self.value(argument[1] if self.condition(argument[0]) else argument[2])
            case "Fn::FindInMap":
                name, *path = (str(self.value(one)) for one in argument)
                return self.document["Mappings"][name].get(path[0], {}).get(path[1], f"${{{name}}}")
            case "Fn::Join":
                return argument[0].join(str(one) for one in self.value(argument[1]))
            case _:
                return f"${{{name}}}"

    def _named(self, name: str, own: Mapping[str, Any]) -> Any:
        if name in own:
            return self.value(own[name])
        return self._attribute(*name.split(".", 1)) if "." in name else self._reference(name)

    def _reference(self, name: str) -> Any:
        if name in self.given:
            return self.given[name]
        default = self.document.get("Parameters", {}).get(name, {}).get("Default")
        return f"${{{name}}}" if default is None else default

    def _attribute(self, name: str, attribute: str) -> Any:
        output = attribute.removeprefix("Outputs.")
        child = self._child(name) if output != attribute else None
        said = child.document.get("Outputs", {}).get(output) if child else None
        return child.value(said["Value"]) if child and said else f"${{{name}.{attribute}}}"

    def _child(self, name: str) -> Evaluated | None:
        one = self.document["Resources"].get(name, {})
        address = one.get("Properties", {}).get("TemplateURL")
        if one.get("Type") != STACK or not isinstance(address, str):
            return None
        path = str(PurePosixPath(self.path).parent / address)
        given = _Given(self, one["Properties"].get("Parameters", {}))
        return Evaluated(path, self.nested[path], given, self.settle, self.nested) if path in self.nested else None

    def _truth(self, said: Any) -> bool:
        ((name, argument),) = said.items()
        match name:
            case "Fn::Equals":
                left, right = (str(self.value(one)) for one in argument)
                return left == right
            case "Fn::Not":
                return not self._truth(argument[0])
            case "Fn::And":
                return all(map(self._truth, argument))
            case "Fn::Or":
                return any(map(self._truth, argument))
            case "Condition":
                return self._truth(self.document["Conditions"][argument])
            case _:
                raise ValueError(f"{self.path}: a condition says {name}")


class _Given(Mapping[str, Any]):
    """What a nested stack is given, worked out when it is asked for: siblings may give each other different things.

    What is asked for while it is being worked out, in a circle, stays a token.
    """

    _asked: ClassVar[list[tuple[str, str]]] = []

    def __init__(self, giver: Evaluated, said: Mapping[str, Any]) -> None:
        self._giver, self._said = giver, said

    def __getitem__(self, name: str) -> Any:
        said = self._said[name]
        if (name, str(said)) in self._asked:
            return f"${{{name}}}"
        self._asked.append((name, str(said)))
        try:
            return self._giver.value(said)
        finally:
            self._asked.pop()

    def __iter__(self) -> Iterator[str]:
        return iter(self._said)

    def __len__(self) -> int:
        return len(self._said)


@dataclass(frozen=True)
class Deployment:
    """What is deployed together: one template and those that it nests."""

    parts: tuple[Evaluated, ...]

    def resources(self, *kinds: str) -> Iterator[Resource]:
        """Those of some types, of any where none is named."""
        for part in self.parts:
            yield from (one for one in part.resources.values() if not kinds or one.kind in kinds)


def deployment(path: str, documents: Mapping[str, Mapping[str, Any]], settle: Settle = bool) -> Deployment:
    """One of ``documents`` (by path), and those among them that it nests."""
    root = Evaluated(path, documents[path], {}, settle, documents)
    return Deployment((root, *root.children.values()))


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def texts(value: Any) -> Iterator[str]:
    """Every text within a value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for member in value.values():
            yield from texts(member)
    elif isinstance(value, list):
        for member in value:
            yield from texts(member)
