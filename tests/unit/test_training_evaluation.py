"""The evaluation: metrics, slices, importance and the data of charts are what they claim to be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, roc_auc_score, roc_curve

from perennial.datasets.load import Rows
from perennial.errors import TrainingError
from perennial.serving.predictor import Scores
from perennial.spec import SlicePolicy
from perennial.training.answers import Answers, Floats
from perennial.training.curves import POINTS, classification_charts, regression_charts
from perennial.training.evaluate import evaluate
from perennial.training.evaluation import Evaluation, MatrixChart, XYChart
from perennial.training.importance import ROWS, importance
from perennial.training.metrics import measure
from perennial.training.slices import MISSING_GROUP, UNKNOWN_GROUP
from tests.support import training as cases
from tests.support.training import Problem


class Rule:
    """A model that is a formula: the probability of the last class, from the first column alone."""

    def run(self, x: Floats) -> Scores:
        positive = 1 / (1 + np.exp(-3 * np.nan_to_num(x[:, 0])))
        return Scores((positive > 0.5).astype(np.int64), np.column_stack([1 - positive, positive]), None)


class Line:
    """A regression that is a formula of the first column."""

    def run(self, x: Floats) -> Scores:
        return Scores(None, None, 2.0 * x[:, 0])


def charts_of(found: Evaluation) -> dict[str, object]:
    return {chart.name: chart for chart in found.charts}


@pytest.fixture(scope="module")
def binary() -> tuple[Problem, Evaluation]:
    problem = cases.mixed(2_000)
    return problem, evaluate(Rule(), problem.holdout, problem.spec, problem.classes, seed=1)


def test_a_binary_evaluation_measures_everything(binary: tuple[Problem, Evaluation]) -> None:
    problem, found = binary
    scores = Rule().run(problem.holdout.x).probabilities
    assert scores is not None
    auc = found.metrics["roc_auc"]
    assert auc.value == pytest.approx(roc_auc_score(problem.holdout.y, scores[:, 1]), abs=1e-12)
    assert auc.low is not None and auc.high is not None
    assert auc.low < auc.value < auc.high
    assert set(found.metrics) == {
        "roc_auc", "average_precision", "accuracy", "balanced_accuracy", "f1", "precision", "recall", "log_loss",
        "brier_score",
    }  # fmt: skip
    assert [chart.name for chart in found.charts] == [
        "roc",
        "precision_recall",
        "confusion",
        "calibration",
        "importance",
    ]
    assert found.rows == len(problem.holdout.y)


def test_an_evaluation_repeats_exactly_and_reads_back(binary: tuple[Problem, Evaluation]) -> None:
    problem, found = binary
    again = evaluate(Rule(), problem.holdout, problem.spec, problem.classes, seed=1)
    assert again.to_bytes() == found.to_bytes()
    assert Evaluation.model_validate_json(found.to_bytes()) == found


def test_slices_split_the_holdout_by_group(binary: tuple[Problem, Evaluation]) -> None:
    problem, found = binary
    colors = {one.group: one for one in found.slices["color"]}
    assert set(colors) == {"red", "green", "blue", UNKNOWN_GROUP, MISSING_GROUP}
    assert sum(one.rows for one in colors.values()) == len(problem.holdout.y)
    red = problem.holdout.x[:, 1] == 0
    scores = Rule().run(problem.holdout.x[red])
    assert colors["red"].rows == red.sum()
    assert colors["red"].metrics["accuracy"] == np.mean(scores.labels == problem.holdout.y[red])


def test_a_group_of_one_class_has_only_the_metrics_it_defines() -> None:
    problem = cases.mixed()
    holdout = problem.holdout
    y = np.where(holdout.x[:, 2] == 0, 1.0, holdout.y)
    found = evaluate(Rule(), replace(holdout, y=y), problem.spec, problem.classes, seed=1)
    group = next(one for one in found.slices["group"] if one.group == "a")
    assert "roc_auc" not in group.metrics
    assert group.metrics["accuracy"] > 0


def test_a_column_the_gate_names_is_sliced_however_many_values_it_has() -> None:
    problem = cases.mixed()
    values = tuple(f"v{i}" for i in range(40))
    color = problem.spec.features["color"].model_copy(update={"values": ("red", "green", "blue", *values)})
    features = {**problem.spec.features, "color": color}
    wide = problem.having(features=features)
    assert "color" not in evaluate(Rule(), wide.holdout, wide.spec, wide.classes, seed=1).slices
    gate = wide.spec.gate.model_copy(update={"slices": {"color": SlicePolicy(maximum_gap=0.1)}})
    gated = wide.having(gate=gate)
    assert "color" in evaluate(Rule(), gated.holdout, gated.spec, gated.classes, seed=1).slices


def test_only_the_feature_a_model_uses_is_important(binary: tuple[Problem, Evaluation]) -> None:
    _, found = binary
    assert found.importance[0].feature == "number"
    assert found.importance[0].mean > 0.1
    assert {one.feature: one.mean for one in found.importance[1:]} == {"color": 0.0, "group": 0.0, "day": 0.0}


def test_importance_of_a_loss_is_positive_too_and_its_rows_are_bounded() -> None:
    rows = 3 * ROWS
    x = np.random.default_rng(0).normal(size=rows)
    spec = cases.spec_of("regression", {"x": {"type": "number"}, "z": {"type": "number"}})
    found, drawn = importance(Line(), spec, np.column_stack([x, x]), 2 * x, seed=0)
    assert drawn == ROWS
    assert found[0].feature == "x"
    assert found[0].mean > 1
    assert found[1].mean == 0


def test_a_roc_curve_is_scikit_learns(binary: tuple[Problem, Evaluation]) -> None:
    problem, found = binary
    chart = charts_of(found)["roc"]
    assert isinstance(chart, XYChart)
    curve = chart.series[1]
    assert curve.name == "yes"
    assert (curve.x[0], curve.y[0], curve.x[-1], curve.y[-1]) == (0, 0, 1, 1)
    assert len(curve.x) <= POINTS
    scores = Rule().run(problem.holdout.x).probabilities
    assert scores is not None
    x, y, _ = roc_curve(problem.holdout.y, scores[:, 1], drop_intermediate=False)
    every = {(float(f"{a:.6g}"), float(f"{b:.6g}")) for a, b in zip(x, y, strict=True)}
    assert set(zip(curve.x, curve.y, strict=True)) <= every


def test_a_confusion_matrix_counts_every_row(binary: tuple[Problem, Evaluation]) -> None:
    problem, found = binary
    chart = charts_of(found)["confusion"]
    assert isinstance(chart, MatrixChart)
    assert chart.labels == ("no", "yes")
    labels = Rule().run(problem.holdout.x).labels
    assert np.array_equal(chart.rows, confusion_matrix(problem.holdout.y, labels))


def test_calibrated_probabilities_lie_on_the_diagonal() -> None:
    generator = np.random.default_rng(4)
    p = generator.random(40_000)
    truth = (generator.random(40_000) < p).astype(float)
    answers = Answers.of(truth, Scores((p > 0.5).astype(np.int64), np.column_stack([1 - p, p]), None))
    chart = next(chart for chart in classification_charts(answers, ("no", "yes")) if chart.name == "calibration")
    assert isinstance(chart, XYChart)
    points = chart.series[1]
    assert len(points.x) == 10
    assert np.abs(np.subtract(points.x, points.y)).max() < 0.03


def test_many_classes_are_charted_by_the_largest_and_one_score_by_one_bin() -> None:
    generator = np.random.default_rng(5)
    truth = generator.integers(0, 40, 500)
    probabilities = np.full((500, 40), 1 / 40)
    answers = Answers.of(truth.astype(float), Scores(np.zeros(500, np.int64), probabilities, None))
    charts = {chart.name: chart for chart in classification_charts(answers, tuple(f"c{i}" for i in range(40)))}
    assert "confusion" not in charts
    roc, calibration = charts["roc"], charts["calibration"]
    assert isinstance(roc, XYChart) and isinstance(calibration, XYChart)
    assert len(roc.series) == 9
    assert len(calibration.series[1].x) == 1


def test_a_regression_evaluation_measures_everything() -> None:
    problem = cases.diabetes()
    found = evaluate(Line(), problem.holdout, problem.spec, (), seed=1)
    assert set(found.metrics) == {"mean_absolute_error", "root_mean_squared_error", "r2"}
    assert [chart.name for chart in found.charts] == ["predicted", "residuals", "calibration", "importance"]


def test_residuals_are_true_less_predicted() -> None:
    answers = Answers.of(np.array([1.0, 5.0]), Scores(None, None, np.array([2.0, 3.0])))
    residuals = regression_charts(answers, "y", seed=0)[1]
    assert isinstance(residuals, XYChart)
    assert set(zip(residuals.series[1].x, residuals.series[1].y, strict=True)) == {(2.0, -1.0), (3.0, 2.0)}


def test_a_holdout_that_cannot_be_judged_says_so() -> None:
    problem = cases.mixed()
    holdout = problem.holdout
    one_class = Rows(holdout.x, np.zeros(len(holdout.y)), holdout.table)
    with pytest.raises(TrainingError, match=r"roc_auc is undefined on the 80 holdout rows: all are 'no'"):
        evaluate(Rule(), one_class, problem.spec, problem.classes, seed=1)
    by_accuracy = problem.having(metric="accuracy")
    found = evaluate(Rule(), one_class, by_accuracy.spec, problem.classes, seed=1)
    assert "roc_auc is undefined: all are 'no'" in found.notes
    assert "roc" not in charts_of(found)


def test_an_answer_that_is_no_number_is_no_answer() -> None:
    class Overflowing(Line):
        def run(self, x: Floats) -> Scores:
            return Scores(None, None, np.where(x[:, 0] > x[0, 0], np.inf, x[:, 0]))

    problem = cases.diabetes()
    with pytest.raises(TrainingError, match="no finite answer for"):
        evaluate(Overflowing(), problem.holdout, problem.spec, (), seed=1)


def test_a_perfect_ranking_has_an_area_of_one() -> None:
    truth = np.array([0.0, 0.0, 1.0, 1.0])
    p = np.array([0.1, 0.2, 0.8, 0.9])
    answers = Answers.of(truth, Scores((p > 0.5).astype(np.int64), np.column_stack([1 - p, p]), None))
    assert measure("roc_auc", "binary", answers) == measure("average_precision", "binary", answers) == 1.0
