"""Folding preprocessing into trees: splits on what the estimator sees become splits on the matrix.

Imputation turns into the direction that missing takes, one-hot into a comparison with a code,
grouping into a table in front; thresholds stay as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perennial.errors import ExportError
from perennial.export.features import FLOAT32_MAX, Code, Feature, Indicator, Matrix, Number
from perennial.export.trees import Arithmetic, Bools, Ints, Trees
from perennial.records import Column

LEQ, LT, NEQ, MEMBER = 0, 1, 5, 6  # ai.onnx.ml 5 TreeEnsemble, nodes_modes


@dataclass(frozen=True)
class Forest:
    """Trees over the matrix columns. ``sets`` [sets, 1 + codes] holds the members of MEMBER nodes, -1 first.

    A column at or beyond the matrix's width is ``groupings[column - width]``: a matrix column whose
    codes are first mapped by a table.
    """

    column: Ints
    mode: NDArray[np.uint8]
    split: Matrix
    missing_true: Bools
    true: Ints
    false: Ints
    value: Matrix
    roots: Ints
    target: Ints | None
    set_index: Ints
    sets: Bools
    groupings: tuple[Code, ...]
    width: int
    arithmetic: Arithmetic

    @property
    def comparison(self) -> int:
        """The mode of a split on a number, and of one that does not matter: ensembles of one mode run faster."""
        return LT if self.arithmetic is Arithmetic.SINGLE else LEQ

    @property
    def outputs(self) -> int:
        return self.value.shape[1] if self.target is None else int(self.target.max()) + 1


def fold(trees: Trees, features: Sequence[Feature], columns: Sequence[Column], arithmetic: Arithmetic) -> Forest:
    """Move the splits of ``trees`` from the estimator's features to the matrix ``columns``.

    Raises:
        ExportError: a split that no training can have made, so that these are not the features it was fitted on.
    """
    kinds = [type(feature) for feature in features]
    sources, groupings = _sources(features, columns)
    inner = trees.left >= 0
    owner = np.where(inner, trees.feature, 0)
    column = np.asarray(sources, dtype=np.int64)[owner]
    missing = trees.missing_left.copy()
    mode = np.full(len(inner), LT if arithmetic is Arithmetic.SINGLE else LEQ, dtype=np.uint8)
    split = np.where(inner, trees.threshold, 0.0)
    for kind in set(kinds) - {Code}:
        at = inner & np.asarray([each is kind for each in kinds])[owner]
        if kind is Number:
            fills = np.asarray([_fill(feature) for feature in features])[owner]
            imputed = at & ~np.isnan(fills)
            missing[imputed] = _passes(fills, split, arithmetic)[imputed]
            beyond = at & (split >= FLOAT32_MAX) & (arithmetic is not Arithmetic.DOUBLE)
            mode[beyond], split[beyond] = LEQ, np.inf  # clipping, which the graph leaves to the cast
            continue
        if not (_passes(0.0, split[at], arithmetic) & ~_passes(1.0, split[at], arithmetic)).all():
            raise ExportError("A tree splits a one-hot column where it separates nothing.")
        if kind is Indicator:
            codes = np.asarray([_code(feature) for feature in features], dtype=np.float64)[owner]
            mode[at], split[at], missing[at] = NEQ, codes[at], True
        else:
            mode[at], split[at], missing[at] = LEQ, np.inf, False
    members, sets = np.full(len(inner), -1, dtype=np.int64), np.zeros((0, 1), dtype=bool)
    if trees.category is not None and trees.left_groups is not None:
        at = inner & (trees.category >= 0)
        members[at] = trees.category[at]
        sets = trees.left_groups
        mode[at] = MEMBER
        populated: Bools = np.any(sets, axis=1)
        nobody = at & ~populated[members]  # a set must have members: compare so that none passes instead
        mode[nobody], split[nobody] = LEQ, -np.inf
    return Forest(
        column, mode, split, missing, trees.left, trees.right, trees.value, trees.roots, trees.target, members, sets,
        groupings, len(columns), arithmetic,
    )  # fmt: skip


def _sources(features: Sequence[Feature], columns: Sequence[Column]) -> tuple[list[int], tuple[Code, ...]]:
    """Graph column of each feature, and the groupings behind the columns that the matrix does not have."""
    sources: list[int] = []
    groupings: list[Code] = []
    for feature in features:
        grouping: Code | None = None
        if isinstance(feature, Indicator) and len(feature.codes) > 1:
            pooled = set(feature.codes)
            codes = range(len(columns[feature.column].values))
            grouping = Code(feature.column, tuple(0 if code in pooled else -1 for code in codes))
        elif isinstance(feature, Code) and feature.groups != tuple(range(len(feature.groups))):
            grouping = feature
        if grouping is None:
            sources.append(feature.column)
        else:
            sources.append(len(columns) + len(groupings))
            groupings.append(grouping)
    return sources, tuple(groupings)


def _passes(value: float | Matrix, split: Matrix, arithmetic: Arithmetic) -> Bools:
    """Whether ``value`` takes the true branch at each threshold."""
    return value < split if arithmetic is Arithmetic.SINGLE else value <= split


def _fill(feature: Feature) -> float:
    """What missing counts as at a comparison, NaN where the tree knows missing values itself."""
    if not isinstance(feature, Number) or feature.fill is None:
        return np.nan
    if (feature.mean, feature.scale) != (0.0, 1.0):
        raise ExportError("Trees over standardised numbers cannot be folded.", remedy="Do not scale for trees.")
    return float(np.float32(feature.fill))


def _code(feature: Feature) -> int:
    if not isinstance(feature, Indicator):
        return 0
    return feature.codes[0] if len(feature.codes) == 1 else 0
