"""Random tables and every kind of estimator that is compiled, for the tests of the export."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import ensemble, linear_model, tree
from xgboost import XGBClassifier, XGBRegressor

from perennial.export import export_pipeline, prove
from perennial.export.runtime import session
from perennial.records import DATE_PARTS, Column
from perennial.registry.manifest import Parity
from perennial.training.preprocess import build_pipeline

Matrix = NDArray[np.float64]
Factory = Callable[[int], Any]

CLASSIFIERS: dict[str, Factory] = {
    "logistic": lambda seed: linear_model.LogisticRegression(C=10.0, max_iter=500),
    "lasso logistic": lambda seed: linear_model.LogisticRegression(l1_ratio=1.0, solver="saga", random_state=seed),
    "one versus rest": lambda seed: linear_model.SGDClassifier(loss="log_loss", random_state=seed),
    "tree": lambda seed: tree.DecisionTreeClassifier(random_state=seed),
    "random tree": lambda seed: tree.ExtraTreeClassifier(random_state=seed),
    "forest": lambda seed: ensemble.RandomForestClassifier(7, min_samples_leaf=1 + seed % 3, random_state=seed),
    "extra trees": lambda seed: ensemble.ExtraTreesClassifier(7, min_samples_leaf=1 + seed % 3, random_state=seed),
    "boosting": lambda seed: ensemble.GradientBoostingClassifier(n_estimators=8, random_state=seed),
    "boosting from zero": lambda seed: ensemble.GradientBoostingClassifier(
        n_estimators=4, init="zero", random_state=seed
    ),
    "histogram": lambda seed: ensemble.HistGradientBoostingClassifier(
        max_iter=8, min_samples_leaf=3, random_state=seed
    ),
    "few bins": lambda seed: ensemble.HistGradientBoostingClassifier(
        max_iter=6, max_bins=4, min_samples_leaf=3, random_state=seed
    ),
    "xgboost": lambda seed: XGBClassifier(n_estimators=8, n_jobs=1, random_state=seed),
    "xgboost forests": lambda seed: XGBClassifier(
        n_estimators=6, num_parallel_tree=2, subsample=0.7, gamma=0.5, min_child_weight=0, n_jobs=1, random_state=seed
    ),
}


def _histogram(loss: str) -> Factory:
    quantile = 0.3 if loss == "quantile" else None
    return lambda seed: ensemble.HistGradientBoostingRegressor(
        loss=loss, quantile=quantile, max_iter=8, min_samples_leaf=3, random_state=seed
    )


def _xgboost(objective: str) -> Factory:
    return lambda seed: XGBRegressor(objective=objective, n_estimators=12, n_jobs=1, random_state=seed)


REGRESSORS: dict[str, Factory] = {
    "linear": lambda seed: linear_model.LinearRegression(),
    "ridge": lambda seed: linear_model.Ridge(),
    "lasso": lambda seed: linear_model.Lasso(alpha=0.01),
    "elastic net": lambda seed: linear_model.ElasticNet(alpha=0.01),
    "tree": lambda seed: tree.DecisionTreeRegressor(random_state=seed),
    "forest": lambda seed: ensemble.RandomForestRegressor(7, random_state=seed),
    "extra trees": lambda seed: ensemble.ExtraTreesRegressor(7, random_state=seed),
    "boosting": lambda seed: ensemble.GradientBoostingRegressor(n_estimators=8, random_state=seed),
    "boosting a quantile": lambda seed: ensemble.GradientBoostingRegressor(
        loss="quantile", n_estimators=8, random_state=seed
    ),
    "histogram": _histogram("squared_error"),
    "histogram absolute": _histogram("absolute_error"),
    "histogram quantile": _histogram("quantile"),
    "xgboost": _xgboost("reg:squarederror"),
    "xgboost absolute": _xgboost("reg:absoluteerror"),
    "xgboost huber": _xgboost("reg:pseudohubererror"),
}
POSITIVE: dict[str, Factory] = {
    "poisson": lambda seed: linear_model.PoissonRegressor(),
    "gamma": lambda seed: linear_model.GammaRegressor(),
    "histogram poisson": _histogram("poisson"),
    "histogram gamma": _histogram("gamma"),
    "xgboost poisson": _xgboost("count:poisson"),
    "xgboost gamma": _xgboost("reg:gamma"),
    "xgboost tweedie": _xgboost("reg:tweedie"),
}


@dataclass(frozen=True)
class Table:
    """A matrix [rows, columns] and a signal [rows] that a model can learn from it."""

    columns: tuple[Column, ...]
    x: Matrix
    signal: Matrix

    def classes(self, count: int) -> NDArray[np.int64]:
        """Class indices by quantiles of the signal; the training part, the first three quarters, has them all."""
        y = np.digitize(self.signal, np.quantile(self.signal, np.linspace(0, 1, count + 1)[1:-1])).astype(np.int64)
        y[:count] = np.arange(count)
        return y


@st.composite
def tables(draw: st.DrawFn) -> Table:
    """Tables of 24 to 120 rows with numbers of every habit, categories, dates, and missing values."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rows = draw(st.integers(24, 120))
    columns: list[Column] = []
    values: list[Matrix] = []
    for index in range(draw(st.integers(1, 4))):
        name = f"f{index}"
        kind = draw(st.sampled_from(["number", "number", "category", "category", "date"]))
        if kind == "number":
            columns.append(Column(name, name, "number"))
            own = [_number(rng, rows, draw(st.sampled_from(NUMBERS)))]
        elif kind == "category":
            size = draw(st.sampled_from([1, 2, 3, 7, 40, 300]))
            columns.append(Column(name, name, "category", tuple(map(str, range(size)))))
            own = [rng.integers(draw(st.sampled_from([0, -1])), size, rows).astype(np.float64)]
        else:
            columns += [Column(f"{name}.{part}", name, "date", part=part) for part in DATE_PARTS]
            own = [rng.integers(low, high, rows).astype(np.float64) for low, high in DATES]
        missing = rng.random(rows) < draw(st.sampled_from([0.0, 0.0, 0.1, 0.5, 1.0]))
        values += [np.where(missing, np.nan, column) for column in own]
    x = np.stack(values, axis=1)
    known = np.where(np.abs(x) < 1e6, x, 0.0)
    signal = np.nan_to_num(known / np.maximum(1.0, np.nanmax(np.abs(known), axis=0, initial=0.0))).sum(axis=1)
    return Table(tuple(columns), x, signal + rng.normal(size=rows) * 0.3)


DATES = ((15_000, 21_000), (1, 13), (0, 7), (0, 24))
NUMBERS = ("normal", "whole", "tiny", "huge", "constant", "far from zero", "tenths", "float32", "skewed")


def _number(rng: np.random.Generator, rows: int, habit: str) -> Matrix:
    normal = rng.normal(size=rows)
    return {
        "normal": normal,
        "whole": np.rint(normal * 2),
        "tiny": normal * 1e-18,
        "huge": normal * 1e18,
        "constant": np.full(rows, normal[0]),
        "far from zero": 1e9 + normal,
        "tenths": np.round(normal * 10, 1),
        "float32": normal.astype(np.float32).astype(np.float64),
        "skewed": np.exp(normal * 5),
    }[habit]


def proven(columns: tuple[Column, ...], estimator: Any, x: Matrix, y: Any, classes: int) -> tuple[Any, bytes, Parity]:
    """Fit on the first three quarters of the rows, export, and prove on the rest: (pipeline, graph, proof)."""
    cut = len(x) * 3 // 4
    pipeline = build_pipeline(columns, estimator).fit(x[:cut], y[:cut])
    onnx = export_pipeline(pipeline, columns, classes)
    return pipeline, onnx, prove(pipeline, onnx, columns, x[cut:])


def answers(onnx: bytes, rows: Matrix) -> dict[str, Any]:
    """A graph's outputs by name."""
    runner = session(onnx)
    names = [output.name for output in runner.get_outputs()]
    return dict(zip(names, runner.run(names, {"x": rows}), strict=True))
