"""The champion on the candidate's holdout: the same rows, so that the two can be compared."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from perennial.datasets.arrow import arrow_schema, encode, target_values
from perennial.datasets.load import Rows
from perennial.errors import TrainingError
from perennial.registry.gate import Champion
from perennial.serving.predictor import Predictor
from perennial.spec import ModelSpec
from perennial.training.evaluate import answered
from perennial.training.metrics import measure_all


def evaluate_champion(champion: Predictor, holdout: Rows, spec: ModelSpec, classes: tuple[str, ...]) -> Champion:
    """The champion's metrics on the holdout of a candidate trained with ``spec`` on ``classes``.

    The rows are encoded anew by the champion's own spec. ``metrics`` is None, with the reason in ``why``, where
    it cannot be scored: another task, another positive class, a class it does not know, or a feature that is
    gone or has another type.
    """
    manifest = champion.manifest
    version = manifest.version
    if why := incompatible(champion, holdout, spec, classes):
        return Champion(version=version, metrics=None, why=why)
    truth = target_values(holdout.table, spec, manifest.classes)
    if np.isnan(truth).any():
        return Champion(version=version, metrics=None, why="the holdout holds a class it does not know")
    rows = replace(holdout, x=encode(holdout.table, manifest.spec), y=truth)
    try:
        answers = answered(champion, rows)
    except TrainingError as error:
        return Champion(version=version, metrics=None, why=error.message)
    return Champion(version=version, metrics=measure_all(manifest.spec.task, answers))


def incompatible(champion: Predictor, holdout: Rows, spec: ModelSpec, classes: tuple[str, ...]) -> str:
    """Why the champion cannot answer these rows; empty if it can."""
    old = champion.manifest.spec
    if old.task != spec.task:
        return f"its task is {old.task}"
    if old.target.column != spec.target.column:
        return f"it predicts '{old.target.column}'"
    if spec.task == "binary" and champion.manifest.classes[-1] != classes[-1]:
        return f"its positive class is {champion.manifest.classes[-1]!r}"
    wanted, found = arrow_schema(old, labelled=False), holdout.table.schema
    for field in wanted:
        if field.name not in found.names:
            return f"its feature '{field.name}' is no longer in the data"
        if not found.field(field.name).type.equals(field.type):
            return f"its feature '{field.name}' has another type now"
    return ""
