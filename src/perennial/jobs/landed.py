"""Which models have new files, by the messages with which S3 tells of objects.

Anyone may put anything into a queue, and S3 itself sends a test: what is no new file of a model is passed over with a
word, and never an error, or it would come back for ever.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote_plus

from pydantic import BaseModel, Field, JsonValue, ValidationError

from perennial import keys

SHOWN = 3


@dataclass(frozen=True)
class Arrival:
    """New files of one model. ``run_id`` follows from the events alone: told of again, they start the same run."""

    model: str
    run_id: str
    keys: tuple[str, ...]

    @property
    def because(self) -> str:
        """Why to train, for people."""
        more = f" and {len(self.keys) - SHOWN} more" if len(self.keys) > SHOWN else ""
        return f"new files: {', '.join(self.keys[:SHOWN])}{more}"


@dataclass(frozen=True)
class Arrivals:
    """What some messages tell: a training for each model with new files, and why the rest was passed over."""

    trainings: tuple[Arrival, ...]
    ignored: tuple[str, ...]


class _Object(BaseModel):
    key: str = Field(min_length=1)
    sequencer: str = ""
    etag: str = Field(default="", alias="eTag")


class _Bucket(BaseModel):
    name: str


class _S3(BaseModel):
    bucket: _Bucket
    object: _Object


class _Event(BaseModel):
    name: str = Field(alias="eventName")
    s3: _S3


class _Message(BaseModel):
    test: str | None = Field(default=None, alias="Event")
    records: list[JsonValue] | None = Field(default=None, alias="Records")


def arrivals(bodies: Iterable[str], models: Collection[str], bucket: str | None = None) -> Arrivals:
    """Read the bodies of messages from S3 (its notifications, as JSON).

    Only files that were put into the landing folder of one of ``models`` count, and of those none that Perennial
    collected from predictions or gathered: a training made them. With ``bucket`` given, another one's are foreign.
    """
    found: dict[str, dict[str, str]] = {}
    ignored: list[str] = []
    for body in bodies:
        for told in _events(body):
            if isinstance(told, str):
                ignored.append(told)
                continue
            key = unquote_plus(told.s3.object.key)
            model = key.partition("/")[0]
            if reason := _foreign(told, key, model, models, bucket):
                ignored.append(reason)
                continue
            found.setdefault(model, {})[f"{key}\n{told.s3.object.sequencer or told.s3.object.etag}"] = key
    trainings = [
        Arrival(model, _run_id(events), tuple(sorted(set(events.values())))) for model, events in sorted(found.items())
    ]
    return Arrivals(tuple(trainings), tuple(ignored))


def _events(body: str) -> Iterator[_Event | str]:
    """The events in a message, or why there is none."""
    try:
        message = _Message.model_validate_json(body)
    except ValidationError:
        yield f"no message of S3: {body[:80]!r}"
        return
    if message.records is None:
        yield "S3's test message" if message.test == "s3:TestEvent" else f"no message of S3: {body[:80]!r}"
        return
    for record in message.records:
        yield _event(record)


def _event(record: Any) -> _Event | str:
    try:
        return _Event.model_validate(record)
    except ValidationError:
        return f"no event of S3: {str(record)[:80]!r}"


def _foreign(told: _Event, key: str, model: str, models: Collection[str], bucket: str | None) -> str | None:
    """Why an object is no new file of a model."""
    if bucket is not None and told.s3.bucket.name != bucket:
        return f"{key}: of bucket {told.s3.bucket.name}"
    if not told.name.removeprefix("s3:").startswith("ObjectCreated:"):
        return f"{key}: {told.name}"
    if model not in models or not key.startswith(keys.landing(model)):
        return f"{key}: in no model's landing folder"
    if keys.landing_kind(model, key) != "landed":
        return f"{key}: collected from predictions"
    if keys.is_gathered(model, key):
        return f"{key}: gathered from landing"
    if key.endswith("/") or PurePosixPath(key).name[:1] in ("_", "."):
        return f"{key}: no data"
    return None


def _run_id(events: Iterable[str]) -> str:
    return f"files__{hashlib.sha256(chr(10).join(sorted(events)).encode()).hexdigest()[:20]}"
