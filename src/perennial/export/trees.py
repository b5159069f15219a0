"""Trees over what an estimator sees, as parallel arrays: the common tongue of the libraries' extractors.

All arrays run over the nodes of all trees, each tree's in one piece; a leaf has -1 as its children.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from perennial.export.features import Matrix
from perennial.export.graph import Graph
from perennial.export.heads import Answer

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


class Arithmetic(Enum):
    """How a library compares and sums.

    DOUBLE: all in float64 (HistGradientBoosting). ROUNDED: inputs rounded to float32, compared and
    summed in float64 (scikit-learn's trees). SINGLE: all in float32, compared by ``<`` (XGBoost).
    """

    DOUBLE = "double"
    ROUNDED = "rounded"
    SINGLE = "single"


@dataclass(frozen=True)
class Tree:
    """One tree, as its library has it; node 0 is the root. ``value`` is [nodes, outputs]."""

    left: NDArray[np.integer]
    right: NDArray[np.integer]
    feature: NDArray[np.integer]
    threshold: NDArray[np.floating]
    missing_left: NDArray[np.generic]
    value: NDArray[np.floating]


@dataclass(frozen=True)
class Trees:
    """Trees over the estimator's features.

    ``value`` is [nodes, outputs]; ``target`` [trees] is the output a tree adds to, None where each
    leaf adds to all outputs. A node with ``category`` >= 0 goes left for the groups in that row of
    ``left_groups`` [sets, 1 + codes], of which the first stands for code -1.
    """

    feature: Ints
    threshold: Matrix
    missing_left: Bools
    left: Ints
    right: Ints
    value: Matrix
    roots: Ints
    target: Ints | None
    category: Ints | None = None
    left_groups: Bools | None = None


@dataclass(frozen=True)
class TreeModel:
    """A fitted tree ensemble, whatever library made it.

    ``start`` [outputs] is what each sum starts from; ``answer`` turns the sums [N, outputs] in a graph into answers.
    """

    trees: Trees
    arithmetic: Arithmetic
    start: Matrix
    answer: Callable[[Graph, str], Answer]


def joined(parts: Sequence[Tree], target: Sequence[int] | None = None) -> Trees:
    """Several trees as one set of arrays; ``target`` [trees] is the output that each adds to."""
    sizes = [len(part.left) for part in parts]
    roots = np.cumsum([0, *sizes])[:-1]
    shift = np.repeat(roots, sizes)
    left, right = (
        np.concatenate([getattr(part, side) for part in parts]).astype(np.int64) for side in ("left", "right")
    )
    return Trees(
        feature=np.concatenate([part.feature for part in parts]).astype(np.int64),
        threshold=np.concatenate([part.threshold for part in parts]).astype(np.float64),
        missing_left=np.concatenate([part.missing_left for part in parts]).astype(bool),
        left=np.where(left < 0, -1, left + shift),
        right=np.where(right < 0, -1, right + shift),
        value=np.concatenate([part.value for part in parts]).astype(np.float64),
        roots=roots.astype(np.int64),
        target=None if target is None else np.asarray(target, dtype=np.int64),
    )
