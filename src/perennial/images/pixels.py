"""The one preprocessing: a picture in the frame of a model, bit for bit the same wherever it is done."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from perennial.images.decode import Picture, Pixels
from perennial.spec_images import Frame

_BLACK = 0


def framed(picture: Picture, frame: Frame) -> Pixels:
    """The pixels a model is given: uint8 [size, size, channels].

    Resized by Pillow's antialiased bilinear filter, which counts in integers: the same bits on every processor. Grey is
    the luminance of ITU-R 601.
    """
    image = Image.fromarray(picture.pixels)
    if frame.color == "grey":
        image = image.convert("L")
    pixels = np.asarray(_square(image, frame), dtype=np.uint8)
    return np.ascontiguousarray(pixels.reshape(frame.shape))


def as_png(pixels: Pixels) -> bytes:
    """Pixels as a file: uint8 [height, width, channels], three channels or one. Nothing is lost."""
    sink = io.BytesIO()
    Image.fromarray(pixels.squeeze(axis=2) if pixels.shape[2] == 1 else pixels).save(sink, "PNG")
    return sink.getvalue()


def _square(image: Image.Image, frame: Frame) -> Image.Image:
    width, height = image.size
    side = (frame.size, frame.size)
    if frame.fit == "stretch" or width == height:
        return image if image.size == side else image.resize(side, Image.Resampling.BILINEAR)
    if frame.fit == "crop":
        edge = min(width, height)
        left, top = (width - edge) // 2, (height - edge) // 2
        return image.resize(side, Image.Resampling.BILINEAR, box=(left, top, left + edge, top + edge))
    scale = frame.size / max(width, height)
    inner = max(1, round(width * scale)), max(1, round(height * scale))
    paper = Image.new(image.mode, side, _BLACK)
    place = (frame.size - inner[0]) // 2, (frame.size - inner[1]) // 2
    paper.paste(image.resize(inner, Image.Resampling.BILINEAR), place)
    return paper
