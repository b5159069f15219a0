"""Linear models: numbers as one matrix product, categories as rows of a table.

Standardisation stays a subtraction and a division, in the library's own order, because folding it
into the coefficients would cancel digits where a mean is large against its spread. One-hot
features never come to be: the coefficients of a column's codes are a table, looked up and added.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from perennial.export.features import FLOAT32_MAX, Feature, Indicator, Matrix, Missing, Number
from perennial.export.graph import INPUT, Graph
from perennial.export.heads import Answer, binary, one_versus_rest, regression, softmax
from perennial.records import Column

IDENTITY = (
    "LinearRegression", "Ridge", "RidgeCV", "Lasso", "LassoCV", "ElasticNet", "ElasticNetCV", "LassoLars", "Lars",
    "BayesianRidge", "ARDRegression", "HuberRegressor", "QuantileRegressor", "TheilSenRegressor", "SGDRegressor",
    "OrthogonalMatchingPursuit", "LinearSVR",
)  # fmt: skip
LOG = ("PoissonRegressor", "GammaRegressor")
SOFTMAX = ("LogisticRegression", "LogisticRegressionCV", "LinearDiscriminantAnalysis")
ONE_VERSUS_REST = ("SGDClassifier",)
NAMES = frozenset((*IDENTITY, *LOG, *SOFTMAX, *ONE_VERSUS_REST))


@dataclass(frozen=True)
class _Weights:
    """Coefficients sorted by what they multiply; the second axis is the outputs."""

    numbers: dict[int, tuple[Number, Matrix]]
    missing: dict[int, Matrix]
    tables: dict[int, Matrix]


def emit_linear(graph: Graph, estimator: Any, features: Sequence[Feature], columns: Sequence[Column]) -> Answer:
    """Add a fitted linear model's answer to the graph."""
    name = type(estimator).__name__
    coefficients = np.atleast_2d(np.asarray(estimator.coef_, dtype=np.float64)).T
    intercept = np.broadcast_to(np.asarray(estimator.intercept_, dtype=np.float64).ravel(), coefficients.shape[1:])
    raw = emit_scores(graph, features, columns, coefficients, intercept)
    if not hasattr(estimator, "classes_"):
        return regression(graph, raw, "log" if name in LOG else "identity")
    if coefficients.shape[1] == 1:
        return binary(graph, raw)
    return one_versus_rest(graph, raw) if name in ONE_VERSUS_REST else softmax(graph, raw)


def emit_scores(
    graph: Graph, features: Sequence[Feature], columns: Sequence[Column], coefficients: Matrix, intercept: Matrix
) -> str:
    """Scores [N, outputs] from ``coefficients`` [features, outputs] and ``intercept`` [outputs]."""
    weights = _sorted(features, columns, coefficients)
    empty = graph.op("IsNaN", INPUT)
    filled = _filled(graph, weights, columns, empty)
    total = _numbers(graph, weights, columns, filled, intercept)
    if weights.missing:
        matrix = np.zeros((len(columns), len(intercept)))
        for column, weight in weights.missing.items():
            matrix[column] = weight
        total = graph.op("Add", total, graph.op("MatMul", graph.cast(empty, "float64"), graph.constant(matrix)))
    return graph.op("Add", total, _lookups(graph, weights, filled)) if weights.tables else total


def _sorted(features: Sequence[Feature], columns: Sequence[Column], coefficients: Matrix) -> _Weights:
    found = _Weights({}, {}, {})
    for feature, weight in zip(features, coefficients, strict=True):
        column = feature.column
        if isinstance(feature, Number):
            found.numbers[column] = (feature, weight)
        elif isinstance(feature, (Indicator, Missing)) and columns[column].kind == "category":
            size = len(columns[column].values) + 2  # missing, unseen, then the codes
            table = found.tables.setdefault(column, np.zeros((size, len(weight))))
            rows = [0] if isinstance(feature, Missing) else [code + 2 for code in feature.codes]
            table[rows] += weight
        elif isinstance(feature, Missing):
            found.missing[column] = weight
    return found


def _filled(graph: Graph, weights: _Weights, columns: Sequence[Column], empty: str) -> str:
    """The input without NaN: a number's fill, and -2 for a category, which is its table's first row."""
    fill = np.zeros((1, len(columns)))
    for column, (number, _) in weights.numbers.items():
        fill[0, column] = number.fill or 0.0
    fill[0, list(weights.tables)] = -2.0
    return graph.op("Where", empty, graph.constant(fill), INPUT)


def _numbers(graph: Graph, weights: _Weights, columns: Sequence[Column], filled: str, intercept: Matrix) -> str:
    """The numbers' share of the scores and the intercept. Gemm, since onnxruntime folds a scalar division into a
    MatMul as a float32 factor."""
    mean, scale, matrix = np.zeros(len(columns)), np.ones(len(columns)), np.zeros((len(columns), len(intercept)))
    for column, (number, weight) in weights.numbers.items():
        mean[column], scale[column], matrix[column] = number.mean, number.scale, weight
    bounded = graph.op("Clip", filled, graph.constant(-FLOAT32_MAX), graph.constant(FLOAT32_MAX))
    standard = graph.op("Div", graph.op("Sub", bounded, graph.constant(mean)), graph.constant(scale))
    return graph.op("Gemm", standard, graph.constant(matrix), graph.constant(intercept))


def _lookups(graph: Graph, weights: _Weights, filled: str) -> str:
    starts = np.cumsum([0, *(len(table) for table in weights.tables.values())])[:-1] + 2.0
    codes = _taken(graph, filled, list(weights.tables))
    place = graph.cast(graph.op("Add", codes, graph.constant(starts)), "int64")
    table = np.concatenate(list(weights.tables.values()))
    if table.shape[1] > 1:
        rows = graph.op("Gather", graph.constant(table), place, axis=0)
        return graph.op("ReduceSum", rows, graph.constant([1], np.int64), keepdims=0)
    rows = graph.op("Gather", graph.constant(table[:, 0]), place, axis=0)
    return graph.op("MatMul", rows, graph.constant(np.ones((len(starts), 1))))  # in a tenth of ReduceSum's time


def _taken(graph: Graph, value: str, columns: Sequence[int]) -> str:
    """Some columns of a matrix. Slice takes an eighth of the time of Gather, and needs them side by side."""
    first, last = columns[0], columns[-1]
    if list(columns) != list(range(first, last + 1)):
        return graph.op("Gather", value, graph.constant(list(columns), np.int64), axis=1)
    start, end, axis = (graph.constant([place], np.int64) for place in (first, last + 1, 1))
    return graph.op("Slice", value, start, end, axis)
