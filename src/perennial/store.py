"""The four primitives everything rests on: get, put-new, put-if-match, list.

Over ``obstore`` (Rust ``object_store``), whose in-process MemoryStore is the fake of the unit
tests. A write whose outcome is unknown (lost answer, retried request, S3's 409) is settled by
reading the key back: if it holds exactly our bytes, we wrote it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import obstore
from obstore.exceptions import (
    AlreadyExistsError as RawAlreadyExists,
)
from obstore.exceptions import (
    BaseError,
    NotModifiedError,
    PreconditionError,
)
from obstore.exceptions import (
    NotFoundError as RawNotFound,
)
from obstore.store import MemoryStore, S3Store

from perennial.errors import AlreadyExistsError, ConflictError, NotFoundError, StoreUnavailable

if TYPE_CHECKING:
    from perennial.settings import Settings

ATTEMPTS = 5
PAUSE_SECONDS = 0.05


@dataclass(frozen=True)
class Blob:
    """One object as read: its bytes and the ETag to compare against."""

    data: bytes
    etag: str


@dataclass(frozen=True)
class Entry:
    """One line of a listing. ``size`` in bytes."""

    key: str
    size: int
    etag: str


class Store:
    """One bucket. Every method raises :class:`StoreUnavailable` when S3 does not answer or refuses."""

    def __init__(self, raw: S3Store | MemoryStore) -> None:
        self._raw = raw

    def get(self, key: str) -> Blob:
        """Read an object. Raises NotFoundError."""
        blob = self._get(key, None)
        assert blob is not None  # only a conditional read can answer "not modified"
        return blob

    def get_if_changed(self, key: str, etag: str) -> Blob | None:
        """Read an object unless it still has ``etag``; None when it does. Raises NotFoundError."""
        return self._get(key, etag)

    def find(self, key: str) -> Blob | None:
        """Read an object, or None where there is none. A refusal (403) is never taken for absence."""
        try:
            return self.get(key)
        except NotFoundError:
            return None

    def exists(self, key: str) -> bool:
        """Whether an object is there, without reading it."""
        try:
            obstore.head(self._raw, key)
        except FileNotFoundError:
            return False
        except BaseError as error:
            raise _unavailable(key, error) from error
        return True

    def put_new(self, key: str, data: bytes) -> str:
        """Create an object and return its ETag. Creating it again with the same bytes is a success.

        Raises:
            AlreadyExistsError: the key holds other bytes.
        """

        def settle() -> str | None:
            found = self.find(key)
            if found is None:
                return None
            if found.data == data:
                return found.etag
            raise AlreadyExistsError(f"{key} already exists with other content.")

        return self._write(key, data, "create", settle)

    def put_if_match(self, key: str, data: bytes, etag: str) -> str:
        """Replace an object that still has ``etag`` and return the new ETag.

        Raises:
            ConflictError: someone else replaced it first.
            NotFoundError: it is gone.
        """

        def settle() -> str | None:
            found = self.get(key)
            if found.data == data and found.etag != etag:
                return found.etag
            if found.etag == etag:
                return None
            raise ConflictError(f"{key} was changed by another writer.", remedy="Read it again and retry.")

        return self._write(key, data, {"e_tag": etag}, settle)

    def list(self, prefix: str) -> Iterator[Entry]:
        """All objects under ``prefix`` (whole path segments), sorted by key."""
        try:
            found = [meta for page in obstore.list(self._raw, prefix) for meta in page]
        except BaseError as error:
            raise _unavailable(prefix, error) from error
        for meta in sorted(found, key=lambda meta: meta["path"]):
            yield Entry(key=meta["path"], size=meta["size"], etag=meta["e_tag"] or "")

    def folders(self, prefix: str = "") -> tuple[str, ...]:
        """Names of the folders directly under ``prefix``, sorted."""
        try:
            prefixes = obstore.list_with_delimiter(self._raw, prefix or None)["common_prefixes"]
        except BaseError as error:
            raise _unavailable(prefix, error) from error
        return tuple(sorted(path.rstrip("/").rsplit("/", 1)[-1] for path in prefixes))

    def _get(self, key: str, etag: str | None) -> Blob | None:
        try:
            result = obstore.get(self._raw, key, options={"if_none_match": etag} if etag else None)
            return Blob(bytes(result.bytes()), result.meta["e_tag"] or "")
        except NotModifiedError:
            return None
        except FileNotFoundError as error:
            raise NotFoundError(f"{key} does not exist.") from error
        except BaseError as error:
            raise _unavailable(key, error) from error

    def _write(self, key: str, data: bytes, mode: Any, settle: Callable[[], str | None]) -> str:
        """Put under a condition; whatever does not plainly succeed is settled by reading back."""
        last: Exception | None = None
        for attempt in range(ATTEMPTS):
            try:
                return obstore.put(self._raw, key, data, mode=mode, use_multipart=False)["e_tag"] or ""
            except (RawAlreadyExists, PreconditionError, RawNotFound, FileNotFoundError) as error:
                last = error
            except BaseError as error:
                last = error
                if "403" in str(error) or "401" in str(error):
                    raise _unavailable(key, error) from error
            settled = settle()
            if settled is not None:
                return settled
            time.sleep(PAUSE_SECONDS * 2**attempt)
        raise StoreUnavailable(f"{key}: no write succeeded in {ATTEMPTS} attempts.") from last


def memory_store() -> Store:
    """An empty in-process store with the semantics of S3: the fake for tests."""
    return Store(MemoryStore())


def open_store(settings: Settings, *, client_timeout: float = 30.0) -> Store:
    """The bucket of ``settings``, at its endpoint; credentials come from the usual AWS places."""
    options: dict[str, Any] = {
        "region": settings.region,
        "client_options": {"timeout": timedelta(seconds=client_timeout), "connect_timeout": timedelta(seconds=5)},
        "retry_config": {"max_retries": 3, "retry_timeout": timedelta(seconds=20)},
    }
    if settings.aws_endpoint_url:
        options["endpoint"] = settings.aws_endpoint_url
        options["virtual_hosted_style_request"] = False
        options["client_options"]["allow_http"] = settings.aws_endpoint_url.startswith("http://")
    return Store(S3Store(settings.bucket, **options, **_credentials()))


def _credentials() -> dict[str, Any]:
    """Static and container credentials are obstore's own affair; profiles and SSO need boto3's chain."""
    import os

    own = ("AWS_ACCESS_KEY_ID", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_WEB_IDENTITY_TOKEN_FILE")
    if any(os.environ.get(name) for name in own):
        return {}
    try:
        from obstore.auth.boto3 import Boto3CredentialProvider
    except ImportError:  # no boto3 here: obstore asks the instance metadata service
        return {}
    return {"credential_provider": Boto3CredentialProvider()}


def _unavailable(key: str, error: Exception) -> StoreUnavailable:
    reason = str(error).split("\n", 1)[0][:300]
    return StoreUnavailable(f"{key}: {reason}", remedy="Check the endpoint, the credentials and the bucket.")
