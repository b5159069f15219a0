"""What bytes claim to be, by how they begin: neither a file's name nor a content type is asked."""

from __future__ import annotations

import struct
from typing import NamedTuple

PNG = b"\x89PNG\r\n\x1a\n"
READ = "JPEG, PNG, WebP, GIF, BMP or TIFF"
_TEXT = (b"<?xml", b"<svg", b"<!doctype", b"<html", b"<")


class Kind(NamedTuple):
    """A format as Pillow calls it, and its media type."""

    format: str
    media_type: str


_BEGINNINGS = (
    (b"\xff\xd8\xff", Kind("JPEG", "image/jpeg")),
    (PNG, Kind("PNG", "image/png")),
    (b"GIF87a", Kind("GIF", "image/gif")),
    (b"GIF89a", Kind("GIF", "image/gif")),
    (b"II*\x00", Kind("TIFF", "image/tiff")),
    (b"MM\x00*", Kind("TIFF", "image/tiff")),
    (b"BM", Kind("BMP", "image/bmp")),
)
MEDIA_TYPES = tuple(sorted({kind.media_type for _, kind in _BEGINNINGS} | {"image/webp"}))


def kind_of(data: bytes) -> Kind | None:
    """The format that is read, None for any other: SVG, HTML, an archive, HEIC, or nothing at all."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return Kind("WEBP", "image/webp")
    return next((kind for beginning, kind in _BEGINNINGS if data.startswith(beginning)), None)


def begins_as_picture(data: bytes) -> bool:
    """Whether bytes begin as a picture does and no text: ``BM`` may begin both."""
    kind = kind_of(data)
    return kind is not None and (kind.format != "BMP" or b"\x00" in data[:64])


def is_markup(data: bytes) -> bool:
    """Whether bytes begin as SVG or HTML do."""
    return data[:512].removeprefix(b"\xef\xbb\xbf").lstrip().lower().startswith(_TEXT)


def webp_size(data: bytes) -> tuple[int, int] | None:
    """Width and height of a WebP file; None where its header is damaged.

    Pillow makes room for the whole canvas when it opens one, before anyone could ask for its size. Layout: RFC 9649.
    """
    chunk = data[12:16]
    try:
        if chunk == b"VP8X":
            return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
        if chunk == b"VP8L" and data[20] == 0x2F:
            bits = int.from_bytes(data[21:25], "little")
            return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
        if chunk == b"VP8 " and data[23:26] == b"\x9d\x01\x2a":
            width, height = struct.unpack("<HH", data[26:30])
            return width & 0x3FFF, height & 0x3FFF
    except (IndexError, struct.error):
        return None
    return None
