"""What is told, and what came of telling it."""

from __future__ import annotations

import unicodedata
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

EventKind = Literal["promoted", "rejected", "rolled_back", "drift", "decay", "failed", "approval", "trial", "test"]
Channel = Literal["topic", "slack"]

MAX_SUBJECT = 99
"""SNS takes fewer than 100 characters, all of them ASCII."""

MAX_TEXT = 8_000
"""Characters; far below what SNS (256 KiB) and Slack (40,000 characters) take."""


class Notice(BaseModel):
    """One message to people.

    ``event`` identifies what happened: of notices with the same one, one is sent. ``text`` is plain, ``link`` a page
    that says more.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    kind: EventKind
    event: str
    subject: str
    text: str
    at: datetime
    link: str | None = None

    @property
    def headline(self) -> str:
        """The subject as a mail's: one line of ASCII that begins with a visible character."""
        plain = unicodedata.normalize("NFKD", self.subject).encode("ascii", "ignore").decode()
        line = " ".join("".join(each if each.isprintable() else " " for each in plain).split())
        return _cut(line, MAX_SUBJECT) or f"{self.model}: {self.kind}"

    @property
    def body(self) -> str:
        """The text as it is sent: not too long, and without what UTF-8 cannot say, such as half of a file's name."""
        return _cut(self.text.encode(errors="replace").decode().strip(), MAX_TEXT)


class Told(BaseModel):
    """What came of a notice: the channels it went out by now, and one line for each that it did not.

    ``note`` says why nothing was sent where that is no problem: it was told before, or nobody wants to be told.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    sent: bool
    channels: tuple[Channel, ...] = ()
    problems: tuple[str, ...] = ()
    note: str = ""


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 4].rstrip()} ..."
