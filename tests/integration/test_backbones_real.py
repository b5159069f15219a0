"""Two extractors as they are found: one of 2020 with channels last, one of 2017 with what exporters did then."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from perennial.datasets.pictures import Pictures, put_picture
from perennial.export.backbones import add_backbone, backbone_extractor
from perennial.export.preparation import Preparation
from perennial.export.quantize import quantized
from perennial.export.runtime import session
from perennial.spec import Frame
from perennial.store import memory_store
from perennial.training.pictures import extracted

PICTURES = 24


@dataclass(frozen=True)
class Real:
    """A file, how it wants its pictures, and how many features it gives."""

    file: str
    how: Preparation
    width: int


REAL = [
    Real("mobilenetv2_035_features.onnx", Preparation(layout="NHWC", size=224, range=(-1, 1)), 1280),
    Real(
        "squeezenet11_features.onnx", Preparation(layout="NCHW", size=227, range=(0, 255), color="BGR"), 512
    ),
]  # fmt: skip


@pytest.mark.parametrize("real", REAL, ids=lambda real: real.file)
def test_a_real_extractor_is_added_and_sees_what_its_own_file_does(real: Real, real_data: Path) -> None:
    store = memory_store()
    source = (real_data / "backbone" / real.file).read_bytes()
    assert add_backbone(store, "real", source, real.how).backbone.width == real.width
    extractor = backbone_extractor(store, "real", Frame(color="rgb", fit="crop"))
    files = sorted((real_data / "dandelion_grass").glob("*/*"))[::12][:PICTURES]
    pictures = Pictures(store, "m", tuple(put_picture(store, "m", file.read_bytes()) for file in files))
    found = np.stack(list(extracted(extractor, pictures.framed(extractor.frame))))
    assert found.shape == (PICTURES, real.width)

    original = session(source)
    factor, offset = (np.asarray(each, np.float32) for each in (real.how.factor, real.how.offset))
    name = original.get_inputs()[0].name
    for row, pixels in zip(found, pictures.framed(extractor.frame), strict=True):
        ordered = pixels[..., ::-1] if real.how.color == "BGR" else pixels
        light = ordered.astype(np.float32) * factor + offset
        light = light[np.newaxis] if real.how.layout == "NHWC" else light.transpose(2, 0, 1)[np.newaxis]
        theirs = original.run(None, {name: np.ascontiguousarray(light)})[0].reshape(-1)
        np.testing.assert_allclose(row, theirs, atol=1e-4)

    small = quantized(extractor.onnx, pictures.framed(extractor.frame))
    assert len(small) < 0.5 * len(extractor.onnx)
    runner = session(small)
    rounded = [runner.run(None, {"x": pixels[np.newaxis]})[0][0] for pixels in pictures.framed(extractor.frame)]
    assert np.corrcoef(found.ravel(), np.concatenate(rounded))[0, 1] > 0.9
