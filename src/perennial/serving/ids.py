"""Identifiers: UUID version 7 (RFC 9562), sortable by time, from a time and randomness given."""

from __future__ import annotations

import re
from datetime import UTC, datetime

PREDICTION_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def uuid7(seconds: float, random: bytes) -> str:
    """A UUIDv7 for a moment (seconds since 1970) and ten random bytes."""
    time, drawn = f"{int(seconds * 1000):012x}", random[:10].hex()
    variant = "89ab"[random[2] >> 4 & 3]
    return f"{time[:8]}-{time[8:]}-7{drawn[1:4]}-{variant}{drawn[5:8]}-{drawn[8:]}"


def is_prediction_id(text: str) -> bool:
    """Whether a text has the form of an id that :func:`uuid7` makes."""
    return PREDICTION_ID.fullmatch(text) is not None


def moment_of(identifier: str) -> datetime:
    """When an id was made, to the millisecond (UTC): the day its prediction is kept under."""
    return datetime.fromtimestamp(int(identifier[:8] + identifier[9:13], 16) / 1000, UTC)


def day_of(identifier: str) -> str:
    """The UTC day an id was made on, as ``2026-11-21``."""
    return moment_of(identifier).strftime("%Y-%m-%d")
