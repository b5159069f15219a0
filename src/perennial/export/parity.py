"""The proof that a graph answers as the pipeline it came from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perennial.errors import ExportError
from perennial.export.boundary import boundary_rows
from perennial.export.compiler import present_classes, take_apart
from perennial.export.features import Matrix
from perennial.export.graph import INPUT
from perennial.export.runtime import failures, session
from perennial.records import Column
from perennial.registry.manifest import Parity

TOLERANCE = 1e-6
BATCH = 4096


@dataclass(frozen=True)
class _Answers:
    """``labels`` int64 [N] and ``scores`` [N, classes] of a classifier, or ``scores`` [N, 1] of a regressor."""

    scores: Matrix
    labels: NDArray[np.int64] | None


def prove(pipeline: Any, onnx: bytes, columns: Sequence[Column], holdout_x: Matrix) -> Parity:
    """Compare the graph with the pipeline on the whole holdout and on boundary rows.

    ``holdout_x`` is the matrix [rows, columns]. Probabilities are compared by absolute difference;
    a regression's values by the difference relative to max(1, |value|). Both must stay within 1e-6,
    and no class may change.

    Raises:
        ExportError: the graph differs; says by how much, and how many classes changed.
    """
    fitted = take_apart(pipeline)
    boundary = boundary_rows(fitted, columns, holdout_x)
    rows = np.concatenate([holdout_x, boundary])
    theirs, ours = _reference(pipeline, fitted.is_classifier, rows), _run(onnx, fitted.is_classifier, rows)
    if fitted.is_classifier:
        theirs = _spread(theirs, present_classes(fitted.estimator), ours.scores.shape[1])
    difference = largest_difference(theirs.scores, ours.scores, relative=not fitted.is_classifier)
    changed = 0 if theirs.labels is None else int((theirs.labels != ours.labels).sum())
    if not difference <= TOLERANCE or changed:
        raise ExportError(
            f"The graph of {fitted.name} is not faithful: largest difference {difference:.3g} "
            f"(at most {TOLERANCE:g}), {changed} of {len(rows)} classes changed.",
            remedy="The candidate is refused; choose another estimator or other parameters.",
        )
    return Parity(
        max_difference=difference, changed_classes=changed, holdout_rows=len(holdout_x), boundary_rows=len(boundary)
    )


def largest_difference(theirs: Matrix, ours: Matrix, *, relative: bool) -> float:
    """Largest difference, NaN where one side is not a number or only one is infinite; 0.0 without rows."""
    if theirs.shape != ours.shape:
        return float("nan")
    with np.errstate(all="ignore"):
        difference = np.where(theirs == ours, 0.0, np.abs(theirs - ours))
        if relative:
            difference = np.where(difference == 0, 0.0, difference / np.maximum(1.0, np.abs(theirs)))
    return float(difference.max(initial=0.0)) if np.isfinite(difference).all() else float("nan")


def _reference(pipeline: Any, classifier: bool, rows: Matrix) -> _Answers:
    try:
        with np.errstate(all="ignore"):
            predicted = np.asarray(pipeline.predict(rows))
            probabilities = pipeline.predict_proba(rows) if classifier else predicted.reshape(-1, 1)
    except (ValueError, ArithmeticError) as error:
        reason = str(error).strip().splitlines()[0][:200]
        raise ExportError(
            f"The pipeline itself fails on legal rows: {reason}", remedy="The candidate is refused; choose another."
        ) from error
    return _Answers(np.asarray(probabilities, dtype=np.float64), predicted.astype(np.int64) if classifier else None)


def _spread(answers: _Answers, present: list[int], classes: int) -> _Answers:
    scores = np.zeros((len(answers.scores), classes))
    scores[:, present] = answers.scores
    return _Answers(scores, answers.labels)


def _run(onnx: bytes, classifier: bool, rows: Matrix) -> _Answers:
    """The graph's answers, as a server gets them: one thread, batch by batch."""
    names = ["probabilities", "label"] if classifier else ["value"]
    try:
        runner = session(onnx)
        parts = [runner.run(names, {INPUT: rows[start : start + BATCH]}) for start in range(0, len(rows), BATCH)]
    except failures() as error:
        reason = str(error).strip().splitlines()[0][:200]
        raise ExportError(f"The graph cannot be run: {reason}", remedy="The candidate is refused.") from error
    first = np.concatenate([part[0] for part in parts])
    if not classifier:
        return _Answers(first.reshape(-1, 1), None)
    return _Answers(first, np.concatenate([part[1] for part in parts]))
