"""HistGradientBoosting: float64 comparisons, missing values and categories of its own.

A category unseen in training goes where missing goes, so the set of a split holds such codes, and
the -1 of the matrix, whenever missing goes left.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from perennial.errors import ExportError
from perennial.export.features import Code, Feature
from perennial.export.graph import Graph
from perennial.export.heads import Answer, binary, regression, softmax
from perennial.export.trees import Arithmetic, Bools, Ints, Tree, TreeModel, Trees, joined

LINKS = {
    "squared_error": "identity",
    "absolute_error": "identity",
    "quantile": "identity",
    "poisson": "log",
    "gamma": "log",
}


def hist_model(estimator: Any, features: Sequence[Feature]) -> TreeModel:
    """Any HistGradientBoosting estimator, over the features it was fitted on."""
    outputs = estimator.n_trees_per_iteration_
    predictors = [predictor for stage in estimator._predictors for predictor in stage]
    trees = _trees(estimator, predictors, features, outputs)
    start = np.broadcast_to(np.asarray(estimator._baseline_prediction, dtype=np.float64).ravel(), (outputs,)).copy()

    def answer(graph: Graph, raw: str) -> Answer:
        if not hasattr(estimator, "classes_"):
            return regression(graph, raw, _link(estimator.loss))
        return softmax(graph, raw) if outputs > 1 else binary(graph, raw)

    return TreeModel(trees, Arithmetic.DOUBLE, start, answer)


def _link(loss: str) -> str:
    if loss not in LINKS:
        raise ExportError(f"Histogram gradient boosting with loss {loss!r} cannot be exported.",
                          remedy=f"Use one of {', '.join(LINKS)}.")  # fmt: skip
    return LINKS[loss]


def _trees(estimator: Any, predictors: Sequence[Any], features: Sequence[Feature], outputs: int) -> Trees:
    order = _order(estimator, len(features))
    parts = []
    for predictor in predictors:
        nodes = predictor.nodes
        leaf = nodes["is_leaf"].astype(bool)
        left, right = (np.where(leaf, -1, nodes[side].astype(np.int64)) for side in ("left", "right"))
        feature = order[np.where(leaf, 0, nodes["feature_idx"])]
        missing = nodes["missing_go_to_left"].astype(bool)
        parts.append(Tree(left, right, feature, nodes["num_threshold"], missing, nodes["value"][:, None]))
    trees = joined(parts, np.tile(np.arange(outputs), len(predictors) // outputs).tolist())
    return _with_categories(trees, estimator, predictors, features)


def _order(estimator: Any, count: int) -> Ints:
    """The estimator moves categories to the front; for each of its columns, the feature it was."""
    if estimator.is_categorical_ is None:
        return np.arange(count)
    return np.concatenate([np.flatnonzero(estimator.is_categorical_), np.flatnonzero(~estimator.is_categorical_)])


def _with_categories(trees: Trees, estimator: Any, predictors: Sequence[Any], features: Sequence[Feature]) -> Trees:
    """Add each category split's set of groups going left; the smaller side of a split is the one that is listed."""
    flags = np.concatenate([predictor.nodes["is_categorical"].astype(bool) for predictor in predictors])
    at = np.flatnonzero(flags & (trees.left >= 0))
    if not len(at):
        return trees
    bits = np.concatenate([_bits(predictor) for predictor in predictors])[flags[trees.left >= 0]]
    codes = [feature.groups if isinstance(feature, Code) else () for feature in features]
    sets = np.zeros((len(at), 1 + max(map(len, codes))), dtype=bool)
    left, right, missing = trees.left.copy(), trees.right.copy(), trees.missing_left.copy()
    encoder = estimator._preprocessor.named_transformers_["encoder"]
    for place, index in enumerate(np.flatnonzero(estimator.is_categorical_)):
        rows = np.flatnonzero(trees.feature[at] == index)
        if not len(rows):
            continue
        seen = encoder.categories_[place]
        seen = seen[~np.isnan(seen)].astype(np.int64)
        domain = np.unique([-1, *codes[index]])
        inside = np.repeat(missing[at[rows], None], len(domain), axis=1)
        inside[:, np.searchsorted(domain, seen)] = bits[rows][:, : len(seen)]
        swap = inside.sum(axis=1) > len(domain) / 2
        sets[rows[:, None], domain + 1] = inside ^ swap[:, None]
        turned = at[rows[swap]]
        left[turned], right[turned], missing[turned] = trees.right[turned], trees.left[turned], ~missing[turned]
    category = np.full(len(flags), -1, dtype=np.int64)
    category[at] = np.arange(len(at))
    return Trees(
        trees.feature, trees.threshold, missing, left, right, trees.value, trees.roots, trees.target, category, sets
    )


def _bits(predictor: Any) -> Bools:
    """For each inner node of a tree, which of the 256 ordinal categories go left; nothing for a number's split."""
    nodes = predictor.nodes
    inner = nodes[~nodes["is_leaf"].astype(bool)]
    found = np.zeros((len(inner), 256), dtype=bool)
    category = inner["is_categorical"].astype(bool)
    if category.any():
        words = np.ascontiguousarray(predictor.raw_left_cat_bitsets[inner["bitset_idx"][category]], dtype="<u4")
        found[category] = np.unpackbits(words.view(np.uint8), axis=1, bitorder="little").astype(bool)
    return found
