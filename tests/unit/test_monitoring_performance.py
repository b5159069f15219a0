"""Performance: measured on the champion's own answers, with its interval, and unknown where too little is known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import accuracy_score, mean_absolute_error, roc_auc_score

from perennial.datasets.arrow import arrow_schema
from perennial.monitoring.columns import about_schema
from perennial.monitoring.observed import Labelled
from perennial.monitoring.performance import measure_performance
from perennial.monitoring.results import MetricNow, PerformanceReport
from perennial.registry.manifest import Metric, ModelManifest
from perennial.spec import ModelSpec
from tests.support.versions import version

HOLDOUT = {"accuracy": Metric(value=0.9), "mean_absolute_error": Metric(value=1.0)}


def make_spec(task: str = "binary", **performance: float) -> ModelSpec:
    return ModelSpec.model_validate(
        {
            "name": "churn",
            "task": task,
            "target": {"column": "y"},
            "features": {"x": {"type": "number"}},
            "metric": "mean_absolute_error" if task == "regression" else "accuracy",
            "candidates": {"linear": {"estimator": "sklearn.linear_model.LogisticRegression"}},
            "retrain": {"performance": performance} if performance else {},
        }
    )


def champion(spec: ModelSpec) -> ModelManifest:
    classes = {"binary": ("no", "yes"), "multiclass": ("a", "b", "c"), "regression": ()}[spec.task]
    return version(spec=spec, classes=classes, metrics=HOLDOUT)[0]


def labelled(spec: ModelSpec, truth: Any, answers: Any, chances: Any = None, versions: Any = None) -> Labelled:
    rows = len(truth)
    about = {
        "prediction_id": [str(i) for i in range(rows)],
        "version": versions or [champion(spec).version] * rows,
        "time": [None] * rows,
        "prediction": answers,
        "probabilities": chances if chances is not None else [None] * rows,
    }
    return Labelled(
        rows=pa.table({"x": np.zeros(rows), "y": truth}, schema=arrow_schema(spec)),
        about=pa.table(about, schema=about_schema(spec)).append_column("source", pa.array(["feedback"] * rows)),
        unmatched=0,
        contradicted=0,
    )


def binary(spec: ModelSpec, rows: int, right: float, seed: int = 0) -> Labelled:
    """Predictions of which the share ``right`` is right; the classes of a map stand in no particular order."""
    generator = np.random.default_rng(seed)
    truth = generator.random(rows) < 0.5
    answers = np.where(generator.random(rows) < right, truth, ~truth)
    yes = np.where(answers, 0.5 + generator.random(rows) / 2, generator.random(rows) / 2)
    chances = [[("yes", float(p)), ("no", float(1 - p))] for p in yes]
    words = np.array(["no", "yes"])
    return labelled(spec, words[truth.astype(int)], words[answers.astype(int)], chances)


def of(report: PerformanceReport, metric: str) -> MetricNow:
    return next(each for each in report.metrics if each.metric == metric)


def test_metrics_are_those_of_scikit_learn_with_an_interval_around_them() -> None:
    spec = make_spec(accuracy=0.5)
    found = binary(spec, 300, 0.8)
    report = measure_performance(spec, champion(spec), found)
    truth, answers = found.rows["y"].to_pylist(), found.about["prediction"].to_pylist()
    accuracy = of(report, "accuracy")
    assert accuracy.value == pytest.approx(accuracy_score(truth, answers))
    assert accuracy.low is not None and accuracy.high is not None and accuracy.value is not None
    assert accuracy.low < accuracy.value < accuracy.high
    yes = [dict(each)["yes"] for each in found.about["probabilities"].to_pylist()]
    assert of(report, "roc_auc").value == pytest.approx(roc_auc_score([t == "yes" for t in truth], yes))
    assert (report.status, report.labels, accuracy.holdout) == ("ok", 300, 0.9)


@pytest.mark.parametrize(("right", "bound", "status"), [(0.6, 0.8, "decay"), (0.78, 0.8, "ok"), (0.95, 0.8, "ok")])
def test_decay_is_a_whole_interval_below_the_bound(right: float, bound: float, status: str) -> None:
    spec = make_spec(accuracy=bound)
    report = measure_performance(spec, champion(spec), binary(spec, 400, right))
    assert report.status == of(report, "accuracy").verdict == status


def test_for_an_error_decay_is_above_the_bound() -> None:
    spec = make_spec("regression", mean_absolute_error=2.0, labels=50)
    truth = np.random.default_rng(1).normal(size=100)
    for off, status in ((1.0, "ok"), (3.0, "decay")):
        answers = truth + off * np.where(np.arange(100) % 2, 1.1, 0.9)
        report = measure_performance(spec, champion(spec), labelled(spec, truth, answers))
        assert report.status == status
        assert of(report, "mean_absolute_error").value == pytest.approx(mean_absolute_error(truth, answers))
    assert "above the bound 2" in report.why and "2 worse than on the holdout" in report.why


def test_too_few_labels_are_unknown_never_fine() -> None:
    spec = make_spec(accuracy=0.99)
    report = measure_performance(spec, champion(spec), binary(spec, 199, 0.5))
    assert (report.status, report.why, report.labels, report.needed) == (
        "unknown", "199 labels, 200 are needed", 199, 200,
    )  # fmt: skip
    assert {each.verdict for each in report.metrics} == {"unknown"}
    assert of(report, "accuracy").value is not None


def test_no_labels_at_all_are_unknown() -> None:
    spec = make_spec(accuracy=0.99)
    report = measure_performance(spec, champion(spec), labelled(spec, [], []))
    assert (report.status, report.labels, report.metrics) == ("unknown", 0, ())
    assert report.why.endswith("has its truth yet")


def test_without_a_bound_the_difference_is_told_and_nothing_is_triggered() -> None:
    spec = make_spec()
    report = measure_performance(spec, champion(spec), binary(spec, 300, 0.5))
    assert report.status == "ok"
    assert "no bound in retrain.performance" in report.why and "worse than on the holdout" in report.why


def test_predictions_of_another_version_are_left_out() -> None:
    spec = make_spec(accuracy=0.5, labels=100)
    own = champion(spec).version
    versions = [own if i % 2 else "f" * 16 for i in range(300)]
    truth = ["yes" if i % 3 else "no" for i in range(300)]
    answers = [each if v == own else "no" for each, v in zip(truth, versions, strict=True)]
    chances = [[("no", 0.5), ("yes", 0.5)]] * 300
    report = measure_performance(spec, champion(spec), labelled(spec, truth, answers, chances, versions))
    assert (report.labels, of(report, "accuracy").value) == (150, 1.0)


def test_classes_it_does_not_know_are_told_and_answers_of_another_shape_left_out() -> None:
    spec = make_spec("multiclass", accuracy=0.5, labels=2)
    chances = [[("a", 0.5), ("b", 0.3), ("c", 0.2)]] * 4 + [[("a", 0.5), ("d", 0.5)], None]
    found = labelled(spec, ["a", "b", "new", "a", "a", "a"], ["a", "b", "a", "c", "a", "a"], chances)
    report = measure_performance(spec, champion(spec), found)
    assert report.labels == 3
    assert report.why.endswith("1 labels are of classes it does not know")


def test_a_metric_that_is_undefined_has_no_verdict() -> None:
    spec = make_spec(roc_auc=0.5, accuracy=0.5, labels=10)
    found = labelled(spec, ["yes"] * 20, ["yes"] * 20, [[("no", 0.1), ("yes", 0.9)]] * 20)
    report = measure_performance(spec, champion(spec), found)
    assert (of(report, "roc_auc").value, of(report, "roc_auc").verdict, report.status) == (None, "unknown", "unknown")
    assert of(report, "accuracy").verdict == "ok"


def test_a_champion_of_another_task_than_the_spec_is_unknown_never_fine() -> None:
    served, today = make_spec(accuracy=0.8), make_spec("regression", mean_absolute_error=1.0)
    rows = labelled(today, np.zeros(300), np.zeros(300), versions=[champion(served).version] * 300)
    report = measure_performance(today, champion(served), rows)
    assert (report.status, report.why) == ("unknown", "its task is binary, the spec's regression: train it again")


def test_predictions_of_another_target_are_not_measured() -> None:
    served = make_spec(accuracy=0.8)
    today = served.model_copy(update={"target": served.target.model_copy(update={"column": "z"})})
    rows = binary(served, 300, 0.95)
    renamed = replace(rows, rows=rows.rows.rename_columns(["x", "z"]))
    report = measure_performance(today, champion(served), renamed)
    assert (report.status, report.labels) == ("unknown", 0)
    assert report.why == "it predicts 'y', the spec asks for 'z': train it again"
