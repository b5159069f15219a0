"""Conditions and parameters of a template, as far as values say, where services are told by their own APIs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

NOTHING = {"Ref": "AWS::NoValue"}


@dataclass(frozen=True)
class Resolver:
    """What ``template`` means where its parameters have ``values``."""

    template: Mapping[str, Any]
    values: Mapping[str, Any]

    def resolved(self, part: Any) -> Any:
        """A part of the template with what ``!Ref`` and ``!If`` stand for; what is not known stays as it is."""
        match part:
            case {"Ref": str(name)} if name in self.values:
                number = self.template.get("Parameters", {}).get(name, {}).get("Type") == "Number"
                return int(self.values[name]) if number else self.values[name]
            case {"Fn::If": [str(condition), then, other]}:
                return self.resolved(then if self.holds(condition) else other)
            case dict():
                members = {name: self.resolved(member) for name, member in part.items()}
                return {name: member for name, member in members.items() if member != NOTHING}
            case list():
                return [member for member in map(self.resolved, part) if member != NOTHING]
            case _:
                return part

    def holds(self, condition: str) -> bool:
        """Whether a condition of the template holds."""
        return self._true(self.template["Conditions"][condition])

    def _true(self, said: Any) -> bool:
        match said:
            case {"Fn::Equals": [one, other]}:
                return str(self.resolved(one)) == str(self.resolved(other))
            case {"Fn::Not": [one]}:
                return not self._true(one)
            case {"Condition": str(name)}:
                return self.holds(name)
            case _:
                raise ValueError(f"{said}: conditions are read only as Equals, Not and the names of others")
