"""What is measured of a picture: the numbers by which data are checked and drift is seen."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from PIL import Image

from perennial.images.decode import Picture

LONGEST = 256
_DIGITS = 6


class Descriptors(NamedTuple):
    """The features of a picture's row, as ``spec_images.DESCRIPTORS`` names them."""

    width: int
    height: int
    brightness: float
    contrast: float
    sharpness: float


def describe(picture: Picture) -> Descriptors:
    """Measure the luminance of a picture, brought to at most 256 pixels a side.

    Rounded to six digits, so that the order in which a processor adds up does not show.
    """
    grey = Image.fromarray(picture.pixels).convert("L")
    factor = math.ceil(max(grey.size) / LONGEST)
    if factor > 1:
        grey = grey.reduce(factor)
    values = np.asarray(grey, dtype=np.float64) / 255.0
    around = values[:-2, 1:-1] + values[2:, 1:-1] + values[1:-1, :-2] + values[1:-1, 2:]
    laplacian = around - 4.0 * values[1:-1, 1:-1]
    return Descriptors(
        width=picture.width,
        height=picture.height,
        brightness=round(float(values.mean()), _DIGITS),
        contrast=round(float(values.std()), _DIGITS),
        sharpness=round(float(laplacian.std()), _DIGITS) if laplacian.size else 0.0,
    )
