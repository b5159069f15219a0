"""The text of a source as a stream of bytes: unpacked where it is packed, and UTF-16 made UTF-8."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator

from perennial.errors import DataError
from perennial.scoring.gunzip import gunzipped
from perennial.scoring.results import Dialect, Encoding
from perennial.scoring.source import Chunk, Source, chunks
from perennial.serving.batch_job import BatchPart

BLOCK_BYTES = 4 << 20
"""Enough that a call a block costs nothing, few enough that a handful of blocks in flight is little memory."""
WIDE: tuple[Encoding, Encoding] = ("utf-16-le", "utf-16-be")


def is_streamed(dialect: Dialect) -> bool:
    """Whether a text can be read from its beginning only: a byte of it is not one of the source."""
    return dialect.gzip or dialect.encoding in WIDE


def text_rows(
    source: Source, dialect: Dialect, part: BatchPart | None = None, *, size: int | None = None
) -> Iterator[Chunk]:
    """The text behind the header, or that of ``part``, which of a streamed text is always the whole.

    It comes about ``size`` bytes at a time, or BLOCK_BYTES.

    Raises:
        DataError: damaged gzip, too much of it, or UTF-16 that ends within a character.
    """
    size = size or BLOCK_BYTES
    if is_streamed(dialect):
        return _behind(text(source, gzip=dialect.gzip, encoding=dialect.encoding, size=size), dialect.body)
    start, end = (part.start, part.end) if part else (dialect.body, source.size)
    return _plain(source, start, end, size)


def text(source: Source, *, gzip: bool, encoding: Encoding | None, size: int) -> Iterator[Chunk]:
    """The whole text with its header and byte-order mark, about ``size`` bytes at a time.

    Raises DataError as :func:`text_rows` does.
    """
    stream = gunzipped(source, size) if gzip else _plain(source, 0, source.size, size)
    return _narrow(source.name, stream, encoding) if encoding in WIDE else stream


def _plain(source: Source, start: int, end: int, size: int) -> Iterator[Chunk]:
    place = start
    for data in chunks(source, start, end, size):
        place += len(data)
        yield Chunk(data, place)


def _behind(stream: Iterable[Chunk], skip: int) -> Iterator[Chunk]:
    for chunk in stream:
        if len(chunk.data) > skip:
            yield Chunk(chunk.data[skip:], chunk.end) if skip else chunk
        skip = max(0, skip - len(chunk.data))


def _narrow(name: str, stream: Iterable[Chunk], encoding: Encoding) -> Iterator[Chunk]:
    """UTF-16 as UTF-8; half of a pair becomes bytes that are no UTF-8, so that only its row is refused."""
    decoder = codecs.getincrementaldecoder(encoding)("surrogatepass")
    end = 0
    for chunk in stream:
        end = chunk.end
        if data := decoder.decode(chunk.data).encode("utf-8", "surrogatepass"):
            yield Chunk(data, end)
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise DataError("ends within a character of UTF-16.", file=name, remedy="Transfer it again.") from error
