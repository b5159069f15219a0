"""From bytes to upright RGB pixels, or to a refusal in words: size, format and pixels are bounded before decoding."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from perennial.errors import InvalidPicture
from perennial.images.kinds import READ, is_markup, kind_of, webp_size
from perennial.images.limits import MAX_BYTES, MAX_PIXELS, MIN_SIDE, WITH_ALPHA, check_bytes, check_opened, check_size

__all__ = ["MAX_BYTES", "MAX_PIXELS", "MIN_SIDE", "Picture", "Pixels", "claimed_pixels", "decode"]

Pixels = NDArray[np.uint8]

# Pillow warns of odd metadata, in words that a hostile file chooses: they would fill logs and Python's own register.
warnings.filterwarnings("ignore", module=r"PIL\b")

_BROKEN = (
    OSError, ValueError, SyntaxError, struct.error, zlib.error, IndexError, KeyError, TypeError, AttributeError,
    OverflowError, MemoryError, NotImplementedError,
)  # fmt: skip
"""What Pillow's readers raise on bytes that were not written for them."""
_ORIENTATION = 0x0112
_STRIP = 1_000_000
"""Pixels that are converted at once: a large picture is not held in memory once more for each step."""


@dataclass(frozen=True)
class Picture:
    """A decoded picture: ``pixels`` uint8 [height, width, 3], RGB and upright, and what its bytes are."""

    pixels: Pixels
    media_type: str

    @property
    def width(self) -> int:
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        return int(self.pixels.shape[0])


def decode(data: bytes, *, max_bytes: int = MAX_BYTES) -> Picture:
    """Read a picture.

    EXIF's orientation is followed, palettes are looked up, transparency is laid on white, 16 bits become 8, CMYK and
    one channel become RGB; embedded colour profiles are not applied. Of a multi-picture JPEG (MPO) the first counts.

    Raises:
        InvalidPicture: it is empty, too large in bytes or pixels, of no format that is read, animated, cut short or
            damaged.
    """
    if not data:
        raise InvalidPicture("is empty", "Send the bytes of a picture.", kind="damaged")
    if len(data) > max_bytes:
        raise InvalidPicture(f"has {len(data):,} bytes, of at most {max_bytes:,}", "Send a smaller one.", kind="large")
    kind = kind_of(data)
    if kind is None:
        what = "is markup such as SVG, not a picture of pixels" if is_markup(data) else f"is none of {READ}"
        raise InvalidPicture(what, f"Save it as {READ}.", kind="unsupported")
    check_bytes(data, kind.format)
    try:
        with _opened(data, kind.format) as image:
            check_opened(image)
            image.load()
            turn, pixels = _TURNS.get(_orientation(image)), _pixels(image)
        return Picture(pixels if turn is None else turn(pixels), kind.media_type)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise InvalidPicture(
            f"is of far more than {MAX_PIXELS // 1_000_000} million pixels", "Send it smaller.", kind="large"
        ) from error
    except _BROKEN as error:
        raise InvalidPicture(
            f"begins as {kind.format} and cannot be read: {_reason(error)}",
            "It is damaged or cut short; send it again.",
            kind="damaged",
        ) from error


def claimed_pixels(data: bytes) -> int:
    """How many pixels a picture's header speaks of, before any is decoded; 0 where it cannot be read,
    and one too many where there are too many."""
    kind = kind_of(data)
    if kind is None:
        return 0
    try:
        with _opened(data, kind.format) as image:
            return image.width * image.height
    except (InvalidPicture, Image.DecompressionBombError, Image.DecompressionBombWarning):
        return MAX_PIXELS + 1
    except _BROKEN:
        return 0


def _opened(data: bytes, format: str) -> Image.Image:
    if format == "WEBP" and (size := webp_size(data)) is not None:
        check_size(*size)
    return Image.open(io.BytesIO(data), formats=(format,))


def _pixels(image: Image.Image) -> Pixels:
    """As they lie in the file: uint8 [height, width, 3]."""
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    rows = max(1, _STRIP // image.width)
    for top in range(0, image.height, rows):
        strip = image.crop((0, top, image.width, min(top + rows, image.height)))
        pixels[top : top + rows] = np.asarray(_rgb(strip))
    return pixels


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):
        return Image.fromarray(_eight_bits(image)).convert("RGB")
    if image.mode in WITH_ALPHA or "transparency" in image.info:
        layer = image.convert("RGBA")
        paper = Image.new("RGBA", layer.size, (255, 255, 255, 255))
        return Image.alpha_composite(paper, layer).convert("RGB")
    return image.convert("RGB")


def _eight_bits(image: Image.Image) -> Pixels:
    """Sixteen bits as eight: 0 to 65,535 becomes 0 to 255, rounded."""
    values = np.asarray(image).astype(np.uint32)
    return ((values + 128) // 257).astype(np.uint8)


_TURNS: dict[int, Callable[[Pixels], Pixels]] = {
    2: lambda p: np.ascontiguousarray(p[:, ::-1]),
    3: lambda p: np.ascontiguousarray(p[::-1, ::-1]),
    4: lambda p: np.ascontiguousarray(p[::-1]),
    5: lambda p: np.ascontiguousarray(p.transpose(1, 0, 2)),
    6: lambda p: np.ascontiguousarray(p[::-1].transpose(1, 0, 2)),
    7: lambda p: np.ascontiguousarray(p[::-1, ::-1].transpose(1, 0, 2)),
    8: lambda p: np.ascontiguousarray(p[:, ::-1].transpose(1, 0, 2)),
}


def _orientation(image: Image.Image) -> int:
    """EXIF's orientation, 1 where it says none or is damaged."""
    try:
        found = image.getexif().get(_ORIENTATION, 1)
    except _BROKEN:
        return 1
    return found if isinstance(found, int) else 1


def _reason(error: BaseException) -> str:
    """What Pillow says, without the address in memory at which it found the bytes."""
    text = str(error).partition(" <")[0].strip().splitlines()
    return (text[0] if text else type(error).__name__)[:120]
