"""Whatever the spec, the data and the estimator: the graph answers as scikit-learn and XGBoost do."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perennial.export.parity import TOLERANCE
from tests.support.pipelines import CLASSIFIERS, POSITIVE, REGRESSORS, Factory, Table, proven, tables

pytestmark = pytest.mark.filterwarnings("ignore")
FLOAT32_LIBRARIES = ("XGBClassifier", "XGBRegressor")
ROUNDING = 1e-9


def _close(name: str) -> float:
    """What a difference may be: double rounding, or the last digit of a float32 exponential."""
    return 3e-7 if name in FLOAT32_LIBRARIES else ROUNDING


@pytest.mark.parametrize("kind", CLASSIFIERS)
@settings(max_examples=12)
@given(table=tables(), classes=st.sampled_from([2, 3, 5]), seed=st.integers(0, 9))
def test_a_classifier_is_exported_exactly(kind: str, table: Table, classes: int, seed: int) -> None:
    estimator = CLASSIFIERS[kind](seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _, _, proof = proven(table.columns, estimator, table.x, table.classes(classes), classes)
    assert proof.changed_classes == 0
    assert proof.max_difference <= _close(type(estimator).__name__) <= TOLERANCE
    assert proof.boundary_rows > 0


@pytest.mark.parametrize("kind", REGRESSORS)
@settings(max_examples=12)
@given(table=tables(), scale=st.sampled_from([1.0, 1e-3, 1e4]), seed=st.integers(0, 9))
def test_a_regressor_is_exported_exactly(kind: str, table: Table, scale: float, seed: int) -> None:
    _check_regressor(REGRESSORS[kind], table, table.signal * scale, seed)


@pytest.mark.parametrize("kind", POSITIVE)
@settings(max_examples=12)
@given(table=tables(), seed=st.integers(0, 9))
def test_a_regressor_with_a_link_is_exported_exactly(kind: str, table: Table, seed: int) -> None:
    _check_regressor(POSITIVE[kind], table, np.exp(np.clip(table.signal, -3, 3)), seed)


def _check_regressor(factory: Factory, table: Table, y: np.ndarray, seed: int) -> None:
    estimator = factory(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _, _, proof = proven(table.columns, estimator, table.x, y, 0)
    assert proof.max_difference <= _close(type(estimator).__name__)
    assert proof.holdout_rows == len(table.x) - len(table.x) * 3 // 4
