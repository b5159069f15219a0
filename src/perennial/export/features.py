"""What an estimator sees, as symbols: each column of its input is one small function of the matrix.

The encoder learns these symbols and evaluates them with numpy; the compiler folds the same symbols
into the graph. Nothing about preprocessing is therefore said twice. A feature maps the float64
matrix (rows, columns), in which a category is its code, -1 is unseen and NaN is missing, to one
float64 value a row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
FLOAT32_MAX = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Number:
    """A number, ``(value - mean) / scale``, after missing became ``fill`` (None: stays NaN).

    ``clip`` keeps the value within what float32 can hold, so that neither a float32 tree nor a
    dot product ever meets an infinity.
    """

    column: int
    fill: float | None = None
    mean: float = 0.0
    scale: float = 1.0
    clip: bool = True

    def of(self, x: Matrix) -> Matrix:
        """Values [rows] of this feature."""
        value = x[:, self.column]
        if self.fill is not None:
            value = np.where(np.isnan(value), self.fill, value)
        if self.clip:
            value = np.clip(value, -FLOAT32_MAX, FLOAT32_MAX)
        return value if (self.mean, self.scale) == (0.0, 1.0) else (value - self.mean) / self.scale


@dataclass(frozen=True)
class Indicator:
    """1.0 where the category is one of ``codes``, else 0.0; missing and unseen are 0.0."""

    column: int
    codes: tuple[int, ...]

    def of(self, x: Matrix) -> Matrix:
        """Values [rows] of this feature."""
        value = x[:, self.column]
        found = value == self.codes[0] if len(self.codes) == 1 else np.isin(value, self.codes)
        return found.astype(np.float64)


@dataclass(frozen=True)
class Missing:
    """1.0 where the column is missing, else 0.0."""

    column: int

    def of(self, x: Matrix) -> Matrix:
        """Values [rows] of this feature."""
        return np.isnan(x[:, self.column]).astype(np.float64)


@dataclass(frozen=True)
class Code:
    """The category's group, ``groups[code]``; unseen and missing are NaN.

    Groups are the codes themselves unless there were more than the estimator can hold.
    """

    column: int
    groups: tuple[int, ...]

    def of(self, x: Matrix) -> Matrix:
        """Values [rows] of this feature."""
        value = x[:, self.column]
        known = value >= 0
        table = np.asarray(self.groups, dtype=np.float64)
        return np.where(known, table[np.where(known, value, 0).astype(np.int64)], np.nan)


@dataclass(frozen=True)
class Constant:
    """Zero in every row: holds the place of a column that had no value in training."""

    column: int

    def of(self, x: Matrix) -> Matrix:
        """Values [rows] of this feature."""
        return np.zeros(len(x))


Feature = Number | Indicator | Missing | Code | Constant


def evaluate(
    features: Sequence[Feature], x: Matrix, dtype: type[np.float32] | type[np.float64]
) -> NDArray[np.float32] | Matrix:
    """The estimator's input [rows, features] for a matrix [rows, columns]."""
    out: NDArray[Any] = np.empty((len(x), len(features)), dtype=dtype, order="F")
    for index, feature in enumerate(features):
        out[:, index] = feature.of(x)
    return out
