"""Identifiers: UUID version 7 (RFC 9562), sortable by time, from a time and randomness given."""

from __future__ import annotations


def uuid7(seconds: float, random: bytes) -> str:
    """A UUIDv7 for a moment (seconds since 1970) and ten random bytes."""
    value = int(seconds * 1000) << 80 | int.from_bytes(random[:10], "big")
    value = value & ~(0xF << 76) | 0x7 << 76  # version
    value = value & ~(0x3 << 62) | 0x2 << 62  # variant
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
