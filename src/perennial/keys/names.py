"""What may be one segment of a key."""

from __future__ import annotations

import hashlib
import re

PROBE = ".doctor/probe"
"""What `perennial doctor` writes, to see whether S3 keeps its promise."""
_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def segment(text: str) -> str:
    """Free text, such as an op_id, as one path segment: itself where that is safe, else named by its hash."""
    if _SAFE.fullmatch(text) and not text.startswith("sha256-"):
        return text
    return f"sha256-{hashlib.sha256(text.encode()).hexdigest()}"
