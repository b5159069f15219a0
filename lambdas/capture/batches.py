"""From what CloudWatch Logs delivers to the objects it becomes. Pure: the same delivery gives the same objects."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from perennial import keys
from perennial.errors import IntegrityError
from perennial.registry.manifest import is_model_name
from perennial.serving.captured import parse
from perennial.serving.ids import day_of, is_prediction_id, moment_of

MAX_BYTES = 32 * 1024 * 1024
"""A delivery is bounded by what a function may be called with; a small one that unpacks to more is none of ours."""

_GZIP = 31  # zlib's word for a gzip header and trailer


@dataclass(frozen=True)
class Batch:
    """One object to be: JSON lines of one model and UTC day, in the order of their predictions."""

    key: str
    data: bytes
    lines: int


def read_delivery(event: Mapping[str, Any]) -> tuple[str, ...]:
    """The log lines that CloudWatch Logs delivers; none where it only tries the way.

    Raises:
        IntegrityError: it is no delivery, damaged, cut short or unpacks to too much.
    """
    try:
        packed = base64.b64decode(event["awslogs"]["data"], validate=True)
        unpacking = zlib.decompressobj(_GZIP)
        data = unpacking.decompress(packed, MAX_BYTES)
        if not unpacking.eof:
            raise IntegrityError(f"A delivery of log lines is cut short, or unpacks to more than {MAX_BYTES} bytes.")
        delivery = json.loads(data)
        if delivery["messageType"] != "DATA_MESSAGE":
            return ()
        return tuple(str(line["message"]) for line in delivery["logEvents"])
    except (KeyError, TypeError, ValueError, binascii.Error, zlib.error, RecursionError) as error:
        raise IntegrityError(f"A delivery of log lines is damaged: {type(error).__name__}.") from error


def batches(lines: Iterable[str]) -> tuple[Batch, ...]:
    """One object for each model and day; any other line, and a line that stands twice, is left out."""
    groups: dict[tuple[str, str], set[tuple[str, str]]] = {}
    for line in lines:
        found = parse(line)
        if found is not None and is_model_name(found.model) and _is_dated(found.prediction_id):
            group = groups.setdefault((found.model, day_of(found.prediction_id)), set())
            group.add((found.prediction_id, line.strip()))
    return tuple(_batch(model, day, sorted(group)) for (model, day), group in sorted(groups.items()))


def _is_dated(identifier: str) -> bool:
    """Whether an id is one of ours, of a day that the calendar has."""
    try:
        return is_prediction_id(identifier) and bool(day_of(identifier))
    except (ValueError, OverflowError):
        return False


def _batch(model: str, day: str, lines: list[tuple[str, str]]) -> Batch:
    data = "".join(line + "\n" for _, line in lines).encode()
    first, last = (_clock(identifier) for identifier in (lines[0][0], lines[-1][0]))
    key = keys.prediction_batch(model, day, first, last, hashlib.sha256(data).hexdigest())
    return Batch(key, data, len(lines))


def _clock(identifier: str) -> str:
    """``HHMMSSmmm`` of the moment an id was made."""
    moment = moment_of(identifier)
    return f"{moment:%H%M%S}{moment.microsecond // 1000:03d}"
