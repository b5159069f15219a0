"""Hostile and damaged pictures: each is read rightly or refused in words, quickly, and never anything else."""

from __future__ import annotations

import io
import random
import subprocess
import sys
import time
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from perennial.errors import InvalidPicture
from perennial.images.decode import MAX_BYTES, decode
from perennial.images.kinds import webp_size
from perennial.images.limits import MAX_SCANS, MAX_SEGMENTS, MAX_STRIPS, MAX_TAGS
from perennial.images.record import read_record
from tests.support.hostile_pictures import (
    HTML_GIF,
    SVG,
    animation,
    apng,
    bomb_png,
    exif_jpeg,
    exif_overlapping,
    grey_tiff,
    png_chunk,
    png_with,
    rle_bmp,
    scans_jpeg,
    segments_jpeg,
    strips_tiff,
    tiled_tiff,
    tiles_beyond,
    webp_claiming,
)
from tests.support.pictures import blotches, picture_bytes

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
SECONDS = 8.0
"""What any file here may take of the processor: each takes a second at most, or, without its bound, minutes."""

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # a test of its own is about those


def refused(data: bytes) -> InvalidPicture:
    with pytest.raises(InvalidPicture) as caught:
        decode(data)
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("data", "kind", "says"),
    [
        (b"", "damaged", "is empty"),
        (b"\0" * 100, "unsupported", "none of JPEG, PNG, WebP, GIF, BMP or TIFF"),
        (b"just words", "unsupported", "none of"),
        (SVG, "unsupported", "markup such as SVG"),
        (b"\xef\xbb\xbf  \n<svg/>", "unsupported", "markup"),
        (b"<!DOCTYPE html><html></html>", "unsupported", "markup"),
        (b"%PDF-1.7", "unsupported", "none of"),
        (b"PK\x03\x04", "unsupported", "none of"),
        (b"\0\0\0\x18ftypheic", "unsupported", "none of"),
        (b"\0\0\0\x18ftypavif", "unsupported", "none of"),
        (b"\0\0\1\0\1\0", "unsupported", "none of"),
        (b"%!PS-Adobe-3.0 EPSF-3.0", "unsupported", "none of"),
        (b"II+\0\x08\0\0\0", "unsupported", "none of"),
        (HTML_GIF, "damaged", "begins as GIF"),
        (b"\x89PNG\r\n\x1a\n" + SVG, "damaged", "begins as PNG"),
        (b"\xff\xd8\xff", "damaged", "begins as JPEG"),
        (b"BM", "damaged", "begins as BMP"),
        (b"RIFF\0\0\0\0WEBP", "damaged", "begins as WEBP"),
        (b"II*\0\xff\xff\xff\xff", "damaged", "begins as TIFF"),
    ],
)
def test_what_is_no_picture_is_told_so(data: bytes, kind: str, says: str) -> None:
    error = refused(data)
    assert error.kind == kind
    assert says in str(error)


def test_too_many_bytes_are_refused_before_any_is_looked_at() -> None:
    assert refused(b"\0" * (MAX_BYTES + 1)).kind == "large"
    with pytest.raises(InvalidPicture, match="of at most 100"):
        decode(picture_bytes(), max_bytes=100)


@pytest.mark.parametrize("size", [(1, 1), (7, 400), (400, 7)])
@pytest.mark.parametrize("format", FORMATS)
def test_pictures_with_next_to_no_pixels_are_refused(format: str, size: tuple[int, int]) -> None:
    assert "8 x 8 is the least" in str(refused(picture_bytes("red", format, size)))


@pytest.mark.parametrize(
    "data",
    [
        bomb_png(20_000, 2_001),
        bomb_png(9_000, 9_000),
        webp_claiming(16_384, 16_384),
        picture_bytes(Image.new("1", (9_000, 9_000)), "GIF"),
        grey_tiff()[:-2].replace((32).to_bytes(4, "little"), (60_000).to_bytes(4, "little")).replace(
            (24).to_bytes(4, "little"), (60_000).to_bytes(4, "little")) + b"\0\0",
        picture_bytes(format="BMP")[:18] + (30_000).to_bytes(4, "little") * 2 + picture_bytes(format="BMP")[26:],
        tiled_tiff((20_000, 10_000)),
        tiles_beyond(),
    ],
    ids=["png", "png of 81 MP", "webp", "gif", "tiff", "bmp", "tile", "tiles"],
)  # fmt: skip
def test_decompression_bombs_are_refused_before_they_unpack(data: bytes) -> None:
    assert len(data) < 200_000
    assert refused(data).kind == "large"


def test_tiles_that_stand_out_as_they_do_are_read() -> None:
    assert decode(tiles_beyond(1_000, 700, (256, 256))).pixels.shape == (700, 1_000, 3)
    assert decode(tiles_beyond(100, 90, (1_024, 1_024))).pixels.shape == (90, 100, 3)


@pytest.mark.parametrize("pixels", [200_000_000, 900_000_000])
def test_far_too_many_pixels_are_too_large_and_not_damaged(pixels: int) -> None:
    header = png_chunk(b"IHDR", (pixels // 10_000).to_bytes(4, "big") + (10_000).to_bytes(4, "big") + b"\x08\0\0\0\0")
    assert refused(b"\x89PNG\r\n\x1a\n" + header + png_chunk(b"IDAT", b"") + png_chunk(b"IEND", b"")).kind == "large"


@pytest.mark.parametrize(
    "data",
    [animation("GIF"), animation("WEBP"), animation("TIFF"), apng(), grey_tiff(after=8)],
    ids=["gif", "webp", "tiff", "apng", "tiff with a damaged second page"],
)
def test_animations_and_pages_are_refused(data: bytes) -> None:
    error = refused(data)
    assert error.kind in ("unsupported", "damaged")
    assert "holds more than one" in str(error) or error.kind == "damaged"


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("kept", [0.2, 0.5, 0.9])
def test_pictures_that_are_cut_short_are_refused(format: str, kept: float) -> None:
    data = picture_bytes(blotches(1, size=(128, 128)), format)
    error = refused(data[: int(len(data) * kept)])
    assert error.kind == "damaged"


def test_a_png_whose_pixels_are_altered_is_refused() -> None:
    data = bytearray(picture_bytes())
    data[-30] ^= 0xFF
    assert refused(bytes(data)).kind == "damaged"


def test_what_follows_a_picture_does_not_matter_to_what_it_shows() -> None:
    """A polyglot, an archive after a JPEG, is the JPEG."""
    for format in ("JPEG", "PNG", "GIF", "BMP"):
        data = picture_bytes(format=format)
        assert (decode(data + b"PK\x03\x04 an archive").pixels == decode(data).pixels).all()


@pytest.mark.parametrize(
    "data",
    [
        scans_jpeg(MAX_SCANS),
        segments_jpeg(MAX_SEGMENTS - 100),
        exif_jpeg(MAX_SEGMENTS - 100, 4_800),
        strips_tiff(MAX_STRIPS),
        png_with(*[png_chunk(b"tEXt", b"a\0b")] * 10_000),
        png_with(*[png_chunk(b"abCd", b"")] * 10_000),
        png_with(*[png_chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(900_000), 9))] * 20),
        png_with(png_chunk(b"eXIf", exif_overlapping(10_000, 3_000_000))),
        grey_tiff(more=[(40_000 + tag, 1, 700, 8) for tag in range(900)]),
    ],
    ids=[
        "scans",
        "segments",
        "exif",
        "strips",
        "text",
        "chunks",
        "packed text",
        "overlapping exif",
        "overlapping tags",
    ],
)
def test_much_metadata_is_passed_over_quickly(data: bytes) -> None:
    started = time.process_time()
    decode(data)
    assert time.process_time() - started < SECONDS


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (scans_jpeg(MAX_SCANS + 1), "more than 64 scans"),
        (scans_jpeg(5_000), "more than 64 scans"),
        (segments_jpeg(MAX_SEGMENTS + 1), "more than 1,000 parts"),
        (segments_jpeg(1_000_000), "more than 1,000 parts"),
        (exif_jpeg(9_900, 430), "more than 1,000 parts"),
        (strips_tiff(MAX_STRIPS + 1), "strips or tiles, of at most 50,000"),
        (strips_tiff(1_100_000), "strips or tiles, of at most 50,000"),
        (grey_tiff(more=[(1_000 + tag, 1, 1, 0) for tag in range(MAX_TAGS + 1)]), "tags, of at most 1,000"),
        (picture_bytes(mode="1", format="TIFF", compression="group4"), "a TIFF compressed by group4"),
        (picture_bytes(mode="1", format="TIFF", compression="group3"), "a TIFF compressed by group3"),
        (rle_bmp(), "a compressed BMP"),
    ],
    ids=[
        "scans", "many scans", "segments", "many segments", "exif", "strips", "many strips", "tags", "fax 4", "fax 3",
        "bmp",
    ],
)  # fmt: skip
def test_what_would_take_long_or_flood_the_log_is_refused_at_once(data: bytes, says: str) -> None:
    started = time.process_time()
    error = refused(data)
    assert says in str(error)
    assert error.kind == "unsupported"
    assert time.process_time() - started < SECONDS


@pytest.mark.parametrize("chunk", [b"zTXt", b"iCCP", b"iTXt"])
def test_packed_metadata_does_not_unpack_without_bound(chunk: bytes) -> None:
    body = (b"a\0\1\0\0\0" if chunk == b"iTXt" else b"a\0\0") + zlib.compress(bytes(20_000_000), 9)
    started = time.process_time()
    try:
        decode(png_with(*[png_chunk(chunk, body)] * 5))
    except InvalidPicture as error:
        assert error.kind == "damaged"
    assert time.process_time() - started < SECONDS


def test_profiles_and_notes_change_nothing() -> None:
    plain = picture_bytes(format="JPEG")
    noted = picture_bytes(format="JPEG", icc_profile=b"\0" * 3_000_000, comment=b"c" * 60_000, xmp=b"<x/>" * 1_000)
    assert (decode(noted).pixels == decode(plain).pixels).all()


def test_odd_metadata_is_not_warned_of() -> None:
    """A file's own words would stand in the log, and in Python's register of warnings for good.

    In a process of its own: pytest has filters of its own.
    """
    exif = b"Exif\0\0" + exif_overlapping(100, 200)[:700]
    code = "import sys; from perennial.images.decode import decode; decode(sys.stdin.buffer.read())"
    quiet = subprocess.run(
        [sys.executable, "-c", code], input=picture_bytes(format="JPEG", exif=exif), capture_output=True, check=True
    )
    assert quiet.stderr == b""
    with pytest.warns(UserWarning), Image.open(io.BytesIO(picture_bytes(format="JPEG", exif=exif))) as image:
        image.getexif().get_ifd(0)  # the file is one that Pillow warns of


def test_the_size_of_each_kind_of_webp_is_read() -> None:
    image = Image.fromarray(blotches(1, size=(61, 43)))
    assert webp_size(picture_bytes(image, "WEBP")) == (61, 43)
    assert webp_size(picture_bytes(image, "WEBP", lossless=True)) == (61, 43)
    exif = Image.Exif()
    exif[0x0112] = 3
    assert webp_size(picture_bytes(image, "WEBP", exif=exif)) == (61, 43)
    assert webp_size(b"RIFF\0\0\0\0WEBP") is None
    assert webp_size(b"RIFF\0\0\0\0WEBPVP8 \0") is None
    assert webp_size(b"RIFF\0\0\0\0WEBPVP8L\0") is None


SEEDS = {format: picture_bytes(blotches(1, size=(40, 32)), format) for format in FORMATS}
SEEDS["JPEG"] = picture_bytes(blotches(1, size=(40, 32)), "JPEG", progressive=True, exif=Image.Exif(), comment=b"a")


@settings(max_examples=200)
@given(data=st.data(), format=st.sampled_from(FORMATS))
def test_altered_files_are_read_or_refused_and_nothing_else(data: st.DataObject, format: str) -> None:
    broken = bytearray(SEEDS[format])
    rng = random.Random(data.draw(st.integers(0, 2**32 - 1)))
    for _ in range(data.draw(st.integers(1, 12))):
        place = rng.randrange(min(len(broken), rng.choice([32, 200, len(broken)])))
        broken[place] = rng.choice([0, 1, 127, 128, 255, rng.randrange(256)])
    del broken[data.draw(st.integers(len(broken) // 2, len(broken))) :]
    try:
        record = read_record(bytes(broken))
    except InvalidPicture as error:
        assert error.kind in ("large", "unsupported", "damaged") and "\n" not in str(error)
    else:
        assert record.picture.pixels.shape == (record.height, record.width, 3)
        assert 0 <= record.brightness <= 1 and 0 <= record.contrast <= 1 and record.sharpness >= 0


@settings(max_examples=100)
@given(st.binary(max_size=300), st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM", b"II*\0",
                                                 b"MM\0*", b"RIFF\0\0\0\0WEBP"]))  # fmt: skip
def test_bytes_of_no_meaning_are_refused(noise: bytes, beginning: bytes) -> None:
    with pytest.raises(InvalidPicture):
        decode(beginning + noise)
