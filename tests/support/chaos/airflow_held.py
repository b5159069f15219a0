"""What buckets hold, to be compared with what they would hold had nothing gone wrong."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from perennial import keys
from perennial.jobs.page.publishing import PAGE_FILE
from perennial.registry.log import CHAMPION

MODEL = "shop"
TIMES = frozenset({"at", "time", "until", "signature"})
"""Fields that are another's each time: when something was done, and ECDSA's signatures."""
_MINUTE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC")
Bucket = Literal["data", "site"]
BUCKETS: tuple[Bucket, ...] = ("data", "site")
Objects = Mapping[tuple[Bucket, str], bytes]
REPLACED: frozenset[tuple[Bucket, str]] = frozenset({
    ("data", keys.training_lock(MODEL)), ("data", keys.alias(MODEL, CHAMPION)), ("site", keys.PAGE_INDEX),
    ("site", keys.page_data(MODEL, PAGE_FILE)),
})  # fmt: skip
"""All else is written once."""


@dataclass(frozen=True)
class Held:
    """What buckets hold: of each object a digest of its content less its times, and how many versions it has."""

    contents: Mapping[tuple[Bucket, str], str]
    versions: Mapping[tuple[Bucket, str], int]
    violations: tuple[str, ...]


def timeless(value: Any) -> Any:
    """JSON without the fields that tell times, and without the minutes that texts for people name."""
    if isinstance(value, dict):
        return {name: timeless(each) for name, each in value.items() if name not in TIMES}
    if isinstance(value, list):
        return [timeless(each) for each in value]
    return _MINUTE.sub("then", value) if isinstance(value, str) else value


def fingerprint(key: str, data: bytes) -> str:
    """A digest of an object; of JSON without its times."""
    if key.endswith(".json"):
        data = json.dumps(timeless(json.loads(data)), sort_keys=True).encode()
    return hashlib.sha256(data).hexdigest()
