"""scikit-learn's decision trees, forests, extra trees and gradient boosting.

They round their input to float32, compare it with float64 thresholds and add in float64, in the
order of the trees; the graph does the same, so that sums agree to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from perennial.errors import ExportError
from perennial.export.features import Matrix
from perennial.export.graph import Graph
from perennial.export.heads import Answer, binary, distribution, regression, share, softmax
from perennial.export.trees import Arithmetic, Tree, TreeModel, Trees, joined

WHOLE = 2.0**30  # shares that are whole multiples of 1/WHOLE add up without rounding


def forest_model(estimator: Any) -> TreeModel:
    """A decision tree, or a forest of them: the average of class distributions, or of values."""
    trees = [member.tree_ for member in getattr(estimator, "estimators_", [estimator])]
    if not hasattr(estimator, "classes_"):
        values = [tree.value[:, 0, :1] for tree in trees]
        return _averaged(_trees(trees, values), regression)
    values = [tree.value[:, 0, : len(estimator.classes_)] for tree in trees]
    if len(estimator.classes_) == 2 and _exact(values):
        halves = [value[:, 1:] for value in values]
        return _averaged(_trees(trees, halves), share)
    return _averaged(_trees(trees, values), distribution)


def boosting_model(estimator: Any) -> TreeModel:
    """Gradient boosting: a constant start, then each tree's value times the learning rate."""
    if estimator.init is not None and estimator.init != "zero":
        raise ExportError(
            f"{type(estimator).__name__} with its own init estimator cannot be exported.", remedy="Remove init."
        )
    stages, outputs = estimator.estimators_.shape
    trees = [member.tree_ for member in estimator.estimators_.ravel()]
    values = [tree.value[:, 0, :1] * estimator.learning_rate for tree in trees]
    start = estimator._raw_predict_init(np.zeros((1, estimator.n_features_in_)))[0].astype(np.float64)

    def answer(graph: Graph, raw: str) -> Answer:
        if not hasattr(estimator, "classes_"):
            return regression(graph, raw)
        if outputs > 1:
            return softmax(graph, raw)
        return binary(graph, raw, ties_positive=True, factor=2.0 if estimator.loss == "exponential" else 1.0)

    targets = np.tile(np.arange(outputs), stages)
    return TreeModel(_trees(trees, values, targets.tolist()), Arithmetic.ROUNDED, start, answer)


def _averaged(trees: Trees, head: Callable[[Graph, str], Answer]) -> TreeModel:
    count = float(len(trees.roots))

    def answer(graph: Graph, sums: str) -> Answer:
        return head(graph, sums if count == 1 else graph.op("Div", sums, graph.constant(count)))

    return TreeModel(trees, Arithmetic.ROUNDED, np.zeros(trees.value.shape[1]), answer)


def _trees(trees: Sequence[Any], values: Sequence[Matrix], target: Sequence[int] | None = None) -> Trees:
    parts = [
        Tree(tree.children_left, tree.children_right, tree.feature, tree.threshold, tree.missing_go_to_left, value)
        for tree, value in zip(trees, values, strict=True)
    ]
    return joined(parts, target)


def _exact(values: Sequence[Matrix]) -> bool:
    """Whether shares add up without rounding, so that the second class's sum is the rest of the first's."""
    return all(bool((value * WHOLE == np.rint(value * WHOLE)).all()) for value in values)
