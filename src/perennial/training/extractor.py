"""Which extractor a candidate of the spec sees pictures through."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from perennial.datasets.pictures import Pictures
from perennial.errors import NotFoundError, TrainingError
from perennial.export.backbones import backbone_extractor
from perennial.export.extractors import MOST_FEATURES, Extractor
from perennial.export.extractors.hog import LEAST_SIZE, hog_width, oriented_gradients
from perennial.export.extractors.raw import raw_pixels
from perennial.export.extractors.tiles import FARTHEST, tiled, views_of
from perennial.export.quantize import calibration_rows, quantized
from perennial.images.decode import Pixels
from perennial.training.outcome import AGAIN
from perennial.training.picture_work import PictureWork


def extractor_of(work: PictureWork) -> Extractor:
    """The extractor that a candidate names.

    Raises:
        TrainingError: the bucket has no such backbone, or the pictures are too large or too small for its features.
    """
    frame, place = work.frame, f"candidates.{work.name}"
    if work.candidate.backbone is not None:
        return _frozen(work, work.candidate.backbone)
    hog = work.candidate.features == "hog"
    if hog and frame.size < LEAST_SIZE:
        raise TrainingError(
            f"{place}: histograms of gradients need pictures of {LEAST_SIZE} pixels, not of {frame.size}.",
            remedy=f"Set {place}.size.",
        )
    width = hog_width(frame) if hog else frame.size * frame.size * frame.channels
    if width > MOST_FEATURES:
        raise TrainingError(
            f"{place}: {width:,} numbers of each picture of {frame.size} pixels are too many, at most "
            f"{MOST_FEATURES:,} are learnt from.",
            remedy=f"Set {place}.size to {128 if hog else 64} or less, or name a backbone.",
        )
    return oriented_gradients(frame) if hog else raw_pixels(frame)


def _frozen(work: PictureWork, name: str) -> Extractor:
    """A backbone as the candidate wants it: in eight bits, over seven views, both or neither."""
    place = f"candidates.{work.name}"
    try:
        found = backbone_extractor(work.store, name, work.frame)
    except NotFoundError as error:
        raise TrainingError(f"{place}.backbone: {error.message}", remedy=f"{error.remedy} {AGAIN}") from error
    if work.candidate.tiles and found.frame.size > FARTHEST:
        raise TrainingError(
            f"{place}.tiles: pictures of {2 * found.frame.size} pixels are too large, at most {2 * FARTHEST}.",
            remedy="Remove tiles, or name a backbone for smaller pictures.",
        )
    if work.candidate.quantize:
        found = _in_eight_bits(work, found)
    return tiled(found) if work.candidate.tiles else found


def _in_eight_bits(work: PictureWork, extractor: Extractor) -> Extractor:
    """The quantised extractor: what the estimator learns from is what it will be given, rounding included."""
    some = work.pictures.take(calibration_rows(len(work.pictures)))
    work.say(f"quantising the backbone, calibrated on {len(some)} training pictures")
    return replace(extractor, onnx=quantized(extractor.onnx, _shown(work, some, extractor)))


def _shown(work: PictureWork, pictures: Pictures, extractor: Extractor) -> Iterator[Pixels]:
    """What a backbone is shown of pictures: each of them, or each view of each."""
    if not work.candidate.tiles:
        yield from pictures.framed(extractor.frame)
        return
    for picture in pictures.framed(extractor.frame.model_copy(update={"size": 2 * extractor.frame.size})):
        yield from views_of(picture)
