"""The line of JSON that a server writes of each prediction, composed at a few microseconds a line.

Reading one back is `captured.parse`; what a line holds is said there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import NamedTuple

from pydantic import BaseModel
from pydantic_core import to_json

from perennial.serving.captured import KIND, Role
from perennial.serving.predictor import Prediction
from perennial.serving.refresh import Snapshot
from perennial.serving.traffic import Answers

MAX_LINE_BYTES = 262_144 - 26
"""The largest event CloudWatch Logs takes, less what it adds to each. A longer line would arrive cut, and be lost."""

_NOT_ASCII = re.compile(r"[^\x00-\x7f]+")


class Lines(NamedTuple):
    """What is to be written of one request: whole lines, and how many predictions could not have theirs."""

    text: str
    lost: int


NOTHING = Lines("", 0)


class Occasion(NamedTuple):
    """When the predictions of one request were made (ISO 8601, UTC), and the request's id."""

    time: str
    request_id: str


@dataclass(slots=True)
class _Counts:
    """Of one model: predictions that were served, lines that took a number, and those of shadows."""

    served: int = 0
    written: int = 0
    shadows: int = 0


class Capture:
    """Writes the lines of one server process, which is called ``instance`` in them, and counts them by model."""

    def __init__(self, instance: str) -> None:
        self._instance = instance
        self._counts: dict[str, _Counts] = {}

    def lines(
        self,
        snapshot: Snapshot,
        occasion: Occasion,
        records: Sequence[BaseModel],
        predictions: Sequence[Prediction],
        prediction_ids: Sequence[str],
        *,
        withheld: Collection[str] = (),
        answers: Answers | None = None,
    ) -> Lines:
        """The lines of one answered request, for the share of its predictions that the spec wants kept.

        A prediction whose line is too long takes a number all the same, so that its loss shows as a gap; and so does
        one that is ``withheld``, because the picture it is about could not be stored. ``answers`` says whose the
        predictions are, and what was asked beside; without it they are the champion's. A shadow's line follows that of
        its prediction.
        """
        spec, entry = snapshot.predictor.manifest.spec, snapshot.champion.entry
        model, share = spec.name, spec.monitor.capture
        counts = self._counts.get(model) or self._counts.setdefault(model, _Counts())
        served, number = counts.served, counts.written
        counts.served += len(predictions)
        if not share:
            return NOTHING
        asked = answers or Answers(predictions, entry.version, snapshot.predictor)
        start, end = self._start(model, entry.generation, occasion, asked.version, asked.role), "}\n"
        if asked.error is not None:
            end = f',"challenger_error":"{asked.error}"}}\n'
        found: list[str] = []
        kept: dict[str, int] = {}
        lost = 0
        for record, prediction, identifier in zip(records, predictions, prediction_ids, strict=True):
            served += 1
            if share < 1 and not is_sampled(identifier, share):
                continue
            number += 1
            if identifier in withheld:
                lost += 1
                continue
            sent = record.__pydantic_serializer__.to_json(record, by_alias=True, exclude_unset=True).decode()
            line = (
                f'{start}"prediction_id":"{identifier}","number":{number},"served":{served},"record":{sent},'
                f'"prediction":{_answer(prediction)}{end}'
            )
            if not line.isascii():  # separators of lines other than \n are no line's end to all who read a log
                line = _NOT_ASCII.sub(_escaped, line)
            if len(line) > MAX_LINE_BYTES:
                lost += 1
            else:
                found.append(line)
                kept[identifier] = served
        counts.written = number
        if asked.beside is not None:
            shadow = self._start(model, entry.generation, occasion, asked.beside.version, "shadow")
            found += _shadows(shadow, counts, kept, zip(prediction_ids, asked.beside.predictions, strict=True))
        return Lines("".join(found), lost)

    def _start(self, model: str, generation: int, occasion: Occasion, version: str, role: Role) -> str:
        """What the lines of one request begin with that are by the same version."""
        return (
            f'{{"kind":"{KIND}","model":"{model}","version":"{version}","generation":{generation},'
            f'"time":"{occasion.time}","request_id":{to_json(occasion.request_id).decode()},'
            f'"instance":"{self._instance}","role":"{role}",'
        )


def _shadows(
    start: str, counts: _Counts, kept: Mapping[str, int], predictions: Iterable[tuple[str, Prediction]]
) -> Iterator[str]:
    """The lines of what was asked beside, for the predictions whose own line is kept: by id what was served then."""
    for identifier, prediction in predictions:
        served = kept.get(identifier)
        if served is None:
            continue
        counts.shadows += 1
        line = (
            f'{start}"prediction_id":"{identifier}","number":{counts.shadows},"served":{served},"record":{{}},'
            f'"prediction":{_answer(prediction)}}}\n'
        )
        yield line if line.isascii() else _NOT_ASCII.sub(_escaped, line)


def is_sampled(prediction_id: str, share: float) -> bool:
    """Whether a prediction belongs to the share (0 to 1) that is kept: the same for the same id, whoever asks."""
    if share >= 1:
        return True
    return int.from_bytes(blake2b(prediction_id.encode(), digest_size=8).digest(), "big") < share * 2**64


def _answer(prediction: Prediction) -> str:
    """What was answered, from its value on."""
    value = to_json(prediction.prediction).decode()
    if prediction.probabilities is None:
        return value
    return f'{value},"probabilities":{to_json(prediction.probabilities).decode()}'


def _escaped(found: re.Match[str]) -> str:
    """Text of a JSON string as JSON may also spell it: in ASCII."""
    return json.dumps(found[0])[1:-1]
