"""The central directory of a zip archive, read as a stream with bounds.

Python's own module makes an object of every entry before anyone may count them, by a directory of any size; this one
holds a chunk of it at a time, and reads entries by ranges that suit S3. Layout: PKWARE's APPNOTE 6.3, sections 4.3.12
to 4.3.16.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from perennial.errors import DataError
from perennial.scoring.pictures.zip_entry import ZipEntry
from perennial.scoring.source import Source, chunks

MAX_ENTRIES = 100_000
MAX_DIRECTORY_BYTES = 64 << 20
CHUNK_BYTES = 1 << 20

_END, _END64, _LOCATOR, _CENTRAL = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07", b"PK\x01\x02"
_END_RECORD = struct.Struct("<4s4H2LH")
_END64_RECORD = struct.Struct("<4sQ2H2L4Q")
_LOCATOR_RECORD = struct.Struct("<4sLQL")
_CENTRAL_RECORD = struct.Struct("<4s6H3L5H2L")
_LONGEST_COMMENT = 0xFFFF
_UNICODE = 0x800
_EXTRA64 = 1
_FULL, _FULL16 = 0xFFFFFFFF, 0xFFFF


class Directory(NamedTuple):
    """``size`` bytes from ``start`` on; ``entries`` as it was told; ``before`` bytes stand in front of the archive."""

    start: int
    size: int
    entries: int
    before: int


def find_directory(source: Source) -> Directory:
    """Where the directory of an archive lies.

    Raises:
        DataError: there is none, it is damaged, in several volumes, or larger than is read.
    """
    tail_start = max(0, source.size - _END_RECORD.size - _LONGEST_COMMENT)
    tail = source.read(tail_start, source.size)
    place = tail.rfind(_END)
    if place < 0 or len(tail) - place < _END_RECORD.size:
        raise damaged(source, "its end is missing")
    _, disk, first_disk, _, entries, size, offset, _ = _END_RECORD.unpack_from(tail, place)
    end = tail_start + place
    if found := _directory64(source, end):
        end, disk, first_disk, entries, size, offset = found
    if disk or first_disk:
        raise DataError("is one volume of several.", file=source.name, remedy="Pack it as one zip.")
    if entries > MAX_ENTRIES:
        raise too_many(source, entries)
    if size > MAX_DIRECTORY_BYTES:
        raise DataError(
            f"has a directory of {size:,} bytes, of at most {MAX_DIRECTORY_BYTES:,}.",
            file=source.name,
            remedy="Split it into several.",
        )
    before = end - size - offset
    if before < 0:
        raise damaged(source, "its directory is not where it says")
    return Directory(offset + before, size, entries, before)


def entries_of(source: Source, directory: Directory) -> Iterator[ZipEntry]:
    """The entries in the order of the directory; local headers are not looked at.

    Raises:
        DataError: it is damaged, or has other or more entries than it says.
    """
    held, found = b"", 0
    for chunk in chunks(source, directory.start, directory.start + directory.size, CHUNK_BYTES):
        held, place = held + chunk, 0
        while (length := _length(source, held, place)) is not None:
            found += 1
            if found > MAX_ENTRIES:
                raise too_many(source, found)
            yield _entry(source, held[place : place + length], directory.before)
            place += length
        held = held[place:]
    if held or found != directory.entries:
        raise damaged(source, f"its directory has {found:,} entries and tells of {directory.entries:,}")


def too_many(source: Source, entries: int) -> DataError:
    """The error for more entries than are read; ``entries`` is how many there are at the least."""
    return DataError(
        f"has {entries:,} entries or more, of at most {MAX_ENTRIES:,}.",
        file=source.name,
        remedy="Split it into several.",
    )


def damaged(source: Source, reason: str) -> DataError:
    return DataError(f"is a damaged zip: {reason}.", file=source.name, remedy="Write or transfer it again.")


def _directory64(source: Source, end: int) -> tuple[int, int, int, int, int, int] | None:
    """What the records of a Zip64 archive say that stand before its end; None where there are none."""
    start = end - _LOCATOR_RECORD.size - _END64_RECORD.size
    if start < 0:
        return None
    record = source.read(start, end)
    if len(record) < end - start or not record.startswith(_LOCATOR, _END64_RECORD.size):
        return None
    told, *_, disk, first_disk, _, entries, size, offset = _END64_RECORD.unpack_from(record)
    if told != _END64:
        raise damaged(source, "its 64-bit end is missing")
    return start, disk, first_disk, entries, size, offset


def _length(source: Source, held: bytes, place: int) -> int | None:
    """How long the entry is that begins at a place; None where more has to be read first."""
    if len(held) - place < _CENTRAL_RECORD.size:
        return None
    if not held.startswith(_CENTRAL, place):
        raise damaged(source, "its directory is no directory")
    name, extra, comment = struct.unpack_from("<3H", held, place + 28)
    length = _CENTRAL_RECORD.size + int(name) + int(extra) + int(comment)
    return length if len(held) - place >= length else None


def _entry(source: Source, record: bytes, before: int) -> ZipEntry:
    _, _, _, flags, method, _, _, crc, packed, size, name, extra, _, disk, _, _, offset = _CENTRAL_RECORD.unpack_from(
        record
    )
    after = _CENTRAL_RECORD.size + name
    if _FULL in (packed, size, offset):
        size, packed, offset = _sizes64(source, record[after : after + extra], (size, packed, offset))
    if disk not in (0, _FULL16):
        raise DataError("is one volume of several.", file=source.name, remedy="Pack it as one zip.")
    is_unicode = bool(flags & _UNICODE)
    return ZipEntry(record[_CENTRAL_RECORD.size : after], is_unicode, flags, method, crc, packed, size, offset + before)


def _sizes64(source: Source, extra: bytes, told: tuple[int, int, int]) -> tuple[int, int, int]:
    """Size, packed size and offset, those from the extra field that do not fit 32 bits."""
    while len(extra) >= 4:
        kind, length = struct.unpack_from("<2H", extra)
        if kind == _EXTRA64:
            values = list(struct.unpack_from(f"<{min(length, len(extra) - 4) // 8}Q", extra, 4))
            if len(values) >= told.count(_FULL):
                size, packed, offset = (values.pop(0) if one == _FULL else one for one in told)
                return size, packed, offset
        extra = extra[4 + length :]
    raise damaged(source, "it has an entry without a size")
