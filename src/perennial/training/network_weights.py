"""Weights that a network starts from: a file of this machine, or an object in S3."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from perennial.errors import NotFoundError, PerennialError, SettingsError, TrainingError
from perennial.settings import Settings
from perennial.store import Store
from perennial.store_opening import is_object, open_store

MOST_BYTES = 1_000_000_000
_S3 = "s3://"


def open_bucket(bucket: str, own: Store) -> Store:
    """A bucket by its name: ``own`` where it is that of the settings, or where nothing is set."""
    try:
        settings = Settings.load()
    except SettingsError:
        return own
    return own if bucket == settings.bucket else open_store(settings.model_copy(update={"bucket": bucket}))


def fetch(name: str, place: str, own: Store, opened: Callable[[str, Store], Store] = open_bucket) -> bytes:
    """The bytes of the weights of the candidate ``name``.

    Args:
        place: a path, absolute or from the working directory, or ``s3://bucket/key``.
        own: the model's bucket.

    Raises:
        TrainingError: they are not there, or too large; names the key of the spec.
    """
    key = f"candidates.{name}.weights"
    try:
        data = _from_s3(place, own, opened) if place.startswith(_S3) else _from_file(Path(place))
    except NotFoundError as error:
        raise TrainingError(f"{key}: {place} is not there.", remedy="Correct it, or put the weights there.") from error
    except ValueError as error:  # a NUL byte
        raise TrainingError(f"{key}: {place[:80]!r} is no path.", remedy="Correct it.") from error
    except OSError as error:
        raise TrainingError(
            f"{key}: {place} cannot be read: {error.strerror}.",
            remedy="Correct it; where tasks run on other machines, use s3://bucket/key.",
        ) from error
    except PerennialError as error:
        raise TrainingError(f"{key}: {error.message}", remedy=error.remedy) from error
    if not data:
        raise TrainingError(f"{key}: {place} is empty.", remedy="Put the weights there, or remove the key.")
    if len(data) > MOST_BYTES:
        raise TrainingError(f"{key}: {place} has {len(data):,} bytes.", remedy="Save the state dict alone.")
    return data


def told(place: str, data: bytes, tensors: int) -> str:
    """One line on where a network started from."""
    digest = hashlib.sha256(data).hexdigest()
    return f"started from {tensors} tensors of {place.rsplit('/', 1)[-1]} (SHA-256 {digest[:16]})"


def _from_s3(place: str, own: Store, opened: Callable[[str, Store], Store]) -> bytes:
    bucket, _, key = place.removeprefix(_S3).partition("/")
    if not is_object(bucket, key):
        raise TrainingError(f"{place} names no object of S3.", remedy="Correct it: s3://bucket/key.")
    return opened(bucket, own).get(key).data


def _from_file(path: Path) -> bytes:
    if path.stat().st_size > MOST_BYTES:
        raise TrainingError(f"it has {path.stat().st_size:,} bytes.", remedy="Save the state dict alone.")
    return path.read_bytes()
