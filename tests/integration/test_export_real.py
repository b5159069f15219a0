"""The export on census data: mixed columns, missing cells, forty countries."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.csv
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from xgboost import XGBClassifier

from perennial.records import Column
from tests.support.pipelines import proven

ROWS = 8_000


@pytest.fixture(scope="module")
def census(real_data: Path) -> tuple[tuple[Column, ...], np.ndarray, np.ndarray]:
    """Columns, matrix and target of the first rows, read by hand."""
    options = pyarrow.csv.ConvertOptions(null_values=["", "?"], strings_can_be_null=True)
    table = pyarrow.csv.read_csv(real_data / "adult_census.csv", convert_options=options).slice(0, ROWS)
    columns: list[Column] = []
    values: list[np.ndarray] = []
    for name in table.column_names[:-1]:
        cells = table[name].to_pylist()
        if any(isinstance(cell, str) for cell in cells):
            labels = tuple(sorted({cell for cell in cells if cell is not None}))
            codes = {label: float(code) for code, label in enumerate(labels)}
            columns.append(Column(name, name, "category", labels))
            values.append(np.array([codes.get(cell, np.nan) for cell in cells]))
        else:
            columns.append(Column(name, name, "number"))
            values.append(np.array(cells, dtype=np.float64))
    target = np.array([">50K" in cell for cell in table[table.column_names[-1]].to_pylist()], dtype=np.int64)
    return tuple(columns), np.stack(values, axis=1), target


@pytest.mark.parametrize(
    ("estimator", "difference", "accuracy"),
    [
        (LogisticRegression(max_iter=1000), 1e-14, 0.83),
        (RandomForestClassifier(25, random_state=0), 0.0, 0.83),
        (HistGradientBoostingClassifier(random_state=0), 1e-14, 0.85),
        (XGBClassifier(n_jobs=1, random_state=0), 2e-7, 0.85),
    ],
    ids=["logistic", "forest", "histogram", "xgboost"],
)
def test_census(census: Any, estimator: Any, difference: float, accuracy: float) -> None:
    columns, x, y = census
    pipeline, _, proof = proven(columns, estimator, x, y, 2)
    assert proof.max_difference <= difference
    assert proof.changed_classes == 0
    assert proof.holdout_rows == ROWS // 4
    assert (pipeline.predict(x[ROWS * 3 // 4 :]) == y[ROWS * 3 // 4 :]).mean() > accuracy
