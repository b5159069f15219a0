"""The estimators that look at nothing: a baseline to beat."""

from __future__ import annotations

from typing import Any

import numpy as np

from perennial.errors import ExportError
from perennial.export.graph import INPUT, Graph
from perennial.export.heads import Answer, first_highest

CONSTANT = frozenset({"DummyClassifier", "DummyRegressor"})
RANDOM = ("stratified", "uniform")


def emit_constant(graph: Graph, estimator: Any) -> Answer:
    """The same answer for every row of the input."""
    if estimator.strategy in RANDOM:
        raise ExportError(
            f"DummyClassifier with strategy {estimator.strategy!r} answers at random.", remedy="Use strategy: prior."
        )
    row = np.zeros((1, 1))
    rows = graph.op("Gather", graph.op("Shape", INPUT), graph.constant([0], np.int64), axis=0)
    if not hasattr(estimator, "classes_"):
        return Answer(value=graph.op("Expand", graph.constant(estimator.predict(row).reshape(1)), rows))
    probabilities = estimator.predict_proba(row)
    shape = graph.op("Concat", rows, graph.constant([probabilities.shape[1]], np.int64), axis=0)
    same = graph.op("Expand", graph.constant(probabilities), shape)
    return Answer(index=first_highest(graph, same), probabilities=same)
