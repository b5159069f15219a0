"""Specs and results in S3, for steps that run where no file of the scheduler's machine is."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path, PurePosixPath

from perennial import keys
from perennial.errors import AlreadyExistsError, IntegrityError, NotFoundError, SettingsError, SpecError
from perennial.settings import Settings
from perennial.store import Store
from perennial.store_opening import is_object, open_store

S3 = "s3://"


def stage_spec(store: Store, bucket: str, model: str, path: Path) -> str:
    """Put the text of a spec where jobs read it, once for each text; returns its ``s3://`` address.

    Raises:
        SpecError: it cannot be read.
        StoreUnavailable: S3 does not answer.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise SpecError(f"cannot be read ({error.strerror}).", file=str(path)) from error
    key = keys.job_spec(model, hashlib.sha256(text).hexdigest())
    store.put_new(key, text)
    return f"{S3}{bucket}/{key}"


def fetch_spec(address: str, folder: Path, store: Store | None = None) -> Path:
    """A spec at an ``s3://`` address as a file in ``folder``; a path is returned as it is.

    Raises:
        SettingsError: it is no address of an object.
        NotFoundError: there is none.
        IntegrityError: it was staged, and is not the text that its name says.
        StoreUnavailable: S3 does not answer, or refuses.
    """
    if not address.startswith(S3):
        return Path(address)
    place, key = _place(address, store)
    text = place.get(key).data
    name = PurePosixPath(key)
    if len(name.stem) == 64 and name.stem != hashlib.sha256(text).hexdigest():
        raise IntegrityError(f"{address} is not the text that its name says.", remedy="Submit the job again.")
    path = folder / "model.yaml"
    path.write_bytes(text)
    return path


def keep_result(address: str, data: bytes, store: Store | None = None) -> None:
    """Put what a step returned at an ``s3://`` address, or into a file.

    An attempt before this one may have put its own, and was ended right after: that one stands.
    """
    if not address.startswith(S3):
        Path(address).write_bytes(data)
        return
    place, key = _place(address, store)
    with suppress(AlreadyExistsError):
        place.put_new(key, data)


def read_result(address: str, store: Store | None = None) -> bytes | None:
    """What a job put at an ``s3://`` address, None where it put nothing. Raises StoreUnavailable."""
    place, key = _place(address, store)
    try:
        return place.get(key).data
    except NotFoundError:
        return None


def _place(address: str, store: Store | None) -> tuple[Store, str]:
    bucket, _, key = address.removeprefix(S3).partition("/")
    if not is_object(bucket, key):
        raise SettingsError(f"{address} names no object of S3.", remedy="Give s3://bucket/key.")
    return store or open_store(Settings.load().model_copy(update={"bucket": bucket})), key
