"""From a fitted pipeline to the bytes of its graph: which family the estimator belongs to, and its compiler."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from perennial.errors import ExportError
from perennial.export.constant import CONSTANT, emit_constant
from perennial.export.emit import emit_forest
from perennial.export.fallback import emit_converted
from perennial.export.features import Feature
from perennial.export.folding import Forest, fold
from perennial.export.graph import Graph
from perennial.export.heads import Answer, spread
from perennial.export.hist import hist_model
from perennial.export.linear import NAMES as LINEAR
from perennial.export.linear import emit_linear
from perennial.export.sklearn_trees import boosting_model, forest_model
from perennial.export.trees import TreeModel
from perennial.export.xgb import xgb_model
from perennial.records import Column

FORESTS = frozenset(
    f"{kind}{task}"
    for kind in ("DecisionTree", "ExtraTree", "RandomForest", "ExtraTrees")
    for task in ("Classifier", "Regressor")
)
BOOSTING = frozenset({"GradientBoostingClassifier", "GradientBoostingRegressor"})
HISTOGRAM = frozenset({"HistGradientBoostingClassifier", "HistGradientBoostingRegressor"})
XGBOOST = frozenset({"XGBClassifier", "XGBRegressor"})


@dataclass(frozen=True)
class Fitted:
    """A fitted pipeline taken apart: what the estimator sees, whether as float32, and the estimator."""

    features: tuple[Feature, ...]
    single: bool
    estimator: Any

    @property
    def name(self) -> str:
        return type(self.estimator).__name__

    @property
    def is_classifier(self) -> bool:
        return hasattr(self.estimator, "classes_")


def take_apart(pipeline: Any) -> Fitted:
    """The two steps of a pipeline made by ``build_pipeline``.

    Raises:
        ExportError: it is another pipeline, or not fitted.
    """
    steps = getattr(pipeline, "named_steps", {})
    encoder = steps.get("encode")
    if encoder is None or "estimator" not in steps or not hasattr(encoder, "features_"):
        raise ExportError(
            "Only a fitted pipeline of the steps 'encode' and 'estimator' can be exported.",
            remedy="Make it with build_pipeline and fit it.",
        )
    return Fitted(encoder.features_, encoder.single, steps["estimator"])


def export_pipeline(pipeline: Any, columns: Sequence[Column], classes: int) -> bytes:
    """The whole fitted pipeline as one ONNX graph over the float64 matrix ``x`` [N, columns].

    ``classes`` is the number of classes of the task, 0 for a regression. A classifier's graph answers
    ``label`` int64 [N] (the class index) and ``probabilities`` float64 [N, classes], a regressor's
    ``value`` float64 [N]. Nothing here is proven yet: see :func:`perennial.export.prove`.

    Raises:
        ExportError: this estimator, or one of its settings, cannot be exported faithfully.
    """
    fitted = take_apart(pipeline)
    graph = Graph(len(columns))
    if classes:
        _check_classes(fitted, classes)
    answer = _emit(graph, fitted, columns)
    if not classes:
        return graph.finish({"value": (answer.value, "float64", None)})
    answer = spread(graph, answer, present_classes(fitted.estimator), classes)
    return graph.finish(
        {"label": (answer.index, "int64", None), "probabilities": (answer.probabilities, "float64", classes)}
    )


def folded(fitted: Fitted, columns: Sequence[Column]) -> tuple[TreeModel, Forest] | None:
    """The estimator's trees over the matrix columns, None where it has no trees that are compiled here."""
    name, estimator = fitted.name, fitted.estimator
    if name in FORESTS:
        model = forest_model(estimator)
    elif name in BOOSTING:
        model = boosting_model(estimator)
    elif name in HISTOGRAM:
        model = hist_model(estimator, fitted.features)
    elif name in XGBOOST:
        model = xgb_model(estimator)
    else:
        return None
    return model, fold(model.trees, fitted.features, columns, model.arithmetic)


def present_classes(estimator: Any) -> list[int]:
    """Class index behind each of the estimator's probabilities; a class absent from training has none."""
    return [int(each) for each in np.asarray(estimator.classes_)]


def _emit(graph: Graph, fitted: Fitted, columns: Sequence[Column]) -> Answer:
    trees = folded(fitted, columns)
    if trees is not None:
        model, forest = trees
        return model.answer(graph, emit_forest(graph, forest, model.start))
    if fitted.name in LINEAR:
        return emit_linear(graph, fitted.estimator, fitted.features, columns)
    if fitted.name in CONSTANT:
        return emit_constant(graph, fitted.estimator)
    return emit_converted(graph, fitted.estimator, fitted.features, columns, single=fitted.single)


def _check_classes(fitted: Fitted, classes: int) -> None:
    if not hasattr(fitted.estimator, "predict_proba"):
        raise ExportError(
            f"{fitted.name} gives no probabilities (no predict_proba).",
            remedy="Choose a classifier with probabilities, or a loss that has them.",
        )
    present = np.asarray(fitted.estimator.classes_)
    if not set(present.tolist()) <= set(range(classes)):
        raise ExportError(
            f"{fitted.name} was fitted on the classes {present.tolist()}, not on the indices of {classes} classes.",
            remedy="Fit it on class indices from 0.",
        )
