"""Every family of exported model answers a row with the same bits alone, in a small and in a large batch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.tree import DecisionTreeClassifier
from xgboost import XGBClassifier, XGBRegressor

from perennial.export import export_pipeline
from perennial.records import columns
from perennial.serving.predictor import Predictor
from perennial.training.preprocess import build_pipeline
from tests.support.models import CLASSES, MIXED, make_manifest, make_spec

ROWS = 403
CLASSIFIERS: tuple[Any, ...] = (
    LogisticRegression(),
    DecisionTreeClassifier(random_state=0),
    RandomForestClassifier(n_estimators=30, random_state=0, n_jobs=1),
    ExtraTreesClassifier(n_estimators=15, random_state=0, n_jobs=1),
    GradientBoostingClassifier(n_estimators=15, random_state=0),
    HistGradientBoostingClassifier(max_iter=15, random_state=0),
    XGBClassifier(n_estimators=15, n_jobs=1, random_state=0),
)
REGRESSORS: tuple[Any, ...] = (
    Ridge(),
    RandomForestRegressor(n_estimators=15, random_state=0, n_jobs=1),
    HistGradientBoostingRegressor(max_iter=15, random_state=0),
    XGBRegressor(n_estimators=15, n_jobs=1, random_state=0),
)


def matrix() -> np.ndarray[Any, np.dtype[np.float64]]:
    """Rows of the mixed spec's columns: numbers, codes, an unseen category, date parts, missing values."""
    rng = np.random.default_rng(7)
    x = np.column_stack([
        rng.integers(10, 100, ROWS), rng.normal(7, 2, ROWS), rng.integers(0, 3, ROWS), rng.integers(-1, 2, ROWS),
        rng.integers(19_000, 21_000, ROWS), rng.integers(1, 13, ROWS), rng.integers(0, 7, ROWS),
        rng.integers(0, 24, ROWS),
    ]).astype(np.float64)  # fmt: skip
    x[rng.random(ROWS) < 0.1, 1] = np.nan
    x[rng.random(ROWS) < 0.1, 4:] = np.nan
    return x


CASES = [
    *((task, estimator) for task in ("binary", "multiclass") for estimator in CLASSIFIERS),
    *(("regression", estimator) for estimator in REGRESSORS),
]


@pytest.mark.parametrize(
    ("task", "estimator"), CASES, ids=lambda value: value if isinstance(value, str) else type(value).__name__
)
def test_company_does_not_matter(task: str, estimator: Any) -> None:
    spec, x = make_spec("m", task, MIXED), matrix()
    classes = CLASSES[task]
    signal = np.nan_to_num(x[:, 1], nan=7.0) + x[:, 2] + x[:, 0] / 30
    y = signal if task == "regression" else np.digitize(signal, np.quantile(signal, [0.4, 0.7][: len(classes) - 1]))
    graph = export_pipeline(build_pipeline(columns(spec), estimator).fit(x, y), columns(spec), len(classes))
    predictor = Predictor(make_manifest(spec, classes, graph), graph)

    together = predictor.run(x)

    for size in (1, 3, 150):
        for start in range(0, min(ROWS, 40 * size), size):
            part = predictor.run(x[start : start + size])
            for some, many in zip(part, together, strict=True):
                if some is not None and many is not None:
                    assert some.tobytes() == many[start : start + size].tobytes()
