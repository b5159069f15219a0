"""Preprocessing, derived from the spec's columns and from what the estimator's family can digest.

Missing numbers become the median, with an indicator of their own where training saw any; categories
become one-hot with unknown ones ignored; linear and distance-based estimators get standardised
numbers. Boosting that knows missing values and categories natively gets them as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.pipeline import Pipeline

from perennial.export.features import FLOAT32_MAX, Code, Constant, Feature, Indicator, Matrix, Missing, Number, evaluate
from perennial.records import Column

Style = Literal["scaled", "plain", "sparse", "native"]
MAX_INDICATORS = 255
RELATIVE_SPREAD = 10 * float(np.finfo(np.float64).eps)

_PLAIN = frozenset(
    {
        "DecisionTreeClassifier",
        "DecisionTreeRegressor",
        "ExtraTreeClassifier",
        "ExtraTreeRegressor",
        "RandomForestClassifier",
        "RandomForestRegressor",
        "ExtraTreesClassifier",
        "ExtraTreesRegressor",
        "GradientBoostingClassifier",
        "GradientBoostingRegressor",
        "AdaBoostClassifier",
        "AdaBoostRegressor",
        "BaggingClassifier",
        "BaggingRegressor",
    }
)
_STYLES: dict[str, Style] = {
    **dict.fromkeys(_PLAIN, "plain"),
    "HistGradientBoostingClassifier": "native",
    "HistGradientBoostingRegressor": "native",
    "XGBClassifier": "sparse",
    "XGBRegressor": "sparse",
}


class MatrixEncoder(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """The matrix [rows, columns] as an estimator's input [rows, features], learnt on the training rows.

    ``style``: ``scaled`` (impute, standardise, one-hot; float64), ``plain`` (impute, one-hot;
    float32, which is what trees compare), ``sparse`` (numbers with NaN, one-hot; float32) or
    ``native`` (numbers with NaN, categories as codes; float64). A column with more than
    ``max_groups`` categories keeps the most frequent ones apart and pools the rest. Fitting sets
    ``features_``, which the exporter folds into the graph.
    """

    def __init__(self, columns: Sequence[Column], style: Style = "scaled", max_groups: int = MAX_INDICATORS) -> None:
        self.columns = columns
        self.style = style
        self.max_groups = max_groups

    def fit(self, X: Matrix, y: object = None) -> Self:
        """Learn medians, scales and categories. ``X`` is the matrix [rows, columns]."""
        x = np.asarray(X, dtype=np.float64)
        features: list[Feature] = []
        for index, column in enumerate(self.columns):
            features += self._features(index, column, x[:, index])
        self.features_: tuple[Feature, ...] = tuple(features) or (Constant(0),)
        self.n_features_in_ = x.shape[1]
        return self

    def transform(self, X: Matrix) -> NDArray[np.float32] | Matrix:
        """The estimator's input for a matrix [rows, columns]."""
        return evaluate(self.features_, np.asarray(X, dtype=np.float64), np.float32 if self.single else np.float64)

    @property
    def single(self) -> bool:
        """Whether the estimator is given float32."""
        return self.style in ("plain", "sparse")

    def _features(self, index: int, column: Column, values: Matrix) -> list[Feature]:
        missing = np.isnan(values)
        if missing.all():
            return [Constant(index)] if self.style == "native" else []
        if column.kind == "category":
            return self._category(index, column, values, bool(missing.any()))
        if self.style == "native":
            return [Number(index, clip=False)]
        if self.style == "sparse":
            return [Number(index)]
        return self._imputed(index, values, missing)

    def _imputed(self, index: int, values: Matrix, missing: NDArray[np.bool_]) -> list[Feature]:
        indicator: list[Feature] = [Missing(index)] if missing.any() else []
        known = np.clip(values[~missing], -FLOAT32_MAX, FLOAT32_MAX)
        fill = float(np.median(known))
        if self.style == "plain":
            return [Number(index, fill), *indicator]
        filled = np.where(missing, fill, np.clip(values, -FLOAT32_MAX, FLOAT32_MAX))
        mean, scale = float(filled.mean()), float(filled.std())
        if scale <= RELATIVE_SPREAD * float(np.abs(filled).max()):
            return indicator  # a constant teaches nothing, and has no scale for the day it varies
        return [Number(index, fill, mean, scale), *indicator]

    def _category(self, index: int, column: Column, values: Matrix, missing: bool) -> list[Feature]:
        known = values[values >= 0].astype(np.int64)
        counts = np.bincount(known, minlength=len(column.values))
        frequent = sorted(np.flatnonzero(counts).tolist(), key=lambda code: (-counts[code], code))
        pooled = sorted(frequent[self.max_groups - 1 :]) if len(frequent) > self.max_groups else []
        if self.style == "native":
            return [Code(index, _groups(len(column.values), pooled))] if frequent else [Constant(index)]
        kept = sorted(set(frequent) - set(pooled))
        indicators: list[Feature] = [Indicator(index, (code,)) for code in kept]
        if pooled:
            indicators.append(Indicator(index, tuple(pooled)))
        return [*indicators, Missing(index)] if missing else indicators


def build_pipeline(columns: Sequence[Column], estimator: BaseEstimator) -> Pipeline:
    """The pipeline of one candidate: step ``encode`` (a MatrixEncoder), then step ``estimator``.

    Fit it on the float64 matrix [rows, columns] with y [rows]: the class index as int64, or the
    value as float64. A HistGradientBoosting estimator is told here which columns are categories.
    """
    style = _STYLES.get(type(estimator).__name__, "scaled")
    groups = MAX_INDICATORS
    if style == "native":
        bins = estimator.max_bins
        groups = min(groups, bins) if isinstance(bins, int) else groups  # what is none, the estimator itself names
        categories = [index for index, column in enumerate(columns) if column.kind == "category"]
        estimator = clone(estimator).set_params(categorical_features=categories or None)
    return Pipeline([("encode", MatrixEncoder(tuple(columns), style, groups)), ("estimator", estimator)])


def _groups(size: int, pooled: Sequence[int]) -> tuple[int, ...]:
    """Group of each code: itself, or the first of the pooled codes."""
    shared = set(pooled)
    return tuple(pooled[0] if code in shared else code for code in range(size))
