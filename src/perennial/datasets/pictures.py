"""The pictures behind rows: read from the bucket by their digests when they are asked for, a few of them ahead."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perennial import keys
from perennial.errors import IntegrityError, InvalidPicture, NotFoundError
from perennial.images.budget import in_the_works
from perennial.images.decode import MAX_BYTES, Pixels, decode
from perennial.images.pixels import framed
from perennial.spec import Frame
from perennial.store import Store

READERS = 4
AHEAD = 4 * READERS


@dataclass(frozen=True)
class Pictures:
    """Pictures of one model, in the order of their rows; ``digests`` are the SHA-256 (hex) of their bytes."""

    store: Store
    model: str
    digests: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.digests)

    def take(self, rows: NDArray[np.int64] | Sequence[int]) -> Pictures:
        """Some of the pictures, by position."""
        return Pictures(self.store, self.model, tuple(self.digests[row] for row in rows))

    def framed(self, frame: Frame) -> Iterator[Pixels]:
        """Each picture as a model is given it: uint8 [size, size, channels]. Raises as :func:`read_picture`."""
        waiting: deque[Future[Pixels]] = deque()
        rest = iter(self.digests)
        with ThreadPoolExecutor(READERS) as pool:
            try:
                while True:
                    while len(waiting) < AHEAD and (digest := next(rest, None)) is not None:
                        waiting.append(pool.submit(self._framed, digest, frame))
                    if not waiting:
                        return
                    yield waiting.popleft().result()
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def _framed(self, digest: str, frame: Frame) -> Pixels:
        try:
            data = read_picture(self.store, self.model, digest)
            with in_the_works(data):
                return framed(decode(data), frame)
        except InvalidPicture as error:
            raise IntegrityError(f"{keys.image(self.model, digest)}: {error.message}") from error


def put_picture(store: Store, model: str, data: bytes) -> str:
    """Store the bytes of a picture under their SHA-256 (hex), unless they are there, and return it."""
    digest = hashlib.sha256(data).hexdigest()
    key = keys.image(model, digest)
    if not store.exists(key):  # asking is cheaper than sending them again
        store.put_new(key, data)
    return digest


def read_picture(store: Store, model: str, digest: str) -> bytes:
    """The bytes of a picture.

    Raises:
        IntegrityError: they are gone, or do not match their digest.
    """
    key = keys.image(model, digest)
    try:
        data = store.get(key).data
    except NotFoundError as error:
        raise IntegrityError(f"{key} is gone.", remedy="Land the picture again.") from error
    if len(data) > MAX_BYTES or hashlib.sha256(data).hexdigest() != digest:
        raise IntegrityError(f"{key} does not match its name.", remedy="Restore it from a backup.")
    return data
