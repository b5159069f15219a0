"""What may become of the files of a siege that must not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

Kind = Literal["lost", "doubled", "wrong"]


class Finding(StrEnum):
    """One promise that is broken, whichever the file."""

    UNENDED = "messages that never came to an end"
    DIED = "workers that died though nobody killed them"
    NO_RESULT = "a file without a result"
    ANOTHER_RESULT = "a file with another result"
    NEVER_PUT = "a result of a file that was never put"
    OTHER_END = "another state or count"
    TOLD_OTHERWISE = "a job that is told to be otherwise"
    OTHER_VERSION = "planned for another version than it was done by"
    NOT_NAMED = "rows of which the result names no file"
    NAMED_FOR_NOTHING = "a file for no rows"
    GONE = "a file that a result names and that is not there"
    ROWS_MISSING = "rows that are not in their file"
    ROWS_TWICE = "rows that are in their file twice"
    OTHER_BYTES = "a file that an undisturbed worker would not write"
    WRITTEN_AGAIN = "a key that was written again"
    LEFT_OVER = "a file that belongs to no result"


LOST = frozenset({Finding.UNENDED, Finding.NO_RESULT, Finding.NOT_NAMED, Finding.GONE, Finding.ROWS_MISSING})
DOUBLED = frozenset({Finding.ANOTHER_RESULT, Finding.ROWS_TWICE, Finding.WRITTEN_AGAIN, Finding.LEFT_OVER})
KINDS: Mapping[Kind, frozenset[Finding]] = {
    "lost": LOST, "doubled": DOUBLED, "wrong": frozenset(Finding) - LOST - DOUBLED,
}  # fmt: skip
OF_THE_SIEGE = frozenset({Finding.UNENDED, Finding.DIED})
"""Where these are found, nothing else says anything of the files: they may not have been done yet."""


@dataclass
class Verdict:
    """How many rows and files each promise was broken to; ``why`` names some."""

    found: Counter[Finding] = field(default_factory=Counter)
    why: list[str] = field(default_factory=list)

    def count(self, kind: Kind) -> int:
        """All that was lost, done twice, or is wrong."""
        return sum(self.found[finding] for finding in KINDS[kind])

    @property
    def clean(self) -> bool:
        return not self.found.total()

    def says(self, finding: Finding, what: str, count: int = 1) -> None:
        if count:
            self.found[finding] += count
            self.why.append(f"{finding}: {what}")

    def tells_of(self, finding: Finding) -> bool:
        """Whether this was found of files that all were done to the end, by workers that none but we ended."""
        return self.found[finding] > 0 and not any(self.found[one] for one in OF_THE_SIEGE)

    def __add__(self, other: Verdict) -> Verdict:
        return Verdict(self.found + other.found, self.why + other.why)
