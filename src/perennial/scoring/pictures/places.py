"""Where a listing's pictures are, and how they are got: from the bucket by key or digest, or from this machine."""

from __future__ import annotations

import re
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from perennial import keys
from perennial.errors import NotFoundError
from perennial.images.decode import MAX_BYTES
from perennial.scoring.pictures.rows import Unusable, too_large
from perennial.store import Store
from perennial.store_objects import Head
from perennial.store_opening import is_object

DIGEST = re.compile(r"[0-9a-f]{64}")
PINS = ("version", "etag", "size")
"""Columns of a listing that pin a picture to what it was when it was listed; all of them, or none."""
_S3 = "s3://"
_WEB = ("http://", "https://")
_GONE = "is not there"


class Places(Protocol):
    """Gets pictures by what a listing calls them."""

    def get(self, name: str, pins: Mapping[str, str | None]) -> bytes:
        """The bytes of one; ``pins`` are its row's cells of PINS, as far as the listing has these columns.

        Raises:
            Unusable: it is not there, too large, or may not be named here.
            StoreUnavailable: S3 does not answer, or refuses.
        """
        ...


@dataclass(frozen=True)
class BucketPlaces:
    """For a listing in S3: ``folder`` is that of the listing in ``bucket``, with a slash at its end.

    A name is the SHA-256 (hex) of a picture of the model, an ``s3://`` address, a key of the model's own, or one
    relative to the listing. ``digests_only`` is for listings of strangers, who may know a picture by nothing else.
    """

    store_of: Callable[[str], Store]
    own: str
    model: str
    bucket: str
    folder: str
    digests_only: bool = False

    def get(self, name: str, pins: Mapping[str, str | None]) -> bytes:
        """As :class:`Places` says."""
        if DIGEST.fullmatch(name):
            return _object(self.store_of(self.own), keys.image(self.model, name), {})
        if self.digests_only:
            raise Unusable("is no SHA-256 of a picture, and a listing that was uploaded names pictures by nothing else")
        if name.startswith(_WEB):
            raise Unusable("is an address of the web; only what is in S3 is scored")
        bucket, key = self.bucket, name if name.startswith(f"{self.model}/") else self.folder + name
        if name.startswith(_S3):
            bucket, _, key = name.removeprefix(_S3).partition("/")
        if not is_object(bucket, key):
            raise Unusable("is no key of S3")
        return _object(self.store_of(bucket), key, pins)


@dataclass(frozen=True)
class LocalPlaces:
    """For a listing of this machine: a name is a path, relative to ``folder``, or a digest in the ``store``."""

    folder: Path
    store: Store
    model: str

    def get(self, name: str, pins: Mapping[str, str | None]) -> bytes:
        """As :class:`Places` says."""
        if DIGEST.fullmatch(name):
            return _object(self.store, keys.image(self.model, name), {})
        if name.startswith((_S3, *_WEB)):
            raise Unusable("is no file of this machine")
        try:
            path = self.folder / name
            found = path.stat()
            if not stat.S_ISREG(found.st_mode):
                raise Unusable("is no file")
            if found.st_size > MAX_BYTES:
                raise too_large(found.st_size, MAX_BYTES)
            return path.read_bytes()
        except OSError as error:
            reason = (error.strerror or "unreadable").lower()
            raise Unusable(_GONE if isinstance(error, FileNotFoundError) else f"cannot be read ({reason})") from error
        except ValueError:  # a NUL byte
            raise Unusable("is no path") from None


def _object(store: Store, key: str, pins: Mapping[str, str | None]) -> bytes:
    try:
        found = _pinned(pins) or store.head(key)
        if found.size > MAX_BYTES:
            raise too_large(found.size, MAX_BYTES)
        return store.get_range(key, 0, found.size, etag=found.etag, version=found.version) if found.size else b""
    except NotFoundError:
        raise Unusable(_GONE) from None


def _pinned(pins: Mapping[str, str | None]) -> Head | None:
    etag, size = pins.get("etag"), pins.get("size")
    if not etag or not size or not size.isdecimal():
        return None
    return Head(int(size), etag, pins.get("version") or None)
