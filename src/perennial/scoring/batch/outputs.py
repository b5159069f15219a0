"""How rows get into the bucket: a new object that is there whole, or not at all.

What stays small is created by one put-new. What grows beyond a buffer goes out in parts while more is written, and is
made by completing the upload under the same condition: where the object is there already, the first writer's stands.
"""

from __future__ import annotations

import io
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

from perennial.errors import AlreadyExistsError
from perennial.serving.batch_job import BatchOutput, OutputFormat
from perennial.store import Store
from perennial.store_objects import Served

BUFFER_BYTES = 16 << 20
"""Bytes of one part of an upload; two are held at most. S3 takes 10,000 of them, 160 GB."""
MEDIA_TYPES: dict[OutputFormat, str] = {"csv": "text/csv; charset=utf-8", "parquet": "application/vnd.apache.parquet"}


class Upload(Protocol):
    """One object that is sent in parts. Every method raises StoreUnavailable where S3 does not answer or refuses."""

    def send(self, data: bytes) -> None: ...
    def complete(self) -> None:
        """Make the object of what was sent. Where it is there already, it stays as it is, and that is a success."""
        ...

    def abort(self) -> None: ...


class Uploads(Protocol):
    """Where such uploads begin."""

    def begin(self, key: str, media_type: str) -> Upload: ...


class Outgoing(io.RawIOBase):
    """A file for writers; its bytes become the object ``key`` by :meth:`commit`, and nothing by :meth:`discard`.

    One part is sent by a thread of its own while the next is written.
    """

    def __init__(self, store: Store, uploads: Uploads, key: str, media_type: str, *, buffer: int = BUFFER_BYTES):
        self.key, self.size, self.media_type = key, 0, media_type
        self._store, self._uploads, self._limit = store, uploads, buffer
        self._buffer = bytearray()
        self._upload: Upload | None = None
        self._sender: ThreadPoolExecutor | None = None
        self._sending: Future[None] | None = None

    @property
    def output(self) -> BatchOutput:
        """What became of it, once it is committed."""
        return BatchOutput(key=self.key, size=self.size, media_type=self.media_type)

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.size

    def write(self, data: object) -> int:
        """Take bytes, or anything that holds some. Raises StoreUnavailable where an earlier part could not be sent."""
        view = memoryview(data).cast("B")  # type: ignore[arg-type]  # whatever has a buffer, as of any raw file
        self._buffer += view
        self.size += len(view)
        while len(self._buffer) >= self._limit:
            self._send(bytes(self._buffer[: self._limit]))
            del self._buffer[: self._limit]
        return len(view)

    def commit(self) -> None:
        """Create the object. Where it is there already, it stays: the same work made it.

        Raises:
            StoreUnavailable: S3 does not answer, or refuses; repeating the work is safe.
        """
        if self._upload is None:
            try:
                self._store.put_new(self.key, bytes(self._buffer), served=Served(self.media_type))
            except AlreadyExistsError:
                self.size = self._store.head(self.key).size
            return
        if self._buffer:
            self._send(bytes(self._buffer))
            self._buffer.clear()
        self._wait()
        self._upload.complete()
        self._end()
        self.size = self._store.head(self.key).size

    def discard(self) -> None:
        """Leave nothing behind; for what was committed already this does nothing."""
        self._buffer.clear()
        if self._upload is not None:
            if self._sending is not None:
                self._sending.exception()
            self._upload.abort()
            self._end()

    def _send(self, part: bytes) -> None:
        if self._sender is None or self._upload is None:
            self._upload = self._uploads.begin(self.key, self.media_type)
            self._sender = ThreadPoolExecutor(1, thread_name_prefix="upload")
        self._wait()
        self._sending = self._sender.submit(self._upload.send, part)

    def _wait(self) -> None:
        if self._sending is not None:
            self._sending.result()

    def _end(self) -> None:
        self._upload = None
        if self._sender is not None:
            self._sender.shutdown()
