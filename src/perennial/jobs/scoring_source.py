"""Where a schedule finds files to score, and which of them are new, in two listings and one look at each new file."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from perennial import keys
from perennial.canonical import canonical
from perennial.errors import AlreadyExistsError, NotFoundError, SettingsError, SpecError
from perennial.jobs.scoring_policy import MOST_FILES
from perennial.jobs.scoring_results import ScoringFile
from perennial.jobs.side_by_side import side_by_side
from perennial.jobs.workspace import Workspace
from perennial.scoring.batch.events import is_data
from perennial.serving.batch_job import BatchInput, BatchResult, uploaded_job
from perennial.settings import Settings
from perennial.store import Store
from perennial.store_objects import Entry
from perennial.store_opening import open_store

Opened = Callable[[Settings], Store]


@dataclass(frozen=True)
class Place:
    """Files lie under ``prefix`` of ``bucket``, which ``store`` reads; ``own`` is whether it is the model's bucket."""

    store: Store
    bucket: str
    prefix: str
    own: bool


@dataclass(frozen=True)
class Found:
    """What lies at a place: ``new`` files have no result yet, ``done`` counts those that were scored before.

    ``failed`` names those that could not be, and that were not replaced since. ``left`` counts files that are new,
    and for which one run has no room.
    """

    new: tuple[ScoringFile, ...]
    done: int
    failed: tuple[str, ...]
    left: int = 0


def place_of(w: Workspace, opened: Opened = open_store) -> Place:
    """Where the spec says that files are. ``opened`` opens a bucket that is not the model's own.

    Raises:
        SettingsError: the workspace names no bucket.
        SpecError: scoring itself writes there.
    """
    if w.settings is None:
        raise SettingsError("No bucket is named that files could lie in.", remedy="Set PERENNIAL_BUCKET.")
    m, bucket, source = w.spec.name, w.settings.bucket, w.spec.batch.source
    if source is None:
        prefix = keys.batch_waiting(m)
    elif source.startswith("s3://"):
        bucket, _, prefix = source.removeprefix("s3://").partition("/")
    else:
        prefix = keys.batch_source(m, source)
    own = bucket == w.settings.bucket
    if own and keys.batch_written(m, prefix):
        raise SpecError(
            f"scoring writes below {source} itself, and would score its own results.",
            key="batch.source",
            remedy=f"Use another folder, such as {keys.batch_waiting('').lstrip('/')}, or leave it out.",
        )
    return Place(w.store if own else opened(w.settings.model_copy(update={"bucket": bucket})), bucket, prefix, own)


def find(w: Workspace, place: Place, most: int = MOST_FILES, *, listed: Collection[str] = ()) -> Found:
    """What is new at a place, the oldest first, and at most so many files; those with a mark in ``listed`` are not."""
    m = w.spec.name
    told = {entry.key for entry in w.store.list(keys.batch_receipts(m))}
    done, failed, unknown = 0, [], []
    for entry in files_of(m, place):
        mark = fingerprint(place.bucket, entry)
        if mark in listed:
            continue
        if keys.batch_receipt(m, mark, "done") in told:
            done += 1
        elif keys.batch_receipt(m, mark, "failed") in told:
            failed.append(_name(place, entry.key))
        else:
            unknown.append(entry)
    unknown.sort(key=lambda entry: (entry.modified, entry.key))
    seen = side_by_side(lambda entry: _look(w, place, entry), unknown[:most])
    return Found(
        new=tuple(each for each, end in filter(None, seen) if end is None),
        done=done + sum(end == "done" for _, end in filter(None, seen)),
        failed=tuple(sorted([*failed, *(each.name for each, end in filter(None, seen) if end == "failed")])),
        left=len(unknown[most:]),
    )


def files_of(m: str, place: Place) -> list[Entry]:
    """The data files of a place. What came in by the API is none: its client waits for it."""
    return [entry for entry in place.store.list(place.prefix) if _is_data(m, place, entry.key)]


def fingerprint(bucket: str, entry: Entry) -> str:
    """Names what a listing says of an object: 32 hexadecimal digits, others once it is replaced."""
    said = {
        "bucket": bucket,
        "key": entry.key,
        "size": entry.size,
        "etag": entry.etag,
        "at": entry.modified.isoformat(),
    }
    return hashlib.sha256(canonical(said)).hexdigest()[:32]


def note_end(w: Workspace, file: ScoringFile, end: Literal["done", "failed"]) -> None:
    """Keep how a file came out, so that the next run knows it by its listing."""
    with suppress(AlreadyExistsError):  # of another version with the same bytes, put in the same second
        w.store.put_new(keys.batch_receipt(w.spec.name, file.mark, end), file.input.to_bytes())


def _is_data(m: str, place: Place, key: str) -> bool:
    if not key.startswith(place.prefix):  # a listing gives a folder's mark too, whose name is shorter
        return False
    if place.own and uploaded_job(m, key) is not None:
        return False
    return is_data(_name(place, key))


def _name(place: Place, key: str) -> str:
    return key.removeprefix(place.prefix)


def _look(w: Workspace, place: Place, entry: Entry) -> tuple[ScoringFile, Literal["done", "failed"] | None] | None:
    """A file whose version is not known yet, and how it came out; None where it is gone, or is being replaced."""
    try:
        head = place.store.head(entry.key)
    except NotFoundError:
        return None
    if head.etag != entry.etag:
        return None
    version = BatchInput(bucket=place.bucket, key=entry.key, version=head.version, etag=head.etag, size=head.size)
    file = ScoringFile(name=_name(place, entry.key), mark=fingerprint(place.bucket, entry), input=version)
    key = keys.batch_result(w.spec.name, version.work)
    found = w.store.find(key)
    if found is None:
        return file, None
    end = BatchResult.from_bytes(found.data, key).state
    note_end(w, file, end)
    return file, end
