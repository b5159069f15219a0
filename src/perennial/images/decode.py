"""From bytes to upright RGB pixels, or to a refusal in words: size, format and pixels are bounded before decoding."""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from perennial.errors import InvalidPicture
from perennial.images.kinds import is_markup, kind_of, webp_size

MAX_BYTES = 20_000_000
MAX_PIXELS = 40_000_000
MIN_SIDE = 8
READ = "JPEG, PNG, WebP, GIF, BMP or TIFF"
Pixels = NDArray[np.uint8]

_BROKEN = (
    OSError, ValueError, SyntaxError, struct.error, zlib.error, IndexError, KeyError, TypeError, AttributeError,
    OverflowError, MemoryError, NotImplementedError, Image.DecompressionBombError,
)  # fmt: skip
"""What Pillow's readers raise on bytes that were not written for them."""
_ORIENTATION = 0x0112
_WITH_ALPHA = frozenset({"RGBA", "RGBa", "LA", "La", "PA"})
_PLAIN = frozenset({"1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr"})


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
    if kind.format == "WEBP":
        _check_size(webp_size(data))
    try:
        with Image.open(io.BytesIO(data), formats=(kind.format,)) as image:
            _check_size(image.size)
            _refuse_animation(image)
            image.load()
            return Picture(_upright(image), kind.media_type)
    except _BROKEN as error:
        raise InvalidPicture(
            f"begins as {kind.format} and cannot be read: {_reason(error)}",
            "It is damaged or cut short; send it again.",
            kind="damaged",
        ) from error


def _check_size(size: tuple[int, int] | None) -> None:
    if size is None:
        return  # damaged: its reader will say so
    width, height = size
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


def _refuse_animation(image: Image.Image) -> None:
    frames = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
    if frames > 1:
        raise InvalidPicture(
            f"holds {frames:,} pictures", "Send one; animations and documents of many pages are not read.",
            kind="unsupported",
        )  # fmt: skip


def _upright(image: Image.Image) -> Pixels:
    """Turned as its EXIF says: uint8 [height, width, 3]."""
    colored = _rgb(image)
    turned = _TURNS.get(_orientation(image))
    return np.asarray(colored if turned is None else colored.transpose(turned), dtype=np.uint8)


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):
        return Image.fromarray(_eight_bits(image)).convert("RGB")
    if image.mode in _WITH_ALPHA or "transparency" in image.info:
        layer = image.convert("RGBA")
        paper = Image.new("RGBA", layer.size, (255, 255, 255, 255))
        return Image.alpha_composite(paper, layer).convert("RGB")
    if image.mode not in _PLAIN:
        raise InvalidPicture(
            f"has pixels of the kind {image.mode}", f"Save it as RGB or grey {READ}.", kind="unsupported"
        )
    return image.convert("RGB")


def _eight_bits(image: Image.Image) -> Pixels:
    """Sixteen bits as eight: 0 to 65,535 becomes 0 to 255, rounded."""
    values = np.asarray(image).astype(np.int64)
    return ((values + 128) // 257).astype(np.uint8)


_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def _orientation(image: Image.Image) -> int:
    """EXIF's orientation, 1 where it says none or is damaged."""
    try:
        found = image.getexif().get(_ORIENTATION, 1)
    except _BROKEN:
        return 1
    return found if isinstance(found, int) else 1


def _reason(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return (text[0] if text else type(error).__name__)[:120]
