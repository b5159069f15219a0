"""Questions at the edge of what a spec allows, and whether the answers of a predictor to them could be told at all."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from perennial.errors import IntegrityError
from perennial.records import UNKNOWN
from perennial.serving.predictor import Predictor, Scores
from perennial.spec import NumberFeature

ROWS = 1000
"""As many as one request may hold."""
FEW = (1, 8, 9)
"""Those of most requests, which are answered in memory bound to the graph, and one more than that holds."""
SEED = 0
FAR = 1e6
"""A number where the spec bounds none."""


def answer_edges(predictor: Predictor) -> None:
    """Let a predictor answer what lies at the edge of its spec. Raises what onnxruntime raises, and IntegrityError."""
    frame = predictor.manifest.pixels
    if frame is not None:
        noise = np.random.default_rng(SEED).integers(0, 256, frame.shape, np.uint8)
        found = predictor.look([np.zeros_like(noise), np.full_like(noise, 255), noise])
        count = 3
    else:
        rows = edges(predictor)
        found = predictor.run(np.resize(rows, (ROWS, rows.shape[1])))
        for count in FEW:
            predictor.score(np.resize(rows, (count, rows.shape[1])).tolist(), count)
        count = ROWS
    refuse_nonsense(found, count, len(predictor.manifest.classes))


def refuse_nonsense(found: Scores, count: int, classes: int) -> None:
    """Whether the answers to ``count`` questions could be told at all: as many, of classes that there are, and numbers.

    That some are not finite is no fault: a model may overflow at the edge of what its spec allows.

    Raises:
        IntegrityError: it is not so.
    """
    rows = found.values if found.probabilities is None else found.probabilities
    assert rows is not None
    shape = (count,) if found.probabilities is None else (count, classes)
    if rows.shape != shape or (found.labels is not None and found.labels.shape != (count,)):
        raise IntegrityError(f"It gives answers of the shape {rows.shape} to {count} questions, instead of {shape}.")
    if found.labels is not None and not ((found.labels >= 0) & (found.labels < classes)).all():
        raise IntegrityError(f"It answers with classes beyond the {classes} that it has.")
    if not np.isfinite(rows).reshape(count, -1).all(axis=1).any():
        raise IntegrityError("It has no finite answer to any question.")


def edges(predictor: Predictor) -> NDArray[np.float64]:
    """Rows at the edge of what a spec allows [4, columns]: least, most, missing, and a category that is unknown."""
    columns = predictor.schema.columns
    rows = np.zeros((4, len(columns)))
    for place, column in enumerate(columns):
        feature = predictor.schema.features[column.feature]
        least, most = -FAR, FAR
        if column.kind == "category":
            least, most = 0.0, float(len(column.values) - 1)
        elif isinstance(feature, NumberFeature):
            least = least if feature.min is None else feature.min
            most = most if feature.max is None else feature.max
        rows[:, place] = (least, most, np.nan, UNKNOWN if column.kind == "category" else least)
    return rows
