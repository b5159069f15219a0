"""What a store reads and writes, and what is asked of the object store behind it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from obstore import Attributes, GetOptions, GetResult, ListResult, ObjectMeta, PutMode, PutResult


class Raw(Protocol):
    """What is asked of an object store: obstore's own methods, and the seam where tests inject faults."""

    def get(self, path: str, *, options: GetOptions | None = None) -> GetResult: ...
    def delete(self, paths: str) -> None: ...
    def head(self, path: str) -> ObjectMeta: ...
    def list(self, prefix: str | None = None) -> Iterable[Sequence[ObjectMeta]]: ...
    def list_with_delimiter(self, prefix: str | None = None) -> ListResult[Sequence[ObjectMeta]]: ...
    def put(
        self, path: str, file: bytes, *, attributes: Attributes | None = None, mode: PutMode, use_multipart: bool
    ) -> PutResult: ...


@dataclass(frozen=True)
class Blob:
    """One object as read: its bytes and the ETag to compare against."""

    data: bytes
    etag: str


@dataclass(frozen=True)
class Entry:
    """One line of a listing. ``size`` in bytes; ``modified`` is when S3 took it (UTC)."""

    key: str
    size: int
    etag: str
    modified: datetime


@dataclass(frozen=True)
class Head:
    """What is known of an object unread. ``size`` in bytes; ``version`` is None in an unversioned bucket."""

    size: int
    etag: str
    version: str | None


@dataclass(frozen=True)
class Served:
    """How an object is handed to a browser: its headers ``Content-Type`` and ``Cache-Control``."""

    media_type: str
    cache_control: str = "no-cache"

    def attributes(self) -> Attributes:
        return {"Content-Type": self.media_type, "Cache-Control": self.cache_control}
