"""Where a file's bytes come from: this machine's disk, or one version of an object in S3, read by ranges."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from perennial.errors import DataError
from perennial.store import Store

CHUNK_BYTES = 8 << 20


class Source(Protocol):
    """A file that does not change while it is read. ``name`` is for people, ``size`` in bytes."""

    @property
    def name(self) -> str: ...
    @property
    def size(self) -> int: ...
    def read(self, start: int, end: int) -> bytes:
        """Bytes ``start`` to ``end`` (excluded), fewer only where the file ends."""
        ...


@dataclass(frozen=True)
class Chunk:
    """Some bytes of what a source holds, unpacked where that is needed; ``end`` is how far the source was read."""

    data: bytes
    end: int


class LocalSource:
    """A file of this machine.

    Raises:
        DataError: it is missing, a folder, a pipe, or unreadable.
    """

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        try:
            if stat.S_ISFIFO(path.stat().st_mode):  # to open one is to wait for whoever writes to it
                raise DataError("is a pipe.", file=self.name, remedy="Save it as a file: it is read more than once.")
            self._file = path.open("rb")
            self.size = os.fstat(self._file.fileno()).st_size
        except OSError as error:
            raise self._unreadable(error) from error

    def read(self, start: int, end: int) -> bytes:
        """Raises DataError where the disk fails."""
        try:
            return os.pread(self._file.fileno(), max(0, min(end, self.size) - start), start)
        except OSError as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: OSError) -> DataError:
        reason = (error.strerror or "unreadable").lower()
        return DataError(f"cannot be read ({reason}).", file=self.name, remedy="Check the path.")

    def close(self) -> None:
        self._file.close()


class BytesSource:
    """What was put together here, as if it were a file."""

    def __init__(self, name: str, data: bytes) -> None:
        self.name, self.size = name, len(data)
        self._data = data

    def read(self, start: int, end: int) -> bytes:
        return self._data[start:end]

    def close(self) -> None:
        """There is nothing to close."""


class ObjectSource:
    """One version of an object, as it was when it had ``etag``; ``version`` None is for buckets that keep no others."""

    def __init__(self, store: Store, key: str, size: int, etag: str, version: str | None, name: str) -> None:
        self.name, self.size = name, size
        self._store, self._key, self._etag, self._version = store, key, etag, version

    def read(self, start: int, end: int) -> bytes:
        """Raises NotFoundError where the version is gone, StoreUnavailable where S3 does not answer."""
        end = min(end, self.size)
        if start >= end:
            return b""
        return self._store.get_range(self._key, start, end, etag=self._etag, version=self._version)


def chunks(source: Source, start: int = 0, end: int | None = None, size: int = CHUNK_BYTES) -> Iterator[bytes]:
    """The bytes of a source in order, ``size`` at a time; the next are fetched while these are worked on."""
    last = source.size if end is None else min(end, source.size)
    with ThreadPoolExecutor(1, thread_name_prefix="read") as ahead:
        coming: Future[bytes] | None = None
        for place in range(start, last, size):
            data = coming.result() if coming else source.read(place, min(place + size, last))
            after = place + size
            coming = ahead.submit(source.read, after, min(after + size, last)) if after < last else None
            yield data


class SourceFile(io.RawIOBase):
    """A source as a seekable file, for readers that want one."""

    def __init__(self, source: Source) -> None:
        self._source, self._place = source, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._source.size}[whence]
        self._place = base + offset
        return self._place

    def tell(self) -> int:
        return self._place

    def read(self, size: int = -1) -> bytes:
        end = self._source.size if size is None or size < 0 else self._place + size
        data = self._source.read(self._place, end)
        self._place += len(data)
        return data

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)
