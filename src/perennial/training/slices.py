"""Metrics per group: does the model serve every group as well as the whole?"""

from __future__ import annotations

import numpy as np

from perennial.records import UNKNOWN, Column, columns
from perennial.spec import CategoryFeature, ModelSpec
from perennial.training.answers import Answers, Floats
from perennial.training.evaluation import Slice
from perennial.training.metrics import measure_all

MAX_GROUPS = 20
UNKNOWN_GROUP = "(unknown)"
MISSING_GROUP = "(missing)"


def slices(spec: ModelSpec, x: Floats, answers: Answers) -> dict[str, tuple[Slice, ...]]:
    """The metrics of each group of each sliced column, in the order of the spec.

    Sliced are the columns the gate names, and every category with at most ``MAX_GROUPS`` values. ``x`` is the
    matrix [n, columns] of the rows that ``answers`` belong to; groups without rows are left out.
    """
    found: dict[str, tuple[Slice, ...]] = {}
    for index, column in enumerate(columns(spec)):
        if sliced(spec, column):
            groups = _groups(spec, column, x[:, index], answers)
            if len(groups) > 1 or column.feature in spec.gate.slices:
                found[column.feature] = groups
    return found


def sliced(spec: ModelSpec, column: Column) -> bool:
    """Whether metrics are given per group of this column."""
    if not isinstance(spec.features[column.feature], CategoryFeature):
        return False
    return column.feature in spec.gate.slices or len(column.values) <= MAX_GROUPS


def _groups(spec: ModelSpec, column: Column, codes: Floats, answers: Answers) -> tuple[Slice, ...]:
    named = [(value, codes == code) for code, value in enumerate(column.values)]
    named += [(UNKNOWN_GROUP, codes == UNKNOWN), (MISSING_GROUP, np.isnan(codes))]
    return tuple(
        Slice(group=name, rows=int(mask.sum()), metrics=measure_all(spec.task, answers.take(mask)))
        for name, mask in named
        if mask.any()
    )
