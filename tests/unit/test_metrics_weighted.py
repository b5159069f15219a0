"""Our metrics are scikit-learn's: on plain rows, under weights, and with ties."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from perennial.serving.predictor import Scores
from perennial.spec import METRICS, Task
from perennial.training.answers import Answers, Floats
from perennial.training.bootstrap import FEWEST_RESAMPLES, RESAMPLES, intervals, resample_count, resamples
from perennial.training.metrics import measure, measure_all, prepare


def classified(rows: int, classes: int, seed: int, digits: int = 2) -> Answers:
    """Random answers, better than chance, rounded so that scores tie."""
    generator = np.random.default_rng(seed)
    truth = generator.integers(0, classes, rows)
    raw = generator.random((rows, classes)).round(digits) + 0.01
    raw[np.arange(rows), truth] += generator.random(rows).round(digits)
    probabilities = raw / raw.sum(axis=1, keepdims=True)
    if classes == 2:
        probabilities[:, 1] = probabilities[:, 1].round(digits)
        probabilities[:, 0] = 1 - probabilities[:, 1]
    return Answers.of(truth.astype(float), Scores(probabilities.argmax(axis=1), probabilities, None))


def regressed(rows: int, seed: int) -> Answers:
    generator = np.random.default_rng(seed)
    truth = generator.normal(100.0, 5.0, rows)
    return Answers.of(truth, Scores(None, None, truth + generator.normal(0, 2, rows)))


def reference(task: Task, name: str) -> Callable[[Answers, Floats], float]:
    """The same metric in scikit-learn's words."""
    average = "binary" if task == "binary" else "macro"
    by_name: dict[str, Callable[[Answers, Floats], float]] = {
        "accuracy": lambda a, w: sk.accuracy_score(a.truth, a.labels, sample_weight=w),
        "balanced_accuracy": lambda a, w: sk.balanced_accuracy_score(a.truth, a.labels, sample_weight=w),
        "f1": lambda a, w: sk.f1_score(a.truth, a.labels, sample_weight=w, average=average),
        "precision": lambda a, w: sk.precision_score(a.truth, a.labels, sample_weight=w, average=average),
        "recall": lambda a, w: sk.recall_score(a.truth, a.labels, sample_weight=w, average=average),
        "log_loss": lambda a, w: sk.log_loss(a.truth, a.probabilities, sample_weight=w, labels=range(a.classes)),
        "brier_score": lambda a, w: sk.brier_score_loss(a.truth, a.probabilities[:, 1], sample_weight=w),
        "average_precision": lambda a, w: sk.average_precision_score(a.truth, a.probabilities[:, 1], sample_weight=w),
        "mean_absolute_error": lambda a, w: sk.mean_absolute_error(a.truth, a.values, sample_weight=w),
        "root_mean_squared_error": lambda a, w: sk.root_mean_squared_error(a.truth, a.values, sample_weight=w),
        "r2": lambda a, w: sk.r2_score(a.truth, a.values, sample_weight=w),
        "roc_auc": lambda a, w: (
            sk.roc_auc_score(a.truth, a.probabilities[:, 1], sample_weight=w)
            if task == "binary"
            else sk.roc_auc_score(a.truth, a.probabilities, sample_weight=w, multi_class="ovr", average="macro")
        ),
    }
    return by_name[name]


CASES = [(task, name) for task in METRICS for name in METRICS[task]]


def answers_for(task: Task, rows: int, seed: int) -> Answers:
    if task == "regression":
        return regressed(rows, seed)
    return classified(rows, 2 if task == "binary" else 4, seed)


@pytest.mark.parametrize(("task", "name"), CASES)
def test_a_metric_is_scikit_learns_under_any_weights(task: Task, name: str) -> None:
    answers = answers_for(task, 300, seed=5)
    generator = np.random.default_rng(1)
    weights = np.vstack([np.ones(300), generator.integers(0, 4, (3, 300)).astype(float)])
    found = prepare(name, task, answers)(weights)
    for row, value in zip(weights, found, strict=True):
        assert value == pytest.approx(reference(task, name)(answers, row), abs=1e-12)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(rows=st.integers(2, 40), seed=st.integers(0, 10_000), digits=st.integers(0, 3))
def test_the_curves_areas_hold_for_any_ties(rows: int, seed: int, digits: int) -> None:
    answers = classified(rows, 2, seed, digits)
    if len(np.unique(answers.truth)) < 2:
        assert np.isnan(measure("roc_auc", "binary", answers))
        return
    ones = np.ones(rows)
    for name in ("roc_auc", "average_precision"):
        expected = reference("binary", name)(answers, ones)
        assert measure(name, "binary", answers) == pytest.approx(expected, abs=1e-12)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(rows=st.integers(1, 25), classes=st.integers(2, 6), seed=st.integers(0, 10_000))
def test_the_counted_metrics_hold_when_classes_are_absent(rows: int, classes: int, seed: int) -> None:
    answers = classified(rows, classes, seed)
    for name in ("f1", "precision", "recall", "balanced_accuracy"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = reference("multiclass", name)(answers, np.ones(rows))
        assert measure(name, "multiclass", answers) == pytest.approx(expected, abs=1e-12)


def test_a_weight_is_a_repetition() -> None:
    answers = classified(60, 3, seed=2)
    counts = np.random.default_rng(3).integers(0, 3, 60)
    repeated = answers.take(np.repeat(np.arange(60), counts))
    for name in METRICS["multiclass"]:
        weighted = prepare(name, "multiclass", answers)(counts[None, :].astype(float))[0]
        assert weighted == pytest.approx(measure(name, "multiclass", repeated), abs=1e-12)


def test_what_is_undefined_is_left_out() -> None:
    one_class = classified(30, 2, seed=0).take(np.flatnonzero(classified(30, 2, seed=0).truth == 1))
    assert not {"roc_auc"} & set(measure_all("binary", one_class))
    constant = Answers.of(np.full(9, 3.3), Scores(None, None, np.linspace(3, 4, 9)))
    assert set(measure_all("regression", constant)) == {"mean_absolute_error", "root_mean_squared_error"}


def test_a_certain_and_wrong_answer_has_a_finite_log_loss() -> None:
    wrong = Answers.of(np.array([1.0, 0.0]), Scores(np.array([0, 0]), np.array([[1.0, 0.0], [1.0, 0.0]]), None))
    assert measure("log_loss", "binary", wrong) == pytest.approx(-np.log(np.finfo(float).eps) / 2)


def test_resamples_draw_every_row_once_on_average_and_repeat_exactly() -> None:
    drawn = np.vstack(list(resamples(5_000, seed=7)))
    assert drawn.shape == (RESAMPLES, 5_000)
    assert (drawn.sum(axis=1) == 5_000).all()
    assert drawn.mean(axis=0) == pytest.approx(1.0, abs=0.25)
    assert np.array_equal(drawn, np.vstack(list(resamples(5_000, seed=7))))
    assert not np.array_equal(drawn, np.vstack(list(resamples(5_000, seed=8))))


def test_the_interval_of_an_accuracy_is_that_of_a_share() -> None:
    """For a mean of n hits the bootstrap must come close to the normal interval, p ± 1.96 √(p(1-p)/n)."""
    generator = np.random.default_rng(0)
    truth = np.zeros(4_000)
    labels = (generator.random(4_000) < 0.2).astype(np.int64)
    metric = intervals("binary", Answers.of(truth, Scores(labels, np.eye(2)[labels], None)), seed=1)["accuracy"]
    half = 1.96 * np.sqrt(metric.value * (1 - metric.value) / 4_000)
    assert metric.low == pytest.approx(metric.value - half, abs=half * 0.15)
    assert metric.high == pytest.approx(metric.value + half, abs=half * 0.15)


def test_an_interval_most_resamples_cannot_define_is_left_out() -> None:
    truth = np.zeros(3)
    truth[0] = 1.0
    probabilities = np.array([[0.2, 0.8], [0.9, 0.1], [0.8, 0.2]])
    both = intervals("binary", Answers.of(truth, Scores(probabilities.argmax(axis=1), probabilities, None)), seed=0)
    assert both["roc_auc"].low is not None  # drawn with both classes in 70 % of resamples
    alone = Answers.of(np.ones(1), Scores(np.ones(1, dtype=np.int64), np.array([[0.2, 0.8]]), None))
    assert "roc_auc" not in intervals("binary", alone, seed=0)


def test_the_work_of_the_bootstrap_is_bounded() -> None:
    assert resample_count(classified(30_000, 10, seed=0)) == RESAMPLES
    assert resample_count(classified(5_000, 200, seed=0)) == 150
    many = Answers.of(np.zeros(2_000_000), Scores(None, None, np.zeros(2_000_000)))
    assert resample_count(many) == FEWEST_RESAMPLES
