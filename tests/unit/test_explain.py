"""Where a model looked: the drops of its probability, cell by cell, against numpy's own."""

from __future__ import annotations

import numpy as np
import pytest

from perennial.images.decode import decode
from perennial.images.pixels import framed
from perennial.serving.explain import CELLS, explain
from perennial.serving.predictor import Predictor
from perennial.spec import Frame
from tests.support.picture_models import answer, build_pictures
from tests.support.pictures import pet_bytes


@pytest.mark.parametrize("frame", [Frame(size=8), Frame(size=16), Frame(size=27, color="grey"), Frame(size=61)])
def test_each_cell_is_covered_by_the_mean_colour_alone(frame: Frame) -> None:
    built = build_pictures(frame=frame, seed=3)
    predictor = Predictor(built.manifest, built.onnx)
    pixels = framed(decode(pet_bytes(5, size=(70, 50))), frame)
    before = pixels.copy()
    [prediction] = predictor.predict_framed([pixels])
    found = explain(predictor, pixels, prediction)
    assert np.array_equal(pixels, before)
    assert found.label == prediction.prediction
    place = built.manifest.classes.index(found.label)
    mean = np.rint(pixels.reshape(-1, frame.channels).mean(axis=0)).astype(np.uint8)
    edges = [round(cell * frame.size / CELLS) for cell in range(CELLS + 1)]
    assert edges[0] == 0 and edges[-1] == frame.size and all(np.diff(edges) > 0)
    for row in range(CELLS):
        for column in range(CELLS):
            covered = pixels.copy()
            covered[edges[row] : edges[row + 1], edges[column] : edges[column + 1]] = mean
            drop = answer(built, pixels)[place] - answer(built, covered)[place]
            assert found.drops[row][column] == pytest.approx(drop, abs=1e-6)


def test_a_picture_of_one_colour_has_nothing_to_look_at() -> None:
    built = build_pictures()
    predictor = Predictor(built.manifest, built.onnx)
    pixels = np.full(built.frame.shape, 90, np.uint8)
    [prediction] = predictor.predict_framed([pixels])
    assert {drop for row in explain(predictor, pixels, prediction).drops for drop in row} == {0.0}
