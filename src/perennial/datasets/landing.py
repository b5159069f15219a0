"""Landing: the one way data comes in. ``land`` checks a local file and puts it there; other tools may too."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from perennial import keys
from perennial.datasets.listing import Failure
from perennial.datasets.reading import read_header
from perennial.datasets.unpack import read_local
from perennial.datasets.validate import check_header
from perennial.errors import AlreadyExistsError, DataError
from perennial.spec import ModelSpec, canonical
from perennial.store import Store
from perennial.store_objects import Entry

_UNSAFE = re.compile(r"[^A-Za-z0-9._()+=@-]+")
MAX_NAME = 200


class LandedFile(BaseModel):
    """A file in landing. ``digest`` is the SHA-256 (hex) of its bytes; ``new`` is False where it was there before."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    digest: str = Field(pattern=r"^[0-9a-f]{64}$")
    size: int
    new: bool = False


class LandedPictures(LandedFile):
    """A listing in landing. ``pictures`` counts its rows, ``known`` those that an earlier listing held already.

    Where all were known, ``key`` is the listing that holds the first of them. ``failures`` are what did not land.
    """

    pictures: int
    known: int
    failures: tuple[Failure, ...]


def land(
    store: Store,
    spec: ModelSpec,
    path: Path,
    name: str | None = None,
    *,
    progress: Callable[[str], None] | None = None,
) -> LandedFile:
    """Put a local file into landing, unless the same content is there already, under whatever name.

    A name taken by other content is extended by the digest: ``day.csv`` lands as ``day-1a2b3c4d.csv``. For a model of
    pictures, ``path`` is a folder of class folders or a listing, and :class:`LandedPictures` is the answer.

    Raises:
        DataError: the file cannot be read, is no CSV or Parquet, or lacks a column of the spec; nothing is stored.
    """
    if spec.input == "image":
        from perennial.datasets.picture_landing import land_pictures  # Pillow is imported where there are pictures

        return land_pictures(store, spec, path, name, progress=progress)
    if path.is_dir():
        raise DataError("is a folder; a model of records takes files.", file=str(path), remedy="Name the files in it.")
    data = read_local(path)
    check_header(str(path), read_header(str(path), data), spec)
    digest = hashlib.sha256(data).hexdigest()
    for entry in landing_entries(store, spec.name):
        if entry.size == len(data) and entry_digest(store, spec.name, entry) == digest:
            return LandedFile(key=entry.key, digest=digest, size=entry.size)
    name = _safe(name or path.name)
    try:
        store.put_new(keys.landing(spec.name, name), data)
    except AlreadyExistsError:
        name = _with_digest(name, digest)
        store.put_new(keys.landing(spec.name, name), data)
    return LandedFile(key=keys.landing(spec.name, name), digest=digest, size=len(data), new=True)


def list_landed(store: Store, spec: ModelSpec) -> tuple[LandedFile, ...]:
    """Every file in landing, sorted by key; one that was not seen before is read for its digest.

    For a model of pictures those are the listings: what else lies there is gathered into one first.
    """
    return tuple(
        LandedFile(key=entry.key, digest=entry_digest(store, spec.name, entry), size=entry.size)
        for entry in landing_entries(store, spec.name)
        if spec.input != "image" or keys.is_listing(spec.name, entry.key)
    )


def landing_entries(store: Store, model: str) -> list[Entry]:
    """What lies in landing. Folder markers and names starting with ``_`` or ``.`` (Spark's, hidden) are no data."""
    entries = store.list(keys.landing(model))
    return [entry for entry in entries if not entry.key.endswith("/") and _leaf(entry.key)[:1] not in ("_", ".")]


def entry_digest(store: Store, model: str, entry: Entry) -> str:
    """SHA-256 (hex) of a landing file, from its receipt while key, size and ETag are unchanged."""
    fingerprint = hashlib.sha256(canonical([entry.key, entry.size, entry.etag])).hexdigest()
    receipt = keys.receipt(model, fingerprint)
    known = store.find(receipt)
    if known is not None:
        try:
            return LandedFile.model_validate_json(known.data).digest
        except ValidationError as error:
            raise DataError(f"{receipt} is malformed.", remedy="Delete it; it will be made again.") from error
    digest = hashlib.sha256(store.get(entry.key).data).hexdigest()
    landed = LandedFile(key=entry.key, digest=digest, size=entry.size)
    store.put_new(receipt, canonical(landed.model_dump(mode="json")))
    return digest


def _leaf(key: str) -> str:
    return PurePosixPath(key).name


def _safe(name: str) -> str:
    """A name that S3, URLs and the listing of landing all take as it is."""
    return (_UNSAFE.sub("_", name).lstrip("_.") or "data")[-MAX_NAME:].lstrip("_.")


def _with_digest(name: str, digest: str) -> str:
    stem, dot, suffix = name.partition(".")
    return f"{stem}-{digest[:8]}{dot}{suffix}"
