"""From rows of pictures to the pixels a model is given, by the one way there is, and in bounded memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perennial.errors import InvalidPicture
from perennial.images.budget import in_the_works
from perennial.images.decode import Pixels
from perennial.images.pixels import framed
from perennial.images.record import read_record
from perennial.scoring.pictures.rows import Fetch, Unusable
from perennial.serving.predictor import Matrix
from perennial.spec import Frame
from perennial.spec_images import DESCRIPTORS


@dataclass(frozen=True)
class Seen:
    """The pictures that could be read: ``places`` among all, ``pixels`` of each, and ``x`` what was measured of them.

    ``x`` is float64 [pictures, descriptors]. ``broken`` are the places of all others, with the reason for each.
    """

    places: NDArray[np.intp]
    pixels: tuple[Pixels, ...]
    x: Matrix
    broken: NDArray[np.intp]
    why: tuple[str, ...]


def see(fetch: Sequence[Fetch], frame: Frame) -> Seen:
    """Fetch, decode, measure and frame pictures, one by one.

    Raises:
        StoreUnavailable: S3 does not answer, or refuses.
        DataError: the file they are in cannot be read on.
    """
    places: list[int] = []
    pixels: list[Pixels] = []
    measured: list[list[float]] = []
    broken: dict[int, str] = {}
    for place, get in enumerate(fetch):
        try:
            data = get()
            with in_the_works(data):
                record = read_record(data)
                pixels.append(framed(record.picture, frame))
        except (InvalidPicture, Unusable) as error:
            broken[place] = error.reason
            continue
        places.append(place)
        measured.append([float(getattr(record, name)) for name in DESCRIPTORS])
    x = np.array(measured, np.float64).reshape(-1, len(DESCRIPTORS))
    return Seen(np.array(places, np.intp), tuple(pixels), x, np.array(list(broken), np.intp), tuple(broken.values()))
