"""Wide rows, such as the pixels of a picture: the proof of a graph over them stays within bounds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from perennial.export import export_pipeline, prove
from perennial.export.boundary import MAX_NUMBERS, boundary_rows
from perennial.export.compiler import take_apart
from perennial.export.extractors import MOST_FEATURES
from perennial.records import Column
from perennial.training.preprocess import build_pipeline

ROWS = 40


@pytest.mark.parametrize(
    "estimator",
    [LogisticRegression(max_iter=5), RandomForestClassifier(20, random_state=0)],
    ids=lambda each: type(each).__name__,
)
@pytest.mark.filterwarnings("ignore")  # five rounds are enough for what is looked at here
def test_the_widest_rows_are_proven_on_few_of_them(estimator: Any) -> None:
    rng = np.random.default_rng(0)
    columns = tuple(Column(f"f{place}", f"f{place}", "number") for place in range(MOST_FEATURES))
    x = rng.integers(0, 256, (ROWS, MOST_FEATURES)).astype(np.float64)
    pipeline = build_pipeline(columns, estimator).fit(x, np.arange(ROWS) % 2)
    rows = boundary_rows(take_apart(pipeline), columns, x)
    assert 300 < len(rows) <= MAX_NUMBERS // MOST_FEATURES
    odd = np.isnan(rows[2:]) | (rows[2:] < 0) | (rows[2:] > 255)
    assert odd.any(axis=0).sum() > 50  # not the first columns only
    parity = prove(pipeline, export_pipeline(pipeline, columns, 2), columns, x)
    assert parity.changed_classes == 0 and parity.boundary_rows == len(rows)
