"""Quality: what is amiss with a window is named, and what is expected is not."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from perennial.datasets.arrow import arrow_schema
from perennial.monitoring.baseline import Baseline, absent
from perennial.monitoring.columns import about_schema, record_schema
from perennial.monitoring.observed import Labelled, Observed
from perennial.monitoring.quality import measure_quality
from perennial.monitoring.results import FeatureQuality, QualityReport
from perennial.spec import ModelSpec

ROWS = 200
OVER, ABOVE = "more than 1% is a problem", "10% or more above training is a problem"


def make_spec(**changes: Any) -> ModelSpec:
    said: dict[str, Any] = {
        "name": "people",
        "task": "binary",
        "target": {"column": "ill"},
        "features": {
            "age": {"type": "number", "min": 0, "max": 120, "integer": True, "missing": True},
            "town": {"type": "category", "values": ["Rome", "Bari"], "unknown": "encode", "missing": True},
            "seen": {"type": "date", "missing": True},
        },
        "candidates": {"linear": {"estimator": "sklearn.linear_model.LogisticRegression"}},
    }
    return ModelSpec.model_validate({**said, **changes})


def rows(count: int = ROWS, **replaced: Any) -> pa.Table:
    columns: dict[str, Any] = {"age": [30.0] * count, "town": ["Rome"] * count, "seen": [None] * count}
    return pa.table({**columns, **replaced}, schema=record_schema(make_spec()))


def seen(table: pa.Table | None = None, **counts: int) -> Observed:
    table = rows() if table is None else table
    total = counts.pop("total", table.num_rows)
    about = about_schema(make_spec()).empty_table()
    return Observed(table, about, total, **{"served": total, "lost": 0, "duplicates": 0, **counts})


def told(labels: int = 0, unmatched: int = 0, contradicted: int = 0) -> Labelled:
    schema = arrow_schema(make_spec())
    table = pa.table({field.name: pa.nulls(labels, field.type) for field in schema}, schema=schema)
    return Labelled(table, about_schema(make_spec()).empty_table(), unmatched, contradicted)


def baseline(**replaced: Any) -> Baseline:
    return Baseline(make_spec().features, rows(1000, **replaced))


def look(window: Observed, truth: Labelled | None = None, **more: Any) -> QualityReport:
    spec = more.pop("spec", make_spec())
    return measure_quality(spec, window, truth or told(), more.pop("baseline", baseline()))


def of(report: QualityReport, feature: str) -> FeatureQuality:
    return next(each for each in report.features if each.feature == feature)


def test_a_window_as_in_training_is_ok() -> None:
    report = look(seen(lost=1, duplicates=40, served=900), told(50))
    assert (report.status, report.reasons) == ("ok", ())
    assert (report.rows, report.served, report.lost, report.duplicates, report.labels) == (ROWS, 900, 1, 40, 50)


def test_without_predictions_nothing_is_known() -> None:
    report = look(seen(rows(0)))
    assert (report.status, report.reasons) == ("unknown", ("there are no predictions in the window",))
    assert of(report, "age").missing == 0


@pytest.mark.parametrize(
    ("window", "truth", "reason"),
    [
        (seen(lost=3), told(), f"3 predictions were lost before being stored (1.5%, {OVER})"),
        (seen(), told(100, contradicted=2), f"2 predictions were told different truths (2.0%, {OVER})"),
        (seen(), told(50, unmatched=1), f"1 labels are of predictions that were not captured (2.0%, {OVER})"),
        (
            seen(rows(age=[-1.0] * 2 + [121.0] + [30.5] + [30.0] * (ROWS - 4))),
            told(),
            f"age: 2.0% of the values are out of the spec's range ({OVER})",
        ),
        (seen(rows(age=[None] * 30 + [30.0] * 170)), told(), f"age: 15% are missing, in training 0% ({ABOVE})"),
        (seen(rows(town=["Oslo"] * 30 + ["Rome"] * 170)), told(),
         f"town: 15% are values the spec does not name, in training 0% ({ABOVE})"),
    ],
)  # fmt: skip
def test_each_problem_is_named(window: Observed, truth: Labelled, reason: str) -> None:
    report = look(window, truth)
    assert (report.status, report.reasons) == ("problems", (reason,))


def test_where_only_a_share_is_captured_labels_of_the_others_are_no_problem() -> None:
    sampled = make_spec(monitor={"capture": 0.1})
    assert look(seen(), told(10, unmatched=90), spec=sampled).status == "ok"


def test_what_was_missing_or_unseen_in_training_too_is_no_problem() -> None:
    before = baseline(age=[None] * 400 + [30.0] * 600, town=["Oslo"] * 300 + [None] * 300 + ["Rome"] * 400)
    window = rows(age=[None] * 90 + [30.0] * 110, town=["Lima"] * 60 + [None] * 70 + ["Rome"] * 70)
    report = look(seen(window), baseline=before)
    assert (report.status, report.reasons) == ("ok", ())
    assert of(report, "town") == FeatureQuality(
        feature="town", missing=0.35, baseline_missing=0.3, out_of_range=0.0, unseen=0.3
    )


def test_a_few_rows_are_not_compared_with_training() -> None:
    window = rows(99, age=[None] * 99)
    assert look(seen(window)).status == "ok"
    assert of(look(seen(window)), "age").missing == 1.0


def test_without_a_baseline_or_one_of_another_kind_shares_stand_alone() -> None:
    window = seen(rows(age=[None] * ROWS, town=["Oslo"] * ROWS))
    assert look(window, baseline=absent("none")).status == "ok"
    features = make_spec().features
    other = Baseline(
        {"age": features["town"], "town": features["age"]}, pa.table({"age": ["x"] * 500, "town": [1.0] * 500})
    )
    report = look(window, baseline=other)
    assert (report.status, of(report, "age").baseline_missing) == ("ok", None)
