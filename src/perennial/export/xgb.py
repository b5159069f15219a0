"""XGBoost: float32 throughout, comparison by ``<``, sums from the base margin on, in the order of the trees.

The model is read from its own JSON dump (``Booster.save_raw``), whose numbers are the shortest that
give the float32 back.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perennial.errors import ExportError
from perennial.export.features import Matrix
from perennial.export.graph import Graph
from perennial.export.heads import Answer, complement, first_highest, regression, vector
from perennial.export.trees import Arithmetic, Tree, TreeModel, joined

IDENTITY = ("reg:squarederror", "reg:absoluteerror", "reg:pseudohubererror", "reg:squaredlogerror", "reg:quantileerror")
LOG = ("count:poisson", "reg:gamma", "reg:tweedie")
LOGIT = ("reg:logistic",)
LINKS = {**dict.fromkeys(IDENTITY, "identity"), **dict.fromkeys(LOG, "log"), **dict.fromkeys(LOGIT, "logit")}


def xgb_model(estimator: Any) -> TreeModel:
    """An XGBClassifier or XGBRegressor with trees.

    Raises:
        ExportError: a booster, objective or setting whose predictions are not known to be mirrored.
    """
    learner = json.loads(bytes(estimator.get_booster().save_raw(raw_format="json")))["learner"]
    objective = learner["objective"]["name"]
    _supported(estimator, learner, objective)
    model = learner["gradient_booster"]["model"]
    outputs = max(1, int(learner["learner_model_param"]["num_class"]))
    parts = []
    for tree in model["trees"]:
        left, right = (np.asarray(tree[side], dtype=np.int64) for side in ("left_children", "right_children"))
        condition = np.asarray(tree["split_conditions"], dtype=np.float32)
        feature = np.where(left < 0, 0, np.asarray(tree["split_indices"], dtype=np.int64))
        missing = np.asarray(tree["default_left"], dtype=bool)
        parts.append(Tree(left, right, feature, condition, missing, condition[:, None]))
    trees = joined(parts, model["tree_info"])

    def answer(graph: Graph, raw: str) -> Answer:
        if objective == "binary:logistic":
            return _binary(graph, raw)
        if objective == "multi:softprob":
            return _softmax(graph, raw)
        return regression(graph, graph.cast(raw, "float64"), LINKS[objective])

    return TreeModel(trees, Arithmetic.SINGLE, _margin(learner, objective, outputs), answer)


def _supported(estimator: Any, learner: Any, objective: str) -> None:
    """Raise ExportError unless every setting that shapes a prediction is one that the graph mirrors."""
    name = type(estimator).__name__
    booster = learner["gradient_booster"]["name"]
    if booster != "gbtree":
        raise ExportError(f"{name} with booster {booster!r} cannot be exported.", remedy="Use booster: gbtree.")
    known = ("binary:logistic", "multi:softprob") if hasattr(estimator, "classes_") else tuple(LINKS)
    if objective not in known:
        raise ExportError(
            f"{name} with objective {objective!r} cannot be exported.", remedy=f"Use one of {', '.join(known)}."
        )
    if not np.isnan(estimator.missing):
        raise ExportError(f"{name} with its own missing marker cannot be exported.", remedy="Remove missing.")
    if int(learner["learner_model_param"]["num_target"]) > 1 or any(
        int(tree["tree_param"]["size_leaf_vector"]) > 1 for tree in learner["gradient_booster"]["model"]["trees"]
    ):
        raise ExportError(f"{name} with several targets cannot be exported.", remedy="Use one target, one tree each.")


def _margin(learner: Any, objective: str, outputs: int) -> Matrix:
    """The base score [outputs] on the scale of the sums, computed in float32 as XGBoost does."""
    text = learner["learner_model_param"]["base_score"]
    score = np.atleast_1d(np.asarray(json.loads(text), dtype=np.float32))
    if objective in ("binary:logistic", *LOGIT):
        score = -_log(np.float32(1) / score - np.float32(1))
    elif objective in LOG:
        score = _log(score)
    return np.broadcast_to(score.astype(np.float64), (outputs,)).copy()


def _log(value: NDArray[np.float32]) -> NDArray[np.float32]:
    """The float32 logarithm as the C library rounds it, which is correctly; numpy's own can be one ulp off."""
    return np.log(value.astype(np.float64)).astype(np.float32)


def _binary(graph: Graph, raw: str) -> Answer:
    """XGBoost names the positive class where its float32 probability is above one half."""
    index = graph.cast(graph.op("GreaterOrEqual", raw, graph.constant(_least_positive(), np.float32)), "int64")
    positive = graph.op("Sigmoid", graph.cast(raw, "float64"))
    return Answer(index=vector(graph, index), probabilities=complement(graph, positive))


def _least_positive() -> np.float32:
    """The least margin whose float32 sigmoid, 1 / (1 + exp(-margin) + 1e-16), exceeds one half."""
    low, high = np.float32(0), np.float32(1e-3)
    one = np.float32(1)
    while (middle := np.float32((low + high) / 2)) not in (low, high):
        power = np.float32(np.exp(-float(middle)))
        above = one / (power + one + np.float32(1e-16)) > np.float32(0.5)
        low, high = (low, middle) if above else (middle, high)
    return high


def _softmax(graph: Graph, raw: str) -> Answer:
    """Softmax in float32, as XGBoost's, so that classes which it rounds to a tie stay tied."""
    axis = graph.constant([1], np.int64)
    powers = graph.op("Exp", graph.op("Sub", raw, graph.op("ReduceMax", raw, axis, keepdims=1)))
    total = graph.op("ReduceSum", graph.cast(powers, "float64"), axis, keepdims=1)
    single = graph.op("Div", powers, graph.cast(total, "float32"))
    return Answer(index=first_highest(graph, single), probabilities=graph.cast(single, "float64"))
