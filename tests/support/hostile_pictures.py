"""Pictures that are not what they seem: small files that ask for much, and files that lie."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

from PIL import Image

from tests.support.pictures import blotches, picture_bytes


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_with(*chunks: bytes) -> bytes:
    """A good PNG with chunks after its header."""
    png = picture_bytes()
    return png[:33] + b"".join(chunks) + png[33:]


def bomb_png(width: int, height: int) -> bytes:
    """A black PNG of one bit a pixel: 6 MP take 1 KB, and decode."""
    row = b"\0" * (1 + (width + 7) // 8)
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", packed) + png_chunk(b"IEND", b"")
    )  # fmt: skip


def apng(frames: int = 3) -> bytes:
    """An animated PNG."""
    first, *rest = (Image.fromarray(blotches(seed)) for seed in range(frames))
    return picture_bytes(first, save_all=True, append_images=rest, duration=100)


def animation(format: str, frames: int = 3) -> bytes:
    """An animated GIF or WebP, or a TIFF of several pages."""
    first, *rest = (Image.fromarray(blotches(seed)) for seed in range(frames))
    return picture_bytes(first, format, save_all=True, append_images=rest)


def scans_jpeg(scans: int, size: tuple[int, int] = (64, 64)) -> bytes:
    """A progressive JPEG whose last scan is there so often that there are ``scans`` in all."""
    jpeg = picture_bytes(Image.new("L", size, 128), "JPEG", progressive=True)
    last = jpeg[jpeg.rfind(b"\xff\xda") : -2]
    return jpeg[:-2] + last * (scans - jpeg.count(b"\xff\xda")) + jpeg[-2:]


def segments_jpeg(segments: int) -> bytes:
    """A JPEG with that many empty segments of an application's."""
    jpeg = picture_bytes(format="JPEG")
    return jpeg[:2] + b"\xff\xe5\x00\x02" * segments + jpeg[2:]


def exif_overlapping(tags: int, size: int) -> bytes:
    """EXIF whose ``tags`` all hold the same ``size`` bytes."""
    start = 8 + 2 + tags * 12 + 4
    entries = b"".join(struct.pack(">HHII", tag, 1, size, start) for tag in range(1, tags + 1))
    return b"MM\0*" + struct.pack(">IH", 8, tags) + entries + b"\0\0\0\0" + b"z" * size


def tiff_of(entries: Sequence[tuple[int, int, int, int]], data: bytes, *, after: int = 0) -> bytes:
    """A little-endian TIFF of one directory: tag, type, count, value or offset; ``data`` stands at offset 8."""
    directory = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *entry) for entry in sorted(entries))
    return b"II*\0" + struct.pack("<I", 8 + len(data)) + data + directory + struct.pack("<I", after)


def grey_tiff(
    size: tuple[int, int] = (32, 24), *, more: Sequence[tuple[int, int, int, int]] = (), compression: int = 1,
    after: int = 0,
) -> bytes:  # fmt: skip
    """A black TIFF of one strip, with ``more`` tags."""
    width, height = size
    entries = [
        (256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, compression), (262, 3, 1, 1),
        (273, 4, 1, 8), (277, 3, 1, 1), (278, 4, 1, height), (279, 4, 1, width * height),
    ]  # fmt: skip
    return tiff_of([*entries, *more], b"\0" * (width * height), after=after)


def tiled_tiff(tile: tuple[int, int]) -> bytes:
    """A TIFF of 100 × 100 pixels whose one tile is of ``tile`` pixels, of zeros that pack well."""
    packed = zlib.compress(b"\0" * 100_000, 9)
    return tiff_of(
        [
            (256, 4, 1, 100), (257, 4, 1, 100), (258, 3, 1, 8), (259, 3, 1, 8), (262, 3, 1, 1), (277, 3, 1, 1),
            (322, 4, 1, tile[0]), (323, 4, 1, tile[1]), (324, 4, 1, 8), (325, 4, 1, len(packed)),
        ],
        packed,
    )  # fmt: skip


def tiles_beyond(width: int = 5_000_000, height: int = 8, tile: tuple[int, int] = (8_000, 4_992)) -> bytes:
    """A TIFF of few pixels whose every tile is mostly beyond them, and is one and the same 40 KB."""
    packed = zlib.compress(b"\0" * (tile[0] * tile[1]), 9)
    tiles = -(-width // tile[0]) * -(-height // tile[1])
    offsets, sizes = struct.pack("<I", 8) * tiles, struct.pack("<I", len(packed)) * tiles
    places = (8 + len(packed), 8 + len(packed) + len(offsets)) if tiles > 1 else (8, len(packed))
    return tiff_of(
        [
            (256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 8), (262, 3, 1, 1), (277, 3, 1, 1),
            (322, 4, 1, tile[0]), (323, 4, 1, tile[1]), (324, 4, tiles, places[0]), (325, 4, tiles, places[1]),
        ],
        packed + offsets + sizes,
    )  # fmt: skip


def strips_tiff(rows: int) -> bytes:
    """A TIFF of 8 pixels a row, each row a strip, all at the same place."""
    return tiff_of(
        [
            (256, 4, 1, 8), (257, 4, 1, rows), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, rows, 16),
            (277, 3, 1, 1), (278, 4, 1, 1),
        ],
        b"\0" * 8 + struct.pack("<I", 8) * rows,
    )  # fmt: skip


def exif_jpeg(segments: int, size: int) -> bytes:
    """A JPEG whose EXIF goes on through that many segments of ``size`` bytes."""
    jpeg = picture_bytes(format="JPEG")
    segment = b"Exif\0\0" + b"z" * size
    return jpeg[:2] + (b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment) * segments + jpeg[2:]


def rle_bmp(width: int = 255, height: int = 32) -> bytes:
    """A BMP of runs of four bits."""
    data = (bytes([width, 0x12]) + b"\0\0") * height + b"\0\1"
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 4, 2, len(data), 0, 0, 16, 0)
    return b"BM" + struct.pack("<IHHI", 118 + len(data), 0, 0, 118) + header + b"\1\2\3\0" * 16 + data


def webp_claiming(width: int, height: int) -> bytes:
    """The header of an extended WebP of that canvas, and no picture."""
    canvas = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = b"WEBPVP8X" + struct.pack("<I", 10) + b"\0\0\0\0" + canvas
    return b"RIFF" + struct.pack("<I", len(body)) + body


SVG = b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
HTML_GIF = b"GIF89a/*<script>alert(1)</script>*/=1;"
