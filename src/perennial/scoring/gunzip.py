"""Gzip read as a stream, with an end to how much may come out of it."""

from __future__ import annotations

from collections.abc import Iterator

from perennial.datasets.unpack import inflated
from perennial.errors import DataError
from perennial.scoring.source import Chunk, Source, chunks

MAX_UNPACKED_BYTES = 4_000_000_000
MAX_RATIO = 250
FREE_BYTES = 16 << 20
"""From here on more than MAX_RATIO bytes for each packed one mean that the file is there to do harm."""
READ_BYTES = 4 << 20


def gunzipped(source: Source, size: int) -> Iterator[Chunk]:
    """What the gzip file ``source`` holds, ``size`` bytes at a time, fewer only in the end.

    Raises:
        DataError: it is damaged, ends too early, or holds more than MAX_UNPACKED_BYTES or MAX_RATIO allow.
    """
    read = total = waiting = 0
    pieces: list[bytes] = []

    def packed() -> Iterator[bytes]:
        nonlocal read
        for data in chunks(source, size=READ_BYTES):
            read += len(data)
            yield data

    for piece in inflated(source.name, packed()):
        total, waiting = total + len(piece), waiting + len(piece)
        _check(source.name, total, read)
        pieces.append(piece)
        if waiting >= size:
            whole = b"".join(pieces)
            cut = waiting - waiting % size
            yield from (Chunk(whole[start : start + size], read) for start in range(0, cut, size))
            pieces, waiting = [whole[cut:]], waiting - cut
    if waiting:
        yield Chunk(b"".join(pieces), read)


def _check(name: str, total: int, read: int) -> None:
    if total > MAX_UNPACKED_BYTES:
        raise DataError(f"unpacks to over {MAX_UNPACKED_BYTES:,} bytes.", file=name, remedy="Split it into several.")
    if total > FREE_BYTES and total > read * MAX_RATIO:
        raise DataError(
            f"unpacks to over {MAX_RATIO} times its size, as a gzip bomb does.",
            file=name,
            remedy="Give it without gzip.",
        )
