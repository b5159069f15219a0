"""Canonical JSON: one value, one sequence of bytes. What hashes, ids and manifests are made of."""

from __future__ import annotations

import json


def canonical(value: object) -> bytes:
    """Sorted keys, no spaces, UTF-8. Raises ValueError for NaN and infinity, TypeError for what JSON cannot hold."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
