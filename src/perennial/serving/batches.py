"""From captured lines to the objects they become. Pure: the same lines give the same objects, under the same keys."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from perennial import keys
from perennial.registry.manifest import is_model_name
from perennial.serving.captured import parse
from perennial.serving.ids import day_of, is_prediction_id, moment_of


@dataclass(frozen=True)
class Batch:
    """One object to be: JSON lines of one model and UTC day, in the order of their predictions."""

    key: str
    data: bytes
    lines: int


def batches(lines: Iterable[str]) -> tuple[Batch, ...]:
    """One object for each model and day; any other line, and a line that stands twice, is left out."""
    groups: dict[tuple[str, str], set[tuple[str, str]]] = {}
    for text in lines:
        line = text.strip()
        found = None if "\n" in line or "\r" in line else parse(line)  # JSON may hold both, and a line cannot
        if found is not None and is_model_name(found.model) and _is_dated(found.prediction_id):
            group = groups.setdefault((found.model, day_of(found.prediction_id)), set())
            group.add((found.prediction_id, line))
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
