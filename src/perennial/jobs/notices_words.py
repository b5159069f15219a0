"""How the text of a notice is put together."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime


def paragraphs(*texts: str) -> str:
    """Plain text of those that say something."""
    return "\n\n".join(filter(None, texts))


def listed(lines: Iterable[str]) -> str:
    """One line each."""
    return "\n".join(f"- {line}" for line in lines)


def minute(moment: datetime) -> str:
    """A time (UTC) to the minute."""
    return f"{moment:%Y-%m-%d %H:%M} UTC"
