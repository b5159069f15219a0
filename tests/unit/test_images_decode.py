"""Decoding: every kind of picture becomes the upright RGB pixels it shows."""

from __future__ import annotations

import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from PIL import Image

from perennial.errors import InvalidPicture
from perennial.images.decode import MAX_PIXELS, Pixels, claimed_pixels, decode
from perennial.images.kinds import MEDIA_TYPES, kind_of
from tests.support.hostile_pictures import bomb_png, png_chunk
from tests.support.pictures import blotches, picture_bytes

CONTENT = blotches(3, "owl", (48, 36))
LOSSLESS: list[tuple[str, dict[str, Any]]] = [
    ("PNG", {}), ("BMP", {}), ("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"}),
    ("TIFF", {"compression": "packbits"}), ("TIFF", {"compression": "tiff_adobe_deflate"}),
    ("WEBP", {"lossless": True}),
]  # fmt: skip
TURNED: dict[int, Any] = {
    1: lambda p: p,
    2: np.fliplr,
    3: lambda p: np.rot90(p, 2),
    4: np.flipud,
    5: lambda p: p.transpose(1, 0, 2),
    6: lambda p: np.rot90(p, -1),
    7: lambda p: np.rot90(p, 2).transpose(1, 0, 2),
    8: np.rot90,
}
"""What a viewer shows of pixels under each value of EXIF's orientation, in numpy's own words."""


def grey_ramp(dtype: Any = np.uint8) -> Any:
    return np.linspace(0, np.iinfo(dtype).max, 32 * 24).round().astype(dtype).reshape(24, 32)


def stacked(grey: Pixels) -> Pixels:
    return np.repeat(grey[:, :, np.newaxis], 3, axis=2)


@pytest.mark.parametrize(("format", "options"), LOSSLESS)
def test_what_was_saved_without_loss_is_what_is_decoded(format: str, options: dict[str, Any]) -> None:
    found = decode(picture_bytes(CONTENT, format, **options))
    assert np.array_equal(found.pixels, CONTENT)
    assert (found.width, found.height) == (48, 36)
    assert found.pixels.dtype == np.uint8 and found.pixels.flags.c_contiguous


@pytest.mark.parametrize(
    ("format", "options"),
    [("JPEG", {"quality": 95}), ("JPEG", {"quality": 95, "progressive": True}), ("WEBP", {"quality": 95}),
     ("JPEG", {"quality": 95, "mode": "CMYK"}), ("JPEG", {"quality": 95, "optimize": True}),
     ("TIFF", {"compression": "jpeg", "quality": 95}), ("TIFF", {"mode": "CMYK"})],
)  # fmt: skip
def test_what_was_saved_with_loss_is_close(format: str, options: dict[str, Any]) -> None:
    found = decode(picture_bytes(CONTENT, format, **options)).pixels
    assert found.shape == CONTENT.shape
    assert np.abs(found.astype(int) - CONTENT).mean() < 6


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_the_media_type_is_that_of_the_bytes(format: str) -> None:
    found = decode(picture_bytes(CONTENT, format))
    assert found.media_type == f"image/{format.lower()}"
    assert found.media_type in MEDIA_TYPES


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", TURNED)
def test_pictures_stand_upright_as_their_exif_says(format: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    options: dict[str, Any] = {"lossless": True} if format == "WEBP" else {}
    plain = decode(picture_bytes(CONTENT, format, **options)).pixels
    found = decode(picture_bytes(CONTENT, format, exif=exif, **options))
    assert np.array_equal(found.pixels, TURNED[orientation](plain))
    assert found.pixels.flags.c_contiguous
    assert (found.width, found.height) == ((48, 36) if orientation < 5 else (36, 48))


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_means_nothing_turns_nothing(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert np.array_equal(decode(picture_bytes(CONTENT, exif=exif)).pixels, CONTENT)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_damaged_exif_turns_nothing() -> None:
    jpeg = picture_bytes(CONTENT, "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")
    assert np.array_equal(decode(jpeg).pixels, decode(picture_bytes(CONTENT, "JPEG")).pixels)


@pytest.mark.parametrize(
    ("format", "mode", "options"),
    [("PNG", "L", {}), ("BMP", "L", {}), ("TIFF", "L", {}), ("GIF", "L", {}), ("PNG", "1", {}), ("TIFF", "1", {}),
     ("BMP", "1", {})],
)  # fmt: skip
def test_one_channel_becomes_three_equal_ones(format: str, mode: str, options: dict[str, Any]) -> None:
    grey = grey_ramp() if mode == "L" else np.where(grey_ramp() > 127, 255, 0).astype(np.uint8)
    found = decode(picture_bytes(grey, format, mode=mode, **options)).pixels
    assert np.array_equal(found, stacked(grey))


@pytest.mark.parametrize("format", ["PNG", "GIF", "BMP", "TIFF"])
def test_palettes_are_looked_up(format: str) -> None:
    image = Image.fromarray(CONTENT).quantize(64)
    assert np.array_equal(decode(picture_bytes(image, format)).pixels, np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("format", ["PNG", "WEBP", "TIFF"])
def test_alpha_is_laid_on_white(format: str) -> None:
    layer = np.dstack([CONTENT, np.full(CONTENT.shape[:2], 255, np.uint8)])
    layer[:10, :, 3] = 0
    layer[10:20, :, 3] = 128
    options: dict[str, Any] = {"lossless": True, "exact": True} if format == "WEBP" else {}
    found = decode(picture_bytes(Image.fromarray(layer), format, **options)).pixels
    assert (found[:10] == 255).all()
    assert np.array_equal(found[20:], CONTENT[20:])
    mixed = CONTENT[10:20] * (128 / 255) + 255 * (127 / 255)
    assert np.abs(found[10:20] - mixed).max() <= 1


def test_grey_with_alpha_is_laid_on_white() -> None:
    grey = grey_ramp()
    layer = Image.merge("LA", (Image.fromarray(grey), Image.new("L", (32, 24), 0)))
    assert (decode(picture_bytes(layer)).pixels == 255).all()


@pytest.mark.parametrize("format", ["PNG", "GIF"])
def test_a_transparent_color_of_a_palette_is_white(format: str) -> None:
    image = Image.new("P", (16, 16), 1)
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.paste(0, (0, 0, 16, 8))
    found = decode(picture_bytes(image, format, transparency=0)).pixels
    assert (found[:8] == 255).all()
    assert (found[8:] == (40, 50, 60)).all()


def test_a_transparent_color_of_an_rgb_png_is_white() -> None:
    image = Image.new("RGB", (16, 16), (1, 2, 3))
    image.paste((9, 9, 9), (0, 8, 16, 16))
    found = decode(picture_bytes(image, transparency=(1, 2, 3))).pixels
    assert (found[:8] == 255).all() and (found[8:] == 9).all()


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_sixteen_bits_become_eight_evenly(format: str) -> None:
    deep = grey_ramp(np.uint16)
    found = decode(picture_bytes(Image.fromarray(deep), format)).pixels
    assert np.array_equal(found, stacked(np.round(deep / 257).astype(np.uint8)))
    assert found.min() == 0 and found.max() == 255


def test_sixteen_bits_in_the_other_byte_order_are_the_same() -> None:
    deep = grey_ramp(np.uint16)
    image = Image.frombytes("I;16B", (32, 24), deep.astype(">u2").tobytes())
    found = decode(picture_bytes(image, "TIFF")).pixels
    assert np.array_equal(found, stacked(np.round(deep / 257).astype(np.uint8)))


@pytest.mark.parametrize("mode", ["F", "I"])
def test_numbers_that_are_no_colors_are_refused(mode: str) -> None:
    with pytest.raises(InvalidPicture, match=f"pixels of the kind {mode}") as refused:
        decode(picture_bytes(Image.new(mode, (16, 16)), "TIFF"))
    assert refused.value.kind == "unsupported"


def test_of_a_multi_picture_jpeg_the_first_counts() -> None:
    first, second = Image.fromarray(CONTENT), Image.fromarray(blotches(9))
    mpo = picture_bytes(first, "MPO", save_all=True, append_images=[second], quality=95)
    assert kind_of(mpo) is not None
    found = decode(mpo)
    assert found.media_type == "image/jpeg"
    assert np.array_equal(found.pixels, decode(picture_bytes(first, "JPEG", quality=95)).pixels)


def test_an_interlaced_png_is_the_same_picture() -> None:
    packed = picture_bytes(CONTENT)
    assert np.array_equal(decode(_interlaced(CONTENT)).pixels, decode(packed).pixels)


def _interlaced(pixels: Pixels) -> bytes:
    """Adam7 by hand: Pillow does not write it."""
    height, width = pixels.shape[:2]
    passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    rows = b"".join(
        b"\0" + row.tobytes() for top, left, down, right in passes for row in pixels[top::down, left::right]
    )  # fmt: skip
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 1)
    return (
        b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", zlib.compress(rows))
        + png_chunk(b"IEND", b"")
    )  # fmt: skip


def test_a_large_picture_is_the_same_as_its_parts() -> None:
    """It is converted strip by strip."""
    rng = np.random.default_rng(0)
    large = rng.integers(0, 256, (1000, 1501, 4), dtype=np.uint8)
    found = decode(picture_bytes(Image.fromarray(large), compress_level=0)).pixels
    part = decode(picture_bytes(Image.fromarray(large[600:720]), compress_level=0)).pixels
    assert np.array_equal(found[600:720], part)


def test_forty_million_pixels_are_read_and_one_row_more_is_not() -> None:
    largest = decode(bomb_png(8000, 5000))
    assert largest.width * largest.height == MAX_PIXELS
    with pytest.raises(InvalidPicture, match=r"8,000 x 5,001 pixels, of at most 40 million") as refused:
        decode(bomb_png(8000, 5001))
    assert refused.value.kind == "large"


def test_decoding_is_safe_between_threads_and_the_same_each_time() -> None:
    files = [picture_bytes(blotches(seed, size=(96, 64)), format) for seed, format in enumerate(
        ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"] * 2)]  # fmt: skip
    alone = [decode(data).pixels for data in files]
    with ThreadPoolExecutor(6) as pool:
        together = list(pool.map(lambda data: decode(data).pixels, files * 3))
    assert all(np.array_equal(found, alone[place % len(files)]) for place, found in enumerate(together))


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_a_header_says_how_many_pixels_follow(format: str) -> None:
    assert claimed_pixels(picture_bytes(CONTENT, format)) == 48 * 36


def test_what_a_header_cannot_say_is_none_or_too_many() -> None:
    assert claimed_pixels(b"") == 0
    assert claimed_pixels(b"\xff\xd8\xff\xe0junk") == 0
    assert claimed_pixels(bomb_png(30_000, 10_000)) > MAX_PIXELS
