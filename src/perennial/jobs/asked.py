"""A step that is to run, and what it takes; wherever it runs. Imports nothing of ours, so that DAG files may."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

LONGEST = 4_000
"""Of one argument as JSON has it: AWS takes 8,192 characters of JSON for all that a job is told."""


@dataclass(frozen=True)
class Asked:
    """A step by its name, the place of its spec (a path), and its arguments by name."""

    step: str
    place: str
    arguments: Mapping[str, str | bool | None]

    def options(self) -> list[str]:
        """The arguments as options of ``python -m perennial.jobs``; what is None or False is left out.

        A text that no process takes as an argument, such as somebody's long reason, is shortened.
        """
        found: list[str] = []
        for name, value in self.arguments.items():
            if value is True:
                found.append(f"--{name}")
            elif value is not None and value is not False:
                # One word, or a text that begins with a hyphen would be an option.
                found.append(f"--{name}={_argument(value)}")
        return found


def _argument(text: str) -> str:
    """The text as far as it can be an argument, here or of a job."""
    kept = text = text.encode(errors="replace").decode().replace("\0", "?")
    while len(json.dumps(kept)) > LONGEST:
        kept = kept[: len(kept) * 9 // 10]
    return kept if kept == text else f"{kept}…"
