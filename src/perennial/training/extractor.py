"""Which extractor a candidate of the spec sees pictures through."""

from __future__ import annotations

from dataclasses import replace

from perennial.errors import NotFoundError, TrainingError
from perennial.export.backbones import backbone_extractor
from perennial.export.extractors import MOST_FEATURES, Extractor
from perennial.export.extractors.hog import LEAST_SIZE, hog_width, oriented_gradients
from perennial.export.extractors.raw import raw_pixels
from perennial.export.quantize import calibration_rows, quantized
from perennial.training.picture_work import PictureWork


def extractor_of(work: PictureWork) -> Extractor:
    """The extractor that a candidate names.

    Raises:
        TrainingError: the bucket has no such backbone, or the pictures are too large or too small for its features.
    """
    frame, place = work.frame, f"candidates.{work.name}"
    if work.candidate.backbone is not None:
        try:
            found = backbone_extractor(work.store, work.candidate.backbone, frame)
        except NotFoundError as error:
            raise TrainingError(f"{place}.backbone: {error.message}", remedy=error.remedy) from error
        return _in_eight_bits(work, found) if work.candidate.quantize else found
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


def _in_eight_bits(work: PictureWork, extractor: Extractor) -> Extractor:
    """The quantised extractor: what the estimator learns from is what it will be given, rounding included."""
    some = work.pictures.take(calibration_rows(len(work.pictures)))
    work.say(f"quantising the backbone, calibrated on {len(some)} training pictures")
    return replace(extractor, onnx=quantized(extractor.onnx, some.framed(extractor.frame)))
