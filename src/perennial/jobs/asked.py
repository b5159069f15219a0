"""A step that is to run, and what it takes; wherever it runs. Imports nothing, so that DAG files may."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Asked:
    """A step by its name, the place of its spec (a path), and its arguments by name."""

    step: str
    place: str
    arguments: Mapping[str, str | bool | None]

    def options(self) -> list[str]:
        """The arguments as options of ``python -m perennial.jobs``; what is None or False is left out."""
        found: list[str] = []
        for name, value in self.arguments.items():
            if value is True:
                found.append(f"--{name}")
            elif value is not None and value is not False:
                found.append(f"--{name}={value}")  # one word, or a text that begins with a hyphen would be an option
        return found
