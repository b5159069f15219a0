"""What the encoder learns and what it makes of rows, for each style of estimator."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier
from xgboost import XGBClassifier

from perennial.export.features import FLOAT32_MAX, Code, Constant, Indicator, Missing, Number
from perennial.records import Column
from perennial.training.preprocess import MatrixEncoder, build_pipeline
from tests.support.pipelines import Table, tables

COLUMNS = (Column("n", "n", "number"), Column("c", "c", "category", ("x", "y", "z")))
X = np.array([[1.0, 0.0], [3.0, 2.0], [np.nan, np.nan], [5.0, 0.0]])


def test_scaled_imputes_standardises_and_one_hot_encodes() -> None:
    encoder = MatrixEncoder(COLUMNS).fit(X)
    assert encoder.features_ == (
        Number(0, 3.0, 3.0, float(np.sqrt(2))),
        Missing(0),
        Indicator(1, (0,)),
        Indicator(1, (2,)),
        Missing(1),
    )
    got = encoder.transform(np.array([[np.nan, 1.0], [5.0, -1.0], [1.0, 2.0], [3.0, np.nan]]))
    root = np.sqrt(2)
    assert np.allclose(got, [[0, 1, 0, 0, 0], [root, 0, 0, 0, 0], [-root, 0, 0, 1, 0], [0, 0, 0, 0, 1]])
    assert got.dtype == np.float64


def test_plain_gives_trees_float32_unscaled() -> None:
    encoder = MatrixEncoder(COLUMNS, "plain").fit(X)
    assert encoder.features_[:2] == (Number(0, 3.0), Missing(0))
    got = encoder.transform(np.array([[1e300, 0.0], [np.nan, 0.0]]))
    assert got.dtype == np.float32
    assert got[:, 0].tolist() == [np.float32(FLOAT32_MAX), 3.0]


def test_sparse_leaves_missing_numbers_missing() -> None:
    got = MatrixEncoder(COLUMNS, "sparse").fit(X).transform(X)
    assert np.array_equal(np.isnan(got), np.isnan(X)[:, [0, 0, 0, 0]] & [True, False, False, False])


def test_native_gives_codes_and_makes_unseen_missing() -> None:
    encoder = MatrixEncoder(COLUMNS, "native").fit(X)
    assert encoder.features_ == (Number(0, clip=False), Code(1, (0, 1, 2)))
    got = encoder.transform(np.array([[np.nan, -1.0], [2.0, 2.0], [1.0, np.nan]]))
    assert np.array_equal(got, [[np.nan, np.nan], [2.0, 2.0], [1.0, np.nan]], equal_nan=True)


def test_columns_without_values_or_variation() -> None:
    x = np.array([[np.nan, np.nan, 7.0], [np.nan, np.nan, 7.0]])
    columns = (*COLUMNS, Column("k", "k", "number"))
    assert MatrixEncoder(columns).fit(x).features_ == (Constant(0),)
    assert MatrixEncoder(columns, "plain").fit(x).features_ == (Number(2, 7.0),)
    assert MatrixEncoder(columns, "native").fit(x).features_ == (Constant(0), Constant(1), Number(2, clip=False))


def test_rare_categories_are_pooled() -> None:
    columns = (Column("c", "c", "category", tuple("abcdef")),)
    x = np.array([0, 0, 0, 1, 1, 3, 4])[:, None].astype(float)
    assert MatrixEncoder(columns, "plain", max_groups=3).fit(x).features_ == (
        Indicator(0, (0,)),
        Indicator(0, (1,)),
        Indicator(0, (3, 4)),
    )
    native = MatrixEncoder(columns, "native", max_groups=3).fit(x)
    assert native.features_ == (Code(0, (0, 1, 2, 3, 3, 5)),)
    assert native.transform(np.array([[4.0]])).tolist() == [[3.0]]


@given(table=tables())
def test_scaled_is_what_scikit_learn_makes_of_it(table: Table) -> None:
    """Median, standard scale and one-hot, by scikit-learn's own transformers, column by column."""
    encoder = MatrixEncoder(table.columns).fit(table.x)
    got = encoder.transform(table.x)
    for index, feature in enumerate(encoder.features_):
        column = table.x[:, [feature.column]]
        if isinstance(feature, Number):
            imputed = SimpleImputer(strategy="median").fit_transform(column)
            wanted = StandardScaler().fit_transform(imputed)[:, 0]
            assert np.allclose(got[:, index], wanted, rtol=1e-9, atol=1e-9)
        elif isinstance(feature, Indicator) and len(feature.codes) == 1:
            one_hot = OneHotEncoder(
                categories=[[float(feature.codes[0])]], handle_unknown="ignore", sparse_output=False
            )
            assert (got[:, index] == one_hot.fit_transform(column)[:, 0]).all()
    assert np.isfinite(got).all()


@pytest.mark.parametrize(
    ("estimator", "style"),
    [
        (LogisticRegression(), "scaled"),
        (DecisionTreeClassifier(), "plain"),
        (RandomForestClassifier(), "plain"),
        (XGBClassifier(), "sparse"),
        (HistGradientBoostingClassifier(), "native"),
    ],
)
def test_the_style_follows_the_estimator(estimator: object, style: str) -> None:
    pipeline = build_pipeline(COLUMNS, estimator)
    assert [name for name, _ in pipeline.steps] == ["encode", "estimator"]
    assert pipeline["encode"].style == style
    assert clone(pipeline)["encode"].columns == COLUMNS


def test_histogram_boosting_learns_its_categories_and_keeps_its_limit() -> None:
    given_estimator = HistGradientBoostingClassifier(max_bins=16)
    pipeline = build_pipeline(COLUMNS, given_estimator)
    assert pipeline["estimator"].categorical_features == [1]
    assert pipeline["encode"].max_groups == 16
    assert given_estimator.categorical_features == "from_dtype", "the estimator that was given stays as it was"
    assert build_pipeline(COLUMNS[:1], given_estimator)["estimator"].categorical_features is None
