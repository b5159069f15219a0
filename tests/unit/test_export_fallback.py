"""Estimators that are not compiled here: converted behind our own preprocessing, or refused with the reason."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from sklearn.linear_model import LinearRegression

from perennial.errors import ExportError
from perennial.export import export_pipeline, prove
from perennial.export.fallback import emit_features
from perennial.export.features import evaluate
from perennial.export.graph import Graph
from perennial.records import Column
from perennial.training.allowed import resolve
from perennial.training.preprocess import build_pipeline
from tests.support.pipelines import answers, proven

pytestmark = pytest.mark.filterwarnings("ignore")
COLUMNS = (
    Column("a", "a", "number"),
    Column("b", "b", "number"),
    Column("c", "c", "category", tuple("pqrs")),
)


@pytest.fixture(scope="module")
def data() -> tuple[np.ndarray, np.ndarray]:
    """200 rows with missing cells, and a signal in them."""
    rng = np.random.default_rng(0)
    x = np.stack(
        [rng.normal(size=200), rng.normal(size=200) * 50 + 1000, rng.integers(0, 4, 200).astype(float)], axis=1
    )
    x[rng.random(x.shape) < 0.06] = np.nan
    known = np.nan_to_num(x)
    return x, known[:, 0] + 0.5 * known[:, 2] + rng.normal(size=200) * 0.3


@pytest.mark.parametrize(
    "path",
    [
        "sklearn.naive_bayes.GaussianNB",
        "sklearn.naive_bayes.BernoulliNB",
        "sklearn.neural_network.MLPClassifier",
        "sklearn.ensemble.AdaBoostClassifier",
        "sklearn.ensemble.BaggingClassifier",
        "sklearn.discriminant_analysis.LinearDiscriminantAnalysis",
        "sklearn.calibration.CalibratedClassifierCV",
        "sklearn.dummy.DummyClassifier",
    ],
)
@pytest.mark.parametrize("classes", [2, 3])
def test_other_classifiers(path: str, classes: int, data: tuple[np.ndarray, np.ndarray]) -> None:
    x, signal = data
    y = np.digitize(signal, np.quantile(signal, np.linspace(0, 1, classes + 1)[1:-1])).astype(np.int64)
    pipeline, graph, proof = proven(COLUMNS, resolve(path, {}, 0), x, y, classes)
    assert proof.changed_classes == 0
    assert answers(graph, x)["label"].tolist() == pipeline.predict(x).tolist()
    onnx.checker.check_model(onnx.load_from_string(graph))


@pytest.mark.parametrize(
    "path",
    [
        "sklearn.neural_network.MLPRegressor",
        "sklearn.ensemble.AdaBoostRegressor",
        "sklearn.ensemble.BaggingRegressor",
        "sklearn.linear_model.TweedieRegressor",
        "sklearn.cross_decomposition.PLSRegression",
        "sklearn.dummy.DummyRegressor",
    ],
)
def test_other_regressors(path: str, data: tuple[np.ndarray, np.ndarray]) -> None:
    x, signal = data
    pipeline, graph, _ = proven(COLUMNS, resolve(path, {}, 0), x, signal, 0)
    assert np.allclose(answers(graph, x)["value"], pipeline.predict(x), rtol=1e-6)


@pytest.mark.parametrize(
    ("path", "params", "reason"),
    [
        ("sklearn.linear_model.RidgeClassifier", {}, "no probabilities"),
        ("sklearn.linear_model.SGDClassifier", {"loss": "hinge"}, "no probabilities"),
        ("sklearn.svm.LinearSVC", {}, "no probabilities"),
        ("sklearn.dummy.DummyClassifier", {"strategy": "uniform"}, "at random"),
        ("sklearn.gaussian_process.GaussianProcessClassifier", {}, "cannot be converted"),
        ("xgboost.XGBClassifier", {"booster": "dart", "n_estimators": 3}, "booster 'dart'"),
        ("xgboost.XGBClassifier", {"booster": "gblinear", "n_estimators": 3}, "booster 'gblinear'"),
        ("xgboost.XGBClassifier", {"objective": "binary:hinge", "n_estimators": 3}, "objective 'binary:hinge'"),
        ("xgboost.XGBClassifier", {"missing": 7.0, "n_estimators": 3}, "missing marker"),
    ],
)
def test_what_cannot_be_exported_is_refused(
    path: str, params: dict[str, object], reason: str, data: tuple[np.ndarray, np.ndarray]
) -> None:
    x, signal = data
    pipeline = build_pipeline(COLUMNS, resolve(path, params, 0)).fit(x, (signal > 0.5).astype(np.int64))
    with pytest.raises(ExportError, match=reason) as refused:
        export_pipeline(pipeline, COLUMNS, 2)
    assert refused.value.remedy


def test_an_unfaithful_conversion_is_refused(data: tuple[np.ndarray, np.ndarray]) -> None:
    """Nearest neighbours choose among equals as they please: far out, all rows are equally near."""
    x, signal = data
    pipeline = build_pipeline(COLUMNS, resolve("sklearn.neighbors.KNeighborsRegressor", {}, 0)).fit(x, signal)
    graph = export_pipeline(pipeline, COLUMNS, 0)
    with pytest.raises(ExportError, match="not faithful"):
        prove(pipeline, graph, COLUMNS, x)


def test_explicit_features_are_the_encoders() -> None:
    """Every kind of symbol, pooled categories among them, as the estimator sees it."""
    rng = np.random.default_rng(1)
    columns = (*COLUMNS, Column("d", "d", "category", tuple(map(str, range(400)))))
    x = np.stack([rng.normal(size=900), np.full(900, 2.0), rng.integers(-1, 4, 900).astype(float),
                  rng.integers(0, 400, 900).astype(float)], axis=1)  # fmt: skip
    x[rng.random(x.shape) < 0.1] = np.nan
    features = build_pipeline(columns, LinearRegression()).fit(x, rng.normal(size=900))["encode"].features_
    assert len({type(feature) for feature in features}) == 3
    graph = Graph(len(columns))
    got = answers(graph.finish({"z": (emit_features(graph, features, columns), "float64", len(features))}), x)["z"]
    assert (got == evaluate(features, x, np.float64)).all()
