"""What the messages of the scoring queue tell: each is S3's word that an object was created, and nothing else.

EventBridge and S3's own notifications say it differently, and a redriven message comes as it was. Anyone may also put
an object anywhere: what is none of ours is passed over with a reason, because it would come back for ever otherwise.
What is no word of S3 at all is an error, because someone has to look at it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus

from pydantic import BaseModel, Field, JsonValue, ValidationError

from perennial import keys
from perennial.errors import IntegrityError
from perennial.registry.manifest import is_model_name

JOIN = "join"
FOLDER_MARK = "_$folder$"
"""How programs of Hadoop end the names of the objects that stand for their folders."""
_PART = re.compile(r"part-(\d{6})")


@dataclass(frozen=True)
class Dropped:
    """A file below ``batch/in``. What the event did not say of it is None; ``etag`` is in quotes, as S3 gives it."""

    model: str
    key: str
    version: str | None
    etag: str | None
    size: int | None


@dataclass(frozen=True)
class Requested:
    """Someone asked for a scoring: an upload that is still to come, or a file that lies elsewhere."""

    model: str
    job: str


@dataclass(frozen=True)
class Tasked:
    """A piece of the work on a file: the part of that number, or with None the join."""

    model: str
    work: str
    part: int | None


@dataclass(frozen=True)
class Ignored:
    """Nothing to do, and why."""

    key: str
    why: str


Told = Dropped | Requested | Tasked | Ignored


class _Bucket(BaseModel):
    name: str


class _Object(BaseModel):
    """EventBridge and S3 spell these two differently."""

    key: str = Field(min_length=1)
    size: int | None = None
    etag: str | None = None
    etag_of_s3: str | None = Field(default=None, alias="eTag")
    version: str | None = Field(default=None, alias="version-id")
    version_of_s3: str | None = Field(default=None, alias="versionId")


class _Place(BaseModel):
    bucket: _Bucket
    object: _Object


class _Record(BaseModel):
    name: str = Field(alias="eventName")
    s3: _Place


class _Message(BaseModel):
    source: str | None = None
    kind: str | None = Field(default=None, alias="detail-type")
    detail: JsonValue = None
    records: list[JsonValue] | None = Field(default=None, alias="Records")
    test: str | None = Field(default=None, alias="Event")


def part_task(number: int) -> str:
    """The name of the task that scores a part."""
    return f"part-{number:06d}"


def is_data(name: str) -> bool:
    """Whether a file below some folder is data, as Hive, Athena and Spark see it; no mark of a folder or a program.

    A name that begins with ``.`` or ``_`` hides what is below it, but for a partition's, such as ``_day=1``.
    """
    return not (name.endswith(FOLDER_MARK) or any(_is_hidden(part) for part in name.split("/")))


def _is_hidden(part: str) -> bool:
    return (part.startswith(".") and part not in (".", "..")) or (part.startswith("_") and "=" not in part)


def read_message(body: str, bucket: str) -> tuple[Told, ...]:
    """What one message tells of ``bucket``.

    Raises:
        IntegrityError: it is no message of S3 or EventBridge.
    """
    try:
        message = _Message.model_validate_json(body)
        if message.source == "aws.s3" and message.kind is not None:
            place = _Place.model_validate(message.detail)
            return (_told(place, place.object.key, message.kind == "Object Created", bucket),)
        if message.records is not None:
            return tuple(_of_s3(_Record.model_validate(record), bucket) for record in message.records)
    except ValidationError as error:
        raise _unreadable() from error
    if message.test == "s3:TestEvent":
        return (Ignored("", "S3's test message"),)
    raise _unreadable()


def _unreadable() -> IntegrityError:
    return IntegrityError("A message of the scoring queue is no word of S3.", remedy="Find out who sent it; delete it.")


def _of_s3(record: _Record, bucket: str) -> Told:
    created = record.name.removeprefix("s3:").startswith("ObjectCreated:")
    return _told(record.s3, unquote_plus(record.s3.object.key), created, bucket)


def _told(place: _Place, key: str, created: bool, bucket: str) -> Told:
    if place.bucket.name != bucket:
        return Ignored(key, f"it lies in the bucket {place.bucket.name}")
    if not created:
        return Ignored(key, "no object was created")
    model = key.partition("/")[0]
    if not is_model_name(model):
        return Ignored(key, "no model can have the name of its first folder")
    return _dropped(model, key, place.object) or _asked(model, key) or Ignored(key, "it is no work of the scoring")


def _dropped(model: str, key: str, told: _Object) -> Told | None:
    if not key.startswith(keys.batch_in(model)):
        return None
    if key.endswith("/") or not is_data(key.removeprefix(keys.batch_in(model))):
        return Ignored(key, "a folder, or a marker of some program")
    etag = told.etag or told.etag_of_s3
    quoted = f'"{etag.strip(chr(34))}"' if etag else None
    return Dropped(model, key, told.version or told.version_of_s3, quoted, told.size)


def _asked(model: str, key: str) -> Told | None:
    """A request or a task: a key that is spelled exactly as :mod:`perennial.keys` spells it."""
    folder, _, name = key.removesuffix(".json").rpartition("/")
    work = folder.rsplit("/", 1)[-1]
    if key == keys.batch_request(model, name):
        return Requested(model, name)
    if key != keys.batch_task(model, work, name):
        return None
    part = _PART.fullmatch(name)
    if part is None and name != JOIN:
        return Ignored(key, "no such task")
    return Tasked(model, work, int(part[1]) if part else None)


def described(told: Told) -> dict[str, Any]:
    """What a log line says of it: keys, never values."""
    return {name: value for name, value in vars(told).items() if name in ("model", "key", "job", "work", "part", "why")}
