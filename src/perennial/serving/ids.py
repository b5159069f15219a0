"""Identifiers: UUID version 7 (RFC 9562), sortable by time, from a time and randomness given."""

from __future__ import annotations

import re
from datetime import UTC, datetime

PREDICTION_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def uuid7(seconds: float, random: bytes) -> str:
    """A UUIDv7 for a moment (seconds since 1970) and ten random bytes."""
    value = int(seconds * 1000) << 80 | int.from_bytes(random[:10], "big")
    value = value & ~(0xF << 76) | 0x7 << 76  # version
    value = value & ~(0x3 << 62) | 0x2 << 62  # variant
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def is_prediction_id(text: str) -> bool:
    """Whether a text has the form of an id that :func:`uuid7` makes."""
    return PREDICTION_ID.fullmatch(text) is not None


def moment_of(identifier: str) -> datetime:
    """When an id was made, to the millisecond (UTC): the day its prediction is kept under."""
    return datetime.fromtimestamp(int(identifier[:8] + identifier[9:13], 16) / 1000, UTC)


def day_of(identifier: str) -> str:
    """The UTC day an id was made on, as ``2026-11-21``."""
    return moment_of(identifier).strftime("%Y-%m-%d")
