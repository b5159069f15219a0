"""Where a model looked: how much less sure it is of its answer when a part of the picture is covered.

Occlusion sensitivity, after Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks" (2014): needs the
model's answers alone, and so says the same of any model.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from perennial.serving.predictor import Pixels, Prediction, Predictor

CELLS = 8
METHOD = "occlusion"
_DIGITS = 6


@dataclass(frozen=True)
class Explanation:
    """By how much the probability of ``label`` drops when a cell is covered: ``drops`` [row][column], -1 to 1.

    The cells are those of an 8 × 8 grid over the picture as the model is given it.
    """

    label: str
    drops: tuple[tuple[float, ...], ...]

    def content(self) -> dict[str, object]:
        """As the API answers it."""
        return {
            "method": METHOD,
            "class": self.label,
            "rows": len(self.drops),
            "columns": len(self.drops[0]),
            "drops": self.drops,
        }


def explain(predictor: Predictor, pixels: Pixels, prediction: Prediction) -> Explanation:
    """Ask a model of pictures again with each cell covered by the picture's mean colour: 64 times.

    ``pixels`` uint8 [size, size, channels] are what ``prediction`` was made from.
    """
    assert prediction.probabilities is not None and isinstance(prediction.prediction, str)  # no regression
    label = prediction.prediction
    found = predictor.look(_covered(pixels)).probabilities
    assert found is not None
    drops = prediction.probabilities[label] - found[:, predictor.manifest.classes.index(label)]
    grid = np.round(drops, _DIGITS).reshape(CELLS, CELLS)
    return Explanation(label, tuple(tuple(row) for row in grid.tolist()))


def _covered(pixels: Pixels) -> Iterator[Pixels]:
    """The picture with each cell covered, row by row."""
    size = len(pixels)
    mean = np.rint(pixels.mean(axis=(0, 1))).astype(np.uint8)
    edges = [round(cell * size / CELLS) for cell in range(CELLS + 1)]
    for top, bottom in pairwise(edges):
        for left, right in pairwise(edges):
            covered = pixels.copy()
            covered[top:bottom, left:right] = mean
            yield covered
