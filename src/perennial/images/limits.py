"""What no picture may go beyond. Each bound is there because a small file can ask for much more than its size.

Pillow bounds what text, colour profiles and tags take; what follows it leaves to its callers.
"""

from __future__ import annotations

import re
import struct

from PIL import Image

from perennial.errors import InvalidPicture
from perennial.images.kinds import READ

MAX_BYTES = 20_000_000
MAX_PIXELS = 40_000_000
MIN_SIDE = 8
MAX_SCANS = 64
"""Of a progressive JPEG, which go over all pixels each: encoders write ten, a hostile 4 MB could hold 60,000."""
MAX_SEGMENTS = 1_000
"""Of a JPEG, before and between its scans: 20 MB of metadata need 300, and Pillow copies all EXIF anew for each."""
MAX_TAGS = 1_000
"""Of a TIFF: cameras and scanners write dozens."""
MAX_STRIPS = 50_000
"""Of a TIFF, or tiles: each costs Pillow as much as hundreds of pixels, and all may lie in the same few bytes."""

_JPEG_MARKER = re.compile(rb"\xff([\x02-\xcf\xd9-\xfe])")
"""Any but stuffing, restarts and the start, which have no length and stand within a scan too."""
_END, _SCAN = 0xD9, 0xDA
_TIFF_COMPRESSIONS = frozenset({"raw", "packbits", "tiff_lzw", "tiff_deflate", "tiff_adobe_deflate", "jpeg"})
"""Of photographs. The others are those of fax, whose damage libtiff reports line by line, or hardly ever seen."""
_BMP_PLAIN = frozenset({0, 3})
_TILE_WIDTH, _TILE_LENGTH = 322, 323
_STRIP_OFFSETS, _TILE_OFFSETS = 273, 324
WITH_ALPHA = frozenset({"RGBA", "RGBa", "LA", "La", "PA"})
_MODES = WITH_ALPHA | {"1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr"}


def check_bytes(data: bytes, format: str) -> None:
    """Refuse what shows before any reader is asked. Raises InvalidPicture."""
    if format == "JPEG":
        _check_jpeg(data)
    elif format == "TIFF":
        _check_tags(data)


def check_opened(image: Image.Image) -> None:
    """Refuse what a picture's header says of it, before its pixels are decoded. Raises InvalidPicture."""
    check_size(*image.size)
    if image.format != "MPO" and getattr(image, "is_animated", False):
        raise InvalidPicture(
            "holds more than one", "Send one; animations and documents of many pages are not read.", kind="unsupported"
        )
    if image.format == "TIFF":
        _check_tiff(image)
    if image.format == "BMP" and image.info.get("compression", 0) not in _BMP_PLAIN:
        raise _unread("is a compressed BMP")
    if image.mode not in _MODES and not image.mode.startswith("I;16"):
        raise _unread(f"has pixels of the kind {image.mode}")


def check_size(width: int, height: int) -> None:
    """Refuse too many pixels, and too few. Raises InvalidPicture."""
    if width * height > MAX_PIXELS:
        raise InvalidPicture(
            f"is {width:,} x {height:,} pixels, of at most {MAX_PIXELS // 1_000_000} million",
            "Send it smaller.",
            kind="large",
        )
    if min(width, height) < MIN_SIDE:
        raise InvalidPicture(
            f"is {width} x {height} pixels; {MIN_SIDE} x {MIN_SIDE} is the least", "Send a larger one.", kind="damaged"
        )


def _check_jpeg(data: bytes) -> None:
    scans = segments = 0
    place = 2
    while found := _JPEG_MARKER.search(data, place):
        marker, place = data[found.end() - 1], found.end()
        if marker == _END:
            if scans:
                break  # what follows is not decoded
            continue
        segments += 1
        scans += marker == _SCAN
        if scans > MAX_SCANS or segments > MAX_SEGMENTS:
            what = f"has more than {MAX_SCANS} scans" if scans > MAX_SCANS else f"has more than {MAX_SEGMENTS:,} parts"
            raise _unread(what)
        place += int.from_bytes(data[place : place + 2], "big")


def _check_tags(data: bytes) -> None:
    order = "<" if data[:2] == b"II" else ">"
    try:
        (start,) = struct.unpack_from(f"{order}I", data, 4)
        (tags,) = struct.unpack_from(f"{order}H", data, start)
        if tags > MAX_TAGS:
            raise _unread(f"has {tags:,} tags, of at most {MAX_TAGS:,}")
        for place in range(start + 2, start + 2 + 12 * tags, 12):
            tag, _, count = struct.unpack_from(f"{order}HHI", data, place)
            if tag in (_STRIP_OFFSETS, _TILE_OFFSETS) and count > MAX_STRIPS:
                raise _unread(f"has {count:,} strips or tiles, of at most {MAX_STRIPS:,}")
    except struct.error:
        return  # damaged: its reader will say so


def _check_tiff(image: Image.Image) -> None:
    compression = image.info.get("compression")
    if compression not in _TIFF_COMPRESSIONS:
        raise _unread(f"is a TIFF compressed by {compression}")
    width, height = (image.tag_v2.get(tag, 0) for tag in (_TILE_WIDTH, _TILE_LENGTH))  # type: ignore[attr-defined]
    if width or height:
        check_size(width, height)
        _check_tiles(image.size, (width, height))


def _check_tiles(size: tuple[int, int], tile: tuple[int, int]) -> None:
    """Tiles stand out at the right and below, and are decoded whole: a wide picture of tall ones is mostly that."""
    width, height = (-(-whole // part) * part for whole, part in zip(size, tile, strict=True))
    if width * height > 2 * MAX_PIXELS:
        raise InvalidPicture(
            f"has tiles of {width * height // 1_000_000:,} million pixels, of at most {2 * MAX_PIXELS // 1_000_000}",
            "Send it smaller.",
            kind="large",
        )


def _unread(what: str) -> InvalidPicture:
    return InvalidPicture(what, f"Save it as a plain RGB or grey {READ}.", kind="unsupported")
