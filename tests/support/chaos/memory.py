"""What was answered to each question before: where stale reads come from."""

from __future__ import annotations

from collections import defaultdict

from tests.support.chaos.faults import READS
from tests.support.chaos.wire import Message

KEPT = 4
"""Answers to one question that differ, the newest of them."""
LARGEST = 1 << 16
"""The longest body that is kept, in bytes."""


class Memory:
    """Keeps the answers to reads."""

    def __init__(self) -> None:
        self._answers: defaultdict[tuple[bytes | None, ...], list[Message]] = defaultdict(list)

    def keep(self, request: Message, answer: Message) -> None:
        """Keep an answer, unless the same is kept already."""
        if request.start.split(b" ", 1)[0].decode("latin-1") not in READS or len(answer.body) > LARGEST:
            return
        earlier = self._answers[_question(request)]
        if all(_tells(one) != _tells(answer) for one in earlier):
            earlier.append(answer)
            del earlier[:-KEPT]

    def earlier(self, request: Message, answer: Message, draw: float) -> Message | None:
        """Another answer to the same question than this one, by a ``draw`` in [0, 1); None where there is none."""
        others = [one for one in self._answers[_question(request)] if _tells(one) != _tells(answer)]
        return others[int(draw * len(others))] if others else None


def _question(request: Message) -> tuple[bytes | None, ...]:
    return (request.start, request.header(b"if-none-match"), request.header(b"if-match"), request.header(b"range"))


def _tells(answer: Message) -> tuple[bytes | None, ...]:
    """What tells an answer from another: its status, and what was read."""
    return (answer.start, answer.header(b"etag"), None if answer.start.split()[1] == b"404" else answer.body)
