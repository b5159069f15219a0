"""Cases in which converters and compilers are known to go wrong, each on its own."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
import xgboost
from onnx import numpy_helper
from sklearn.datasets import load_digits, load_iris
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from xgboost import XGBClassifier

from perennial.errors import ExportError
from perennial.export import export_pipeline, prove
from perennial.records import Column
from perennial.training.preprocess import build_pipeline
from tests.support.pipelines import answers, proven

pytestmark = pytest.mark.filterwarnings("ignore")
NUMBER = (Column("a", "a", "number"),)
COLUMN_MAKERS = {
    "constant": lambda rng, n: np.full(n, 3.7),
    "all missing": lambda rng, n: np.full(n, np.nan),
    "one value and missing": lambda rng, n: np.where(rng.random(n) < 0.5, np.nan, 2.0),
}
ESTIMATORS = {
    "logistic": LogisticRegression(),
    "forest": RandomForestClassifier(5, random_state=0),
    "boosting": GradientBoostingClassifier(n_estimators=5, random_state=0),
    "histogram": HistGradientBoostingClassifier(max_iter=5, min_samples_leaf=3),
    "xgboost": XGBClassifier(n_estimators=5, n_jobs=1),
}


def category(name: str, size: int) -> Column:
    return Column(name, name, "category", tuple(map(str, range(size))))


@pytest.mark.parametrize("estimator", ESTIMATORS.values(), ids=ESTIMATORS)
@pytest.mark.parametrize("maker", COLUMN_MAKERS.values(), ids=COLUMN_MAKERS)
def test_columns_that_teach_nothing(estimator: object, maker: object) -> None:
    rng = np.random.default_rng(0)
    useless = maker(rng, 80)  # type: ignore[operator]
    x = np.stack([useless, rng.normal(size=80), np.full(80, np.nan)], axis=1)
    y = (x[:, 1] > 0).astype(np.int64)
    columns = (*NUMBER, Column("b", "b", "number"), category("c", 3))
    _, _, proof = proven(columns, estimator, x, y, 2)
    assert proof.max_difference <= 3e-7


@pytest.mark.parametrize("estimator", ESTIMATORS.values(), ids=ESTIMATORS)
def test_nothing_to_learn_from_at_all(estimator: object) -> None:
    x = np.full((40, 2), np.nan)
    pipeline, graph, _ = proven((*NUMBER, category("c", 2)), estimator, x, np.arange(40) % 2, 2)
    rows = np.array([[np.nan, 1.0], [7.0, -1.0]])
    got = answers(graph, rows)["probabilities"]
    assert (got[0] == got[1]).all()
    assert np.allclose(got, pipeline.predict_proba(rows), atol=1e-7, rtol=0)


def test_a_tie_goes_to_the_first_class_as_in_scikit_learn() -> None:
    """Two trees, one vote each; and shares of a third, whose sums round differently for the two classes."""
    x = np.repeat(np.arange(6.0), 3)[:, None]
    y = np.tile([0, 1, 1, 0, 0, 1], 3)
    for estimator in (
        DecisionTreeClassifier(max_depth=1),
        *(RandomForestClassifier(trees, max_depth=2, random_state=trees) for trees in range(2, 9)),
        *(ExtraTreesClassifier(trees, max_depth=2, random_state=trees) for trees in range(2, 9)),
    ):
        pipeline = build_pipeline(NUMBER, estimator).fit(x, y)
        got = answers(export_pipeline(pipeline, NUMBER, 2), x)
        assert (got["label"] == pipeline.predict(x)).all()
        assert (got["probabilities"] == pipeline.predict_proba(x)).all()


def test_three_classes_in_a_tie() -> None:
    x, y = np.zeros((9, 1)), np.repeat([0, 1, 2], 3)
    for estimator in (DecisionTreeClassifier(), RandomForestClassifier(3, bootstrap=False)):
        pipeline = build_pipeline(NUMBER, estimator).fit(x, y)
        assert answers(export_pipeline(pipeline, NUMBER, 3), x)["label"].tolist() == [0] * 9


def test_a_balanced_score_of_nought_is_negative_in_one_library_and_positive_in_another() -> None:
    x, y = np.zeros((10, 1)), np.arange(10) % 2
    for estimator in (
        LogisticRegression(),
        GradientBoostingClassifier(n_estimators=1),
        HistGradientBoostingClassifier(),
    ):
        pipeline = build_pipeline(NUMBER, estimator).fit(x, y)
        label = answers(export_pipeline(pipeline, NUMBER, 2), x)["label"]
        assert label.tolist() == pipeline.predict(x).tolist()


@pytest.mark.parametrize("value", [1.0, 0.1, 1 / 3, 16_777_217.0, 1e-40, 123456.789])
def test_thresholds_at_the_edge_of_float32(value: float) -> None:
    """Splits between neighbours: the midpoint is, or is not, itself a float32."""
    low = np.float32(value)
    high = np.nextafter(low, np.float32(np.inf))
    x = np.repeat([float(low), float(high)], 20)[:, None]
    y = np.repeat([0.0, 1.0], 20)
    middle = (float(low) + float(high)) / 2
    rows = np.array([float(low), middle, np.nextafter(middle, -np.inf), np.nextafter(middle, np.inf), float(high)])[
        :, None
    ]
    for estimator in (DecisionTreeRegressor(), RandomForestRegressor(3, random_state=0),
                      HistGradientBoostingRegressor(min_samples_leaf=1)):  # fmt: skip
        pipeline = build_pipeline(NUMBER, estimator).fit(x, y)
        graph = export_pipeline(pipeline, NUMBER, 0)
        assert (answers(graph, rows)["value"] == pipeline.predict(rows)).all()
        prove(pipeline, graph, NUMBER, x)


def test_numbers_beyond_float32_are_answered() -> None:
    x = np.concatenate([np.random.default_rng(1).normal(size=40), [1e300, -1e300]])[:, None]
    y = (x[:, 0] > 0).astype(np.int64)
    for estimator in ESTIMATORS.values():
        pipeline = build_pipeline(NUMBER, estimator).fit(x, y)
        graph = export_pipeline(pipeline, NUMBER, 2)
        assert prove(pipeline, graph, NUMBER, x).changed_classes == 0
        assert np.isfinite(answers(graph, x)["probabilities"]).all()


@pytest.mark.parametrize("size", [64, 65, 255, 256, 257, 3000])
@pytest.mark.parametrize("estimator", ESTIMATORS.values(), ids=ESTIMATORS)
def test_many_categories(size: int, estimator: object) -> None:
    rng = np.random.default_rng(size)
    rows = max(600, size + 100)
    codes = np.concatenate([np.arange(size), rng.integers(0, size, rows - size)]).astype(np.float64)
    x = np.stack([rng.permutation(codes), rng.normal(size=rows)], axis=1)
    y = ((x[:, 0] % 3 == 0) ^ (x[:, 1] > 0.3)).astype(np.int64)
    _, graph, proof = proven((category("c", size), Column("b", "b", "number")), estimator, x, y, 2)
    assert proof.max_difference <= 3e-7
    assert len(graph) < 2_000_000


def test_missing_seen_only_when_predicting() -> None:
    rng = np.random.default_rng(2)
    x = np.stack([rng.normal(size=90), rng.integers(0, 4, 90).astype(np.float64)], axis=1)
    y = (x[:, 0] + x[:, 1] > 1).astype(np.int64)
    odd = np.array([[np.nan, 1.0], [0.3, np.nan], [np.nan, np.nan], [0.3, -1.0]])
    columns = (*NUMBER, category("c", 5))
    for estimator in ESTIMATORS.values():
        pipeline = build_pipeline(columns, estimator).fit(x, y)
        got = answers(export_pipeline(pipeline, columns, 2), odd)
        assert np.abs(got["probabilities"] - pipeline.predict_proba(odd)).max() <= 1e-7


def test_to_native_categories_unseen_is_missing() -> None:
    rng = np.random.default_rng(3)
    x = rng.integers(0, 6, (200, 1)).astype(np.float64)
    y = (x[:, 0] % 2).astype(np.int64)
    x[rng.random(200) < 0.2] = np.nan
    columns = (category("c", 8),)
    pipeline = build_pipeline(columns, HistGradientBoostingClassifier(min_samples_leaf=5)).fit(x, y)
    got = answers(export_pipeline(pipeline, columns, 2), np.array([[np.nan], [-1.0], [6.0], [7.0]]))["probabilities"]
    assert (got == got[0]).all()


def test_a_class_that_training_never_saw() -> None:
    rng = np.random.default_rng(4)
    x = rng.normal(size=(80, 1))
    y = np.where(x[:, 0] > 0, 3, 1)
    for estimator in (
        LogisticRegression(),
        RandomForestClassifier(4, random_state=0),
        HistGradientBoostingClassifier(),
    ):
        pipeline, graph, proof = proven(NUMBER, estimator, x, y, 5)
        got = answers(graph, x)
        assert got["probabilities"].shape == (80, 5)
        assert (got["probabilities"][:, [0, 2, 4]] == 0).all()
        assert (got["label"] == pipeline.predict(x)).all()
        assert proof.max_difference <= 1e-12


def test_one_column_is_not_divided_in_float32() -> None:
    """onnxruntime turns a division by one scalar before a MatMul into a float32 factor."""
    rng = np.random.default_rng(5)
    x = rng.normal(size=(100, 1)) * 7.3 + 1.7
    _, _, proof = proven(NUMBER, Ridge(), x, x[:, 0] * 4.2443363 + 1, 0)
    assert proof.max_difference <= 1e-14


def test_a_mean_far_from_zero_does_not_cancel() -> None:
    rng = np.random.default_rng(6)
    x = 1e12 + rng.normal(size=(200, 2))
    y = x[:, 0] - 1e12
    _, _, proof = proven((*NUMBER, Column("b", "b", "number")), LinearRegression(), x, y, 0)
    assert proof.max_difference <= 1e-12


def test_xgboost_near_one_half() -> None:
    """Margins so small that XGBoost's float32 probability is exactly one half are the negative class."""
    x, y = np.array([[0.0], [1.0]] * 20), np.array([0, 1] * 20)
    pipeline = build_pipeline(NUMBER, XGBClassifier(n_estimators=1, max_depth=1, base_score=0.5, n_jobs=1)).fit(x, y)
    state = json.loads(bytes(pipeline[-1].get_booster().save_raw("json")))
    seen = set()
    for margin in np.geomspace(2e-8, 3e-7, 60).astype(np.float32):
        state["learner"]["gradient_booster"]["model"]["trees"][0]["split_conditions"][1:] = [
            -float(margin),
            float(margin),
        ]
        pipeline[-1].get_booster().load_model(bytearray(json.dumps(state).encode()))
        label = answers(export_pipeline(pipeline, NUMBER, 2), x)["label"]
        assert label.tolist() == pipeline.predict(x).tolist(), margin
        seen |= set(label.tolist())
    assert seen == {0, 1}


def test_xgboost_margins_agree_to_the_bit() -> None:
    rng = np.random.default_rng(7)
    x = rng.normal(size=(300, 2))
    columns = (*NUMBER, Column("b", "b", "number"))
    for objective, y in (("count:poisson", rng.poisson(3, 300)), ("reg:gamma", rng.gamma(2, size=300)),
                         ("reg:squarederror", rng.normal(size=300) * 1e4)):  # fmt: skip
        model = xgboost.XGBRegressor(objective=objective, n_estimators=300, max_depth=3, n_jobs=1)
        pipeline = build_pipeline(columns, model).fit(x, y)
        graph = onnx.load_from_string(export_pipeline(pipeline, columns, 0))
        ensemble = next(node for node in graph.graph.node if node.op_type == "TreeEnsemble")
        graph.graph.node.append(onnx.helper.make_node("Identity", [ensemble.output[0]], ["margin"]))
        graph.graph.output.append(onnx.helper.make_tensor_value_info("margin", onnx.TensorProto.FLOAT, ["N", 1]))
        margin = answers(graph.SerializeToString(), x)["margin"][:, 0]
        data = xgboost.DMatrix(x.astype(np.float32))
        assert (margin == pipeline[-1].get_booster().predict(data, output_margin=True)).all()


def test_thousands_of_trees_stay_compact() -> None:
    x, y = load_iris(return_X_y=True)
    columns = tuple(Column(name, name, "number") for name in "abcd")
    model = HistGradientBoostingClassifier(max_iter=1000, max_leaf_nodes=4, random_state=0)
    _, graph, proof = proven(columns, model, x[::-1], y[::-1] * 0 + (y[::-1] > 0), 2)
    assert proof.changed_classes == 0
    assert len(graph) < 400_000


def test_equal_subtrees_collapse_for_each_class() -> None:
    """Ten copies of a forest would be ten times its splits; most of each copy says nought."""
    x, y = load_digits(return_X_y=True)
    columns = tuple(Column(f"p{index}", f"p{index}", "number") for index in range(64))
    pipeline, graph, proof = proven(columns, RandomForestClassifier(10, random_state=0), x, y, 10)
    node = next(node for node in onnx.load_from_string(graph).graph.node if node.op_type == "TreeEnsemble")
    modes = next(each for each in node.attribute if each.name == "nodes_modes")
    splits = sum(int((tree.tree_.feature >= 0).sum()) for tree in pipeline[-1].estimators_)
    assert len(numpy_helper.to_array(modes.t)) < 5 * splits
    assert proof.max_difference == 0.0


def test_only_the_two_domains() -> None:
    x, y = load_iris(return_X_y=True)
    columns = tuple(Column(name, name, "number") for name in "abcd")
    for estimator in ESTIMATORS.values():
        pipeline = build_pipeline(columns, estimator).fit(x, y)
        model = onnx.load_from_string(export_pipeline(pipeline, columns, 3))
        onnx.checker.check_model(model, full_check=False)
        assert {node.domain for node in model.graph.node} <= {"", "ai.onnx.ml"}
        assert [(each.name, each.type.tensor_type.elem_type) for each in model.graph.output] == [
            ("label", onnx.TensorProto.INT64),
            ("probabilities", onnx.TensorProto.DOUBLE),
        ]


def test_a_wrong_pipeline_is_refused() -> None:
    x, y = np.zeros((6, 1)), np.arange(6) % 2
    with pytest.raises(ExportError, match="build_pipeline"):
        export_pipeline(DecisionTreeClassifier().fit(x, y), NUMBER, 2)
    with pytest.raises(ExportError, match="build_pipeline"):
        export_pipeline(build_pipeline(NUMBER, DecisionTreeClassifier()), NUMBER, 2)
    with pytest.raises(ExportError, match="class indices from 0"):
        export_pipeline(build_pipeline(NUMBER, DecisionTreeClassifier()).fit(x, y + 5), NUMBER, 2)


def test_a_large_forest_is_one_operator_a_class(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loading and running is then twice as fast; the answers are the same to the bit."""
    x, y = load_digits(return_X_y=True)
    columns = tuple(Column(f"p{index}", f"p{index}", "number") for index in range(64))
    for estimator, classes in (
        (RandomForestClassifier(4, random_state=0), 10),
        (RandomForestRegressor(4, random_state=0), 0),
    ):
        pipeline = build_pipeline(columns, estimator).fit(x, y)
        small = answers(export_pipeline(pipeline, columns, classes), x)
        with monkeypatch.context() as patched:
            patched.setattr("perennial.export.emit.LARGE", 0)
            graph = export_pipeline(pipeline, columns, classes)
        operators = [node for node in onnx.load_from_string(graph).graph.node if node.op_type == "TreeEnsemble"]
        assert len(operators) == max(1, classes)
        large = answers(graph, x)
        assert all((large[name] == small[name]).all() for name in small)
