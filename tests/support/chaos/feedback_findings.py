"""What may become of labels that must not, whichever the label."""

from __future__ import annotations

from collections import Counter
from enum import StrEnum


class Finding(StrEnum):
    """One promise to callers that is broken."""

    GONE = "a label that was taken and is not there"
    REPLACED = "a label that was taken, where another stands"
    LEFT_OUT = "a label that was taken and was not collected"
    TWICE = "a label that was collected twice"
    FROM_NOWHERE = "a label that was collected and never taken"
    FORGED = "a label that was taken by a token not its own"
    MISTAKEN = "an answer that is none to such a call"
    UNENDED = "a collector that never came to an end"
    DIED = "a function that died though nobody killed it"


LOST = frozenset({Finding.GONE, Finding.REPLACED, Finding.LEFT_OUT})
OF_THE_SIEGE = frozenset({Finding.UNENDED, Finding.DIED})
"""Where these are found, nothing else says anything of the labels: not all may have been told, or collected."""


class Verdict(Counter[Finding]):
    """How often each promise was broken."""

    @property
    def losses(self) -> tuple[int, int, int]:
        """How much was lost, counted twice, and wrong."""
        lost, doubled = sum(self[one] for one in LOST), self[Finding.TWICE]
        return lost, doubled, self.total() - lost - doubled

    def tells_of(self, *findings: Finding) -> bool:
        """Whether one of these was found, all labels being told and collected by functions that none but we ended."""
        return any(self[one] for one in findings) and not any(self[one] for one in OF_THE_SIEGE)
