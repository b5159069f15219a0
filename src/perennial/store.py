"""The four primitives everything rests on: get, put-new, put-if-match, list. Reports alone may also be removed.

Over ``obstore`` (Rust ``object_store``), whose in-process MemoryStore is the fake of the unit
tests. A write whose outcome is unknown (lost answer, retried request, S3's 409) is settled by
reading the key back: if it holds exactly our bytes, we wrote it. Two writers of the same bytes
therefore both succeed; writers that must be told apart put something of their own into them. Nor may
what is swapped ever return to an earlier content: on S3 an ETag is a hash, and would match again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from obstore.exceptions import NotModifiedError, PreconditionError
from obstore.store import MemoryStore

from perennial.errors import (
    AlreadyExistsError,
    ConflictError,
    IntegrityError,
    NotFoundError,
    StoreRefused,
    StoreUnavailable,
)
from perennial.store_faults import RAISED, REFUSALS, fault, reason, refused
from perennial.store_objects import Blob, Entry, Head, Raw, Served
from perennial.trust import TrustedKeys

if TYPE_CHECKING:
    from obstore import GetOptions, PutMode

ATTEMPTS = 5
PAUSE_SECONDS = 0.05
DEADLINE_SECONDS = 60.0


class Store:
    """One bucket.

    Every method raises :class:`StoreUnavailable` when S3 does not answer, and its child
    :class:`StoreRefused` when it refuses: no permission, no such bucket, an illegal key. ``sleep`` and
    ``clock`` (seconds) serve the pauses between the attempts of a write. ``trust`` says whose signatures the versions
    of models in it must bear before they are run; it stands here so that nobody who reads one can forget it.
    """

    def __init__(
        self,
        raw: Raw,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        trust: TrustedKeys | None = None,
    ) -> None:
        self.trust = trust
        self._raw = raw
        self._sleep = sleep
        self._clock = clock

    def get(self, key: str, *, most: int | None = None) -> Blob:
        """Read an object. Raises NotFoundError, and as ``find`` where it has more than ``most`` bytes."""
        blob = self._get(key, None, most)
        assert blob is not None  # only a conditional read can answer "not modified"
        return blob

    def get_if_changed(self, key: str, etag: str, *, most: int | None = None) -> Blob | None:
        """Read an object unless it still has ``etag``; None when it does. Raises as ``get``."""
        return self._get(key, etag, most)

    def find(self, key: str, *, most: int | None = None) -> Blob | None:
        """Read an object, or None where there is none. A refusal (403) is never taken for absence.

        Raises:
            IntegrityError: it has more than ``most`` bytes, of which none has been read then.
        """
        try:
            return self._get(key, None, most)
        except NotFoundError:
            return None

    def exists(self, key: str) -> bool:
        """Whether an object is there, without reading it. A missing bucket holds nothing, so False."""
        try:
            self._raw.head(key)
        except RAISED as error:
            meaning = fault(key, error)
            if isinstance(meaning, NotFoundError):
                return False
            raise meaning from error
        return True

    def head(self, key: str, version: str | None = None) -> Head:
        """Size, ETag and version of an object, or of one version of it. Raises NotFoundError."""
        options: GetOptions = {"head": True}
        if version is not None:
            options["version"] = version
        try:
            meta = self._raw.get(key, options=options).meta
        except RAISED as error:
            raise fault(key, error) from error
        return Head(meta["size"], meta["e_tag"] or "", meta["version"])

    def get_range(self, key: str, start: int, end: int, *, etag: str, version: str | None = None) -> bytes:
        """Bytes ``start`` to ``end`` (excluded) of the object that has ``etag``, from ``version`` once it was replaced.

        Raises:
            NotFoundError: it is gone, or was replaced in a bucket that keeps no versions.
        """
        try:
            return bytes(self._raw.get(key, options={"range": (start, end), "if_match": etag}).bytes())
        except PreconditionError as error:
            if version is None:
                raise NotFoundError(f"{key} was replaced since.") from error
        except RAISED as error:
            raise fault(key, error) from error
        try:
            return bytes(self._raw.get(key, options={"range": (start, end), "version": version}).bytes())
        except RAISED as error:
            if "non-partial" not in str(error):
                raise fault(key, error) from error
        try:  # an emulator, which answers a version whole whatever range is asked for
            return bytes(self._raw.get(key, options={"version": version}).bytes())[start:end]
        except RAISED as error:
            raise fault(key, error) from error

    def put_new(self, key: str, data: bytes, *, served: Served | None = None) -> str:
        """Create an object and return its ETag. Creating it again with the same bytes is a success.

        ``served`` says how it goes to browsers, where they read it.

        Raises:
            AlreadyExistsError: the key holds other bytes.
            StoreUnavailable: the outcome is unknown; calling again is safe.
        """

        def settle() -> str | None:
            found = self.find(key)
            if found is None:
                return None
            if found.data == data:
                return found.etag
            raise AlreadyExistsError(f"{key} already exists with other content.")

        return self._write(key, data, "create", settle, served)

    def put_if_match(self, key: str, data: bytes, etag: str, *, served: Served | None = None) -> str:
        """Replace an object that still has ``etag`` and return the new ETag. A key that holds ``data`` is a success.

        Raises:
            ConflictError: someone else replaced it, before us or right after us.
            NotFoundError: it is gone.
            StoreUnavailable: the outcome is unknown; calling again is safe.
        """

        def settle() -> str | None:
            found = self.get(key)
            if found.data == data:
                return found.etag
            if found.etag == etag:
                return None
            raise ConflictError(f"{key} was changed by another writer.", remedy="Read it again and retry.")

        return self._write(key, data, {"e_tag": etag}, settle, served)

    def remove(self, key: str) -> None:
        """Remove an object; nothing happens where there is none. For reports alone: all else is kept for ever."""
        try:
            self._raw.delete(key)
        except RAISED as error:
            meaning = fault(key, error)
            if not isinstance(meaning, NotFoundError):
                raise meaning from error

    def list(self, prefix: str) -> Iterator[Entry]:
        """All objects under ``prefix`` (whole path segments), sorted by key."""
        try:
            found = [meta for page in self._raw.list(prefix or None) for meta in page]
        except RAISED as error:
            raise fault(prefix or "the bucket", error) from error
        found.sort(key=lambda meta: meta["path"])
        return (Entry(meta["path"], meta["size"], meta["e_tag"] or "", meta["last_modified"]) for meta in found)

    def holds(self, prefix: str) -> bool:
        """Whether anything lies under ``prefix`` (whole path segments): one request, however much it is."""
        try:
            return any(len(page) for page in self._raw.list(prefix))
        except RAISED as error:
            raise fault(prefix, error) from error

    def folders(self, prefix: str = "") -> tuple[str, ...]:
        """Names of the folders directly under ``prefix``, sorted."""
        try:
            prefixes = self._raw.list_with_delimiter(prefix or None)["common_prefixes"]
        except RAISED as error:
            raise fault(prefix or "the bucket", error) from error
        return tuple(sorted(path.rstrip("/").rsplit("/", 1)[-1] for path in prefixes))

    def _get(self, key: str, etag: str | None, most: int | None = None) -> Blob | None:
        try:
            result = self._raw.get(key, options={"if_none_match": etag} if etag else None)
            if most is not None and result.meta["size"] > most:
                raise IntegrityError(f"{key} has {result.meta['size']:,} bytes, of at most {most:,}.")
            return Blob(bytes(result.bytes()), result.meta["e_tag"] or "")
        except NotModifiedError:
            return None
        except RAISED as error:
            raise fault(key, error) from error

    def _write(
        self, key: str, data: bytes, mode: PutMode, settle: Callable[[], str | None], served: Served | None
    ) -> str:
        """Put under a condition; whatever does not plainly succeed is settled by reading back."""
        attributes = served.attributes() if served else None
        deadline = self._clock() + DEADLINE_SECONDS
        last: Exception | None = None
        for attempt in range(ATTEMPTS):
            if attempt:
                self._sleep(PAUSE_SECONDS * 2 ** (attempt - 1))
                if self._clock() > deadline:
                    break
            try:
                put = self._raw.put(key, data, attributes=attributes, mode=mode, use_multipart=False)
                return put["e_tag"] or ""
            except (*REFUSALS, FileNotFoundError, ValueError) as error:  # a put answers 404 only for want of a bucket
                raise refused(key, error) from error
            except RAISED as error:  # 409 and 412 too: they may tell of our own success, or of nothing landed
                last = error
            try:
                settled = settle()
            except StoreRefused:
                raise
            except StoreUnavailable:
                continue
            if settled is not None:
                return settled
        raise StoreUnavailable(
            f"{key}: the outcome of a write is unknown: {reason(last)}", remedy="Repeat it: that is safe."
        ) from last


def memory_store() -> Store:
    """An empty in-process store with the semantics of S3: the fake for tests."""
    return Store(MemoryStore())
