"""From what a message tells to the file that is to be scored, and how: an order."""

from __future__ import annotations

from dataclasses import dataclass

from perennial import keys
from perennial.errors import NotFoundError
from perennial.scoring.batch.bench import Bench
from perennial.scoring.batch.events import Dropped, Ignored, Requested
from perennial.serving.batch_job import BatchInput, BatchOptions, BatchRequest, uploaded_job

GONE = "It was removed or replaced before it was scored. Put it again."
LONGEST_KEY = 900
"""Bytes. Results lie under the name of their input and a few folders, and S3 takes 1,024."""


@dataclass(frozen=True)
class Order:
    """A file to be scored. ``work`` names the work on it, ``name`` the file, for people and in the keys of its results.

    ``options`` None: as the model's spec says. ``refused`` is why it cannot even be read.
    """

    model: str
    work: str
    name: str
    input: BatchInput
    options: BatchOptions | None
    refused: str | None = None


def order_of(bench: Bench, told: Dropped | Requested) -> Order | Ignored:
    """The order that a file or a request means.

    Raises:
        IntegrityError: a request is malformed.
        StoreUnavailable: S3 does not answer.
    """
    return _dropped(bench, told) if isinstance(told, Dropped) else _requested(bench, told)


def _dropped(bench: Bench, told: Dropped) -> Order | Ignored:
    name = told.key.removeprefix(keys.batch_in(told.model))
    known = BatchInput(
        bucket=bench.bucket, key=told.key, version=told.version, etag=told.etag or "", size=told.size or 0
    )
    refused = _unusable(told.key)
    if refused is None and (told.version is None or told.etag is None or told.size is None):
        try:
            head = bench.store.head(told.key, told.version)
        except NotFoundError:
            refused = GONE
        else:
            known = known.model_copy(update={"version": head.version, "etag": head.etag, "size": head.size})
    job = uploaded_job(told.model, told.key)
    request = _request(bench, told.model, job) if job else None
    if request is None or job is None:
        return Order(told.model, known.work, name, known, None, refused)
    return Order(told.model, job, name, known, request.options, refused)


def _requested(bench: Bench, told: Requested) -> Order | Ignored:
    key = keys.batch_request(told.model, told.job)
    request = _request(bench, told.model, told.job)
    if request is None:
        return Ignored(key, "it was withdrawn")
    if request.input is None:
        return Ignored(key, "its upload tells of itself")
    return order_for(told.model, request.name, request.input, request.options)


def order_for(model: str, name: str, found: BatchInput, options: BatchOptions) -> Order:
    """The order that says all of itself: a file wherever it lies, and what it is to be called."""
    refused = _unusable(found.key) or _unusable(keys.batch_in(model, name))
    return Order(model, found.work, name, found, options, refused)


def _request(bench: Bench, model: str, job: str) -> BatchRequest | None:
    key = keys.batch_request(model, job)
    found = bench.store.find(key)
    return BatchRequest.from_bytes(found.data, key) if found else None


def _unusable(key: str) -> str | None:
    """Why no result could be filed under this key, or nothing."""
    if any(part in ("", ".", "..") for part in key.split("/")):
        return "Its key has an empty folder, or one that is called . or .., between two slashes. Put it under another."
    if any(ord(sign) < 32 or ord(sign) == 127 for sign in key):
        return "Its key holds a control character. Put it under another."
    if len(key.encode()) > LONGEST_KEY:
        return f"Its key is longer than {LONGEST_KEY} bytes. Put it under a shorter one."
    return None
