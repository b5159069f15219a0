"""What is known of a file that is scored: what was asked, the plan, how far it is, and how it ended.

All of it lies in S3 as small JSON objects, so that the API can tell of a file without what scores it. Only the
progress is ever replaced, and it decides nothing: the plan pins the version, and the result is the commit.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Literal, Self

from pydantic import model_validator

from perennial import keys
from perennial.canonical import Keyed, canonical

OutputFormat = Literal["csv", "parquet"]
State = Literal["waiting", "scoring", "joining", "done", "failed"]
STATES: tuple[State, ...] = ("waiting", "scoring", "joining", "done", "failed")
"""In the order in which a file goes through them."""
MAX_UPLOAD_BYTES = 5_000_000_000
"""The largest object that one PUT may bring."""
SPARK_BYTES = 10_000_000_000
"""From here on a file, or all files of a scheduled run together, are work for Spark."""


class BatchOptions(Keyed):
    """How a file is to come back; as :class:`perennial.spec.Batch` says it."""

    output: OutputFormat | None = None
    keep: bool | tuple[str, ...] = False


class BatchInput(Keyed):
    """One version of one object. ``version`` is None in an unversioned bucket: the ETag stands for it then."""

    bucket: str
    key: str
    version: str | None
    etag: str
    size: int

    @property
    def work(self) -> str:
        """Names the work on this input: 32 hexadecimal digits, the same for every event that tells of it."""
        identity = {"bucket": self.bucket, "key": self.key, "version": self.version or self.etag}
        return hashlib.sha256(canonical(identity)).hexdigest()[:32]


class BatchRequest(Keyed):
    """What a client of the API or the schedule asked for.

    ``size`` and ``name`` are the announced size in bytes and file name of an upload, ``input`` the object to score
    where it lies elsewhere. ``expires`` is when a client's links end.
    """

    model: str
    name: str
    options: BatchOptions
    created: datetime
    size: int | None = None
    input: BatchInput | None = None
    expires: datetime | None = None


class SparkRequest(Keyed):
    """What one job of Spark is to score: ``inputs`` by ``version`` of ``model``, all with the same ``options``.

    ``names`` are what the inputs are called in the keys of their outputs, in the order of ``inputs``.
    """

    model: str
    version: str
    inputs: tuple[BatchInput, ...]
    names: tuple[str, ...]
    options: BatchOptions

    @model_validator(mode="after")
    def _each_is_named(self) -> Self:
        if len(self.inputs) != len(self.names):
            raise ValueError("there is not one name for each input")
        return self


class BatchPart(Keyed):
    """A slice of the input: bytes ``start`` to ``end`` of a text, row groups ``start`` to ``end`` of Parquet.

    ``first`` is the number of rows before it, ``rows`` how many it has; None where nobody counted.
    """

    number: int
    start: int
    end: int
    first: int = 0
    rows: int | None = None


class BatchPlan(Keyed):
    """By which version of the model an input is scored, and in which parts. ``dialect`` is how the file is written."""

    model: str
    version: str
    input: BatchInput
    name: str
    options: BatchOptions
    output: OutputFormat
    dialect: str
    parts: tuple[BatchPart, ...]
    created: datetime


class BatchCounts(Keyed):
    """``rows`` that were read: always ``scored`` and ``quarantined`` together."""

    rows: int = 0
    scored: int = 0
    quarantined: int = 0

    def __add__(self, other: BatchCounts) -> BatchCounts:
        return BatchCounts(
            rows=self.rows + other.rows,
            scored=self.scored + other.scored,
            quarantined=self.quarantined + other.quarantined,
        )


class Preview(Keyed):
    """The first rows of the output, as text: what a page shows before anything is downloaded."""

    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()


class BatchScored(Keyed):
    """What came of one part of a file: its counts, what was unusual, and its first rows."""

    counts: BatchCounts
    warnings: tuple[str, ...] = ()
    preview: Preview


class BatchProgress(Keyed):
    """How far a file is. Bytes are those of the input; ``parts_done`` of ``parts`` are done."""

    state: State
    model: str
    version: str | None
    counts: BatchCounts
    bytes_done: int
    bytes_total: int
    parts_done: int
    parts: int
    updated: datetime

    def not_behind(self, told: BatchProgress) -> Self:
        """This, and of what was ``told`` before whatever was further: several who each know a part tell by turns."""
        further: dict[str, object] = {
            "state": max(self.state, told.state, key=STATES.index),
            "counts": told.counts if told.counts.rows > self.counts.rows else self.counts,
            "bytes_done": max(self.bytes_done, told.bytes_done),
            "parts_done": max(self.parts_done, told.parts_done),
        }
        return self.model_copy(update=further)


class BatchOutput(Keyed):
    """A file that came of it. ``size`` in bytes."""

    key: str
    size: int
    media_type: str


class BatchResult(Keyed):
    """How it ended. ``reason`` is why it failed; ``warnings`` are what was unusual of a file that was scored."""

    state: Literal["done", "failed"]
    model: str
    version: str | None
    input: BatchInput
    name: str
    counts: BatchCounts
    warnings: tuple[str, ...] = ()
    reason: str | None = None
    scored: BatchOutput | None = None
    quarantined: BatchOutput | None = None
    preview: Preview = Preview()
    started: datetime
    ended: datetime


def job_of(secret: str) -> str:
    """The name in S3 of a job whose client holds ``secret``: who sees the one cannot tell the other."""
    return hashlib.sha256(f"perennial.batch:{secret}".encode()).hexdigest()[:32]


def uploaded_job(model: str, key: str) -> str | None:
    """The job a key was uploaded for, or None where it was not uploaded through the API."""
    prefix = keys.batch_in(model, "api/")
    parts = key.removeprefix(prefix).split("/") if key.startswith(prefix) else []
    return parts[0] if len(parts) == 2 and len(parts[0]) == 32 else None
