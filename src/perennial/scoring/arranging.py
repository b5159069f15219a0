"""Rows in an order in which a forest is quick: those next to each other take the same ways through its trees."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from perennial.serving.predictor import Matrix

SAMPLED = 16
"""One row of so many is looked at to find the quarters of a column."""


def arranged(x: Matrix, columns: tuple[int, ...]) -> NDArray[np.intp]:
    """The places of the rows of a float64 matrix, sorted by the quarter in which each lies of up to four columns.

    Which order it is changes no answer, since a row is answered the same within any batch.
    """
    key = np.zeros(len(x), dtype=np.uint8)
    for column in columns:
        values = x[:, column]
        sample = np.sort(values[::SAMPLED])
        key <<= 2
        for quarter in (1, 2, 3):
            key += values > sample[quarter * len(sample) // 4]
    return np.argsort(key, kind="stable")
