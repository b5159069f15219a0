"""Any other scikit-learn estimator: skl2onnx behind our own exact preprocessing.

The preprocessing becomes an explicit matrix [N, features] in the graph, and skl2onnx converts the
bare estimator over it, in float64 where it can, else in float32. Whether that is faithful enough
is for the proof to say.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx

from perennial.errors import ExportError
from perennial.export.features import FLOAT32_MAX, Feature, Indicator, Missing, Number
from perennial.export.graph import INPUT, ML_DOMAIN, OPSET, Graph
from perennial.export.heads import Answer
from perennial.export.runtime import failures, session
from perennial.records import Column

CONVERTER_ML_OPSET = 3
ENTRY = "z"
UNCONVERTED = (NotImplementedError, ValueError, TypeError, KeyError, AttributeError, IndexError)  # by skl2onnx


def emit_converted(
    graph: Graph, estimator: Any, features: Sequence[Feature], columns: Sequence[Column], *, single: bool
) -> Answer:
    """Add preprocessing and the converted estimator to the graph; ``single``: it was fitted on float32.

    Raises:
        ExportError: skl2onnx or onnxruntime cannot handle the estimator, or it would need a foreign domain.
    """
    model, dtype = _converted(estimator, len(features))
    entry = emit_features(graph, features, columns)
    if single:
        entry = graph.cast(entry, "float32")
    return _embedded(graph, model, graph.cast(entry, dtype), hasattr(estimator, "classes_"))


def emit_features(graph: Graph, features: Sequence[Feature], columns: Sequence[Column]) -> str:
    """The estimator's input [N, features] as float64, feature by feature as ``features.evaluate``."""
    blocks: list[str] = []
    order: list[int] = []
    for kind, emit in ((Number, _numbers), (Indicator, _indicators), (Missing, _missing)):
        places = [index for index, feature in enumerate(features) if isinstance(feature, kind)]
        if places:
            blocks.append(emit(graph, [features[index] for index in places], columns))
            order += places
    if not blocks:
        zeros = graph.constant(np.zeros((len(columns), len(features))))
        return graph.op("MatMul", graph.cast(graph.op("IsNaN", INPUT), "float64"), zeros)
    joined = blocks[0] if len(blocks) == 1 else graph.op("Concat", *blocks, axis=1)
    return graph.op("Gather", joined, graph.constant(np.argsort(order), np.int64), axis=1)


def _gathered(graph: Graph, features: Sequence[Feature]) -> str:
    return graph.op("Gather", INPUT, graph.constant([feature.column for feature in features], np.int64), axis=1)


def _numbers(graph: Graph, features: Sequence[Any], columns: Sequence[Column]) -> str:
    values = _gathered(graph, features)
    fill = graph.constant([[feature.fill for feature in features]])
    filled = graph.op("Where", graph.op("IsNaN", values), fill, values)
    bounded = graph.op("Clip", filled, graph.constant(-FLOAT32_MAX), graph.constant(FLOAT32_MAX))
    centred = graph.op("Sub", bounded, graph.constant([feature.mean for feature in features]))
    return graph.op("Div", centred, graph.constant([feature.scale for feature in features]))


def _indicators(graph: Graph, features: Sequence[Any], columns: Sequence[Column]) -> str:
    """Each code's own indicator, then a product that adds up the codes of a pooled one."""
    pairs = [(place, feature.column, code) for place, feature in enumerate(features) for code in feature.codes]
    values = graph.op("Gather", INPUT, graph.constant([column for _, column, _ in pairs], np.int64), axis=1)
    found = graph.cast(graph.op("Equal", values, graph.constant([code for _, _, code in pairs])), "float64")
    if len(pairs) == len(features):
        return found
    pool = np.zeros((len(pairs), len(features)))
    pool[np.arange(len(pairs)), [place for place, _, _ in pairs]] = 1.0
    return graph.op("MatMul", found, graph.constant(pool))


def _missing(graph: Graph, features: Sequence[Any], columns: Sequence[Column]) -> str:
    return graph.cast(graph.op("IsNaN", _gathered(graph, features)), "float64")


def _converted(estimator: Any, width: int) -> tuple[onnx.ModelProto, str]:
    """skl2onnx's model over ``z`` and the dtype of that input; the first that onnxruntime can load."""
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType

    logging.getLogger("skl2onnx").setLevel(logging.ERROR)
    options = {id(estimator): {"zipmap": False}} if hasattr(estimator, "classes_") else None
    reasons = []
    unconverted: tuple[type[Exception], ...] = (*failures(), *UNCONVERTED)
    for dtype, kind in (("float64", DoubleTensorType), ("float32", FloatTensorType)):
        try:
            model = convert_sklearn(
                estimator,
                initial_types=[(ENTRY, kind([None, width]))],
                options=options,
                target_opset={"": OPSET, ML_DOMAIN: CONVERTER_ML_OPSET},
            )
            session(model.SerializeToString())
        except unconverted as error:
            reasons.append(f"{dtype}: {str(error).strip().splitlines()[0][:160]}")
            continue
        return model, dtype
    raise ExportError(
        f"{type(estimator).__name__} cannot be converted ({'; '.join(reasons)}).",
        remedy="Choose a linear model, a tree ensemble or XGBoost.",
    )


def _embedded(graph: Graph, model: onnx.ModelProto, entry: str, classifier: bool) -> Answer:
    """Copy the converted nodes into the graph under fresh names."""
    prefix = graph.name("converted")
    graph.ml_opset = CONVERTER_ML_OPSET  # its tree operators ended with version 3
    foreign = {node.domain for node in model.graph.node} - {"", "ai.onnx", ML_DOMAIN}
    if foreign:
        raise ExportError(f"The conversion needs the operator domain {sorted(foreign)[0]!r}, which is not served.")

    def named(name: str) -> str:
        return entry if name == ENTRY else f"{prefix}_{name}" if name else ""

    for initializer in model.graph.initializer:
        initializer.name = named(initializer.name)
        graph.initializers.append(initializer)
    for node in model.graph.node:
        node.name = ""
        node.input[:] = [named(name) for name in node.input]
        node.output[:] = [named(name) for name in node.output]
        graph.nodes.append(node)
    outputs = [named(output.name) for output in model.graph.output]
    if classifier:
        return Answer(index=graph.cast(outputs[0], "int64"), probabilities=graph.cast(outputs[1], "float64"))
    flat = graph.op("Reshape", outputs[0], graph.constant([-1], np.int64))
    return Answer(value=graph.cast(flat, "float64"))
