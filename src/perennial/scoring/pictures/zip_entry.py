"""One entry of a zip archive: what its directory says of it, and its bytes, unpacked up to what was said.

Layout: PKWARE's APPNOTE 6.3, sections 4.3.7 and 4.3.12.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from typing import NamedTuple

from perennial.images.decode import MAX_BYTES
from perennial.scoring.pictures.rows import Unusable, too_large

LOCAL = b"PK\x03\x04"
_STORED, _DEFLATED = 0, 8
_METHODS = {9: "Deflate64", 12: "bzip2", 14: "LZMA", 93: "Zstandard", 95: "XZ"}
_ENCRYPTED = 0x1
_HEADER = struct.Struct("<4s5H3L2H")
_OVERHEAD = 1 << 16
"""Bytes by which packing may make something larger that cannot be packed."""

Read = Callable[[int, int], bytes]
"""Bytes from one place of the archive up to another."""


class ZipEntry(NamedTuple):
    """``name`` as it stands there; ``packed`` and ``size`` in bytes; ``offset`` is where its local header begins."""

    name: bytes
    is_unicode: bool
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    offset: int

    @property
    def is_encrypted(self) -> bool:
        return bool(self.flags & _ENCRYPTED)

    @property
    def end(self) -> int:
        """The byte behind it, where its local header has no more extra fields than most have."""
        return self.offset + _HEADER.size + len(self.name) + self.packed + 64


def unpacked(entry: ZipEntry, read: Read) -> bytes:
    """The bytes of an entry, never more than its directory says, nor than a picture may have.

    Raises:
        Unusable: it is encrypted, too large, packed in a way that is not read here, an archive itself, or damaged.
    """
    if entry.is_encrypted:
        raise Unusable("is encrypted")
    if entry.size > MAX_BYTES or entry.packed > MAX_BYTES + _OVERHEAD:
        raise too_large(max(entry.size, entry.packed), MAX_BYTES)
    if entry.method not in (_STORED, _DEFLATED):
        method = _METHODS.get(entry.method, f"method {entry.method}")
        raise Unusable(f"is packed by {method}, of Deflate or nothing")
    data = _inflated(entry, _packed(entry, read))
    if data.startswith(LOCAL):
        raise Unusable("is an archive within the archive, or a document; unpack it first")
    return data


def _packed(entry: ZipEntry, read: Read) -> bytes:
    header = read(entry.offset, entry.offset + _HEADER.size)
    if len(header) < _HEADER.size or not header.startswith(LOCAL):
        raise Unusable("is not where the archive's directory says")
    *_, name, extra = _HEADER.unpack(header)
    start = entry.offset + _HEADER.size + name + extra
    if read(entry.offset + _HEADER.size, start - extra) != entry.name:
        raise Unusable("has another name than the archive's directory says")
    packed = read(start, start + entry.packed)
    if len(packed) < entry.packed:
        raise Unusable("is cut short")
    return packed


def _inflated(entry: ZipEntry, packed: bytes) -> bytes:
    data = packed
    if entry.method == _DEFLATED:
        try:
            data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, entry.size + 1)
        except zlib.error:
            raise Unusable("is damaged within the archive") from None
    if len(data) > entry.size:
        raise Unusable(f"is larger than the {entry.size:,} bytes that the archive's directory says")
    if len(data) < entry.size or zlib.crc32(data) != entry.crc:
        raise Unusable("is damaged within the archive: its checksum is another")
    return data
