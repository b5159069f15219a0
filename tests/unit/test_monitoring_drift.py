"""Drift: seen where it is, not where there is none, and every odd column has a stated outcome."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from perennial.datasets.arrow import arrow_schema
from perennial.monitoring.baseline import Baseline, absent
from perennial.monitoring.distances import kolmogorov_smirnov, total_variation, unlikely
from perennial.monitoring.drift import measure_drift
from perennial.monitoring.results import DriftReport, FeatureDrift
from perennial.spec import ModelSpec

TOWNS = tuple(f"town {i}" for i in range(50))
FEATURES: dict[str, Any] = {
    "height": {"type": "number"},
    "steps": {"type": "number", "missing": True},
    "rare": {"type": "category", "values": ["no", "yes"]},
    "town": {"type": "category", "values": TOWNS, "unknown": "encode", "missing": True},
    "born": {"type": "date"},
}
BORN = datetime(1990, 1, 1)


def make_spec(**changes: Any) -> ModelSpec:
    said: dict[str, Any] = {
        "name": "people",
        "task": "binary",
        "target": {"column": "ill"},
        "features": FEATURES,
        "candidates": {"linear": {"estimator": "sklearn.linear_model.LogisticRegression"}},
    }
    return ModelSpec.model_validate({**said, **changes})


def draw(rows: int, seed: int, **replaced: Any) -> pa.Table:
    """Rows of one and the same world, whatever the seed."""
    generator = np.random.default_rng(seed)
    steps = generator.integers(0, 5, rows).astype(float)
    columns = {
        "height": generator.normal(size=rows),
        "steps": pa.array(steps, mask=generator.random(rows) < 0.3),
        "rare": generator.choice(["no", "yes"], rows, p=[0.97, 0.03]),
        "town": np.array(TOWNS)[np.minimum(generator.zipf(1.3, rows) - 1, 49)],
        "born": [BORN + timedelta(days=int(day)) for day in generator.integers(0, 9000, rows)],
    }
    schema = pa.schema([field for field in arrow_schema(make_spec()) if field.name in FEATURES])
    return pa.table({**columns, **replaced}, schema=schema)


@pytest.fixture(scope="module")
def baseline() -> Baseline:
    return Baseline(make_spec().features, draw(5000, 0))


def of(report: DriftReport, feature: str) -> FeatureDrift:
    return next(each for each in report.features if each.feature == feature)


def test_without_drift_a_week_of_hours_gives_an_alarm_in_fewer_than_one_of_twenty_checks(baseline: Baseline) -> None:
    spec = make_spec(retrain={"drift_share": 0.01})  # one feature is an alarm: the strictest a spec can be
    alarms = sum(measure_drift(spec, draw(168, seed), baseline).status == "drift" for seed in range(1, 401))
    assert alarms <= 8  # a hundredth of 400 is expected at most


def test_a_drifted_world_is_seen_in_a_week_of_hours(baseline: Baseline) -> None:
    window = draw(168, 9, height=np.random.default_rng(9).normal(0.8, 1, 168), rare=["yes"] * 84 + ["no"] * 84)
    report = measure_drift(make_spec(), window, baseline)
    assert [each.feature for each in report.features if each.moved] == ["height", "rare"]
    assert (report.status, report.moved, report.judged, report.share) == ("drift", 2, 5, 0.4)
    assert report.why == "2 of 5 features moved (40%), drift is more than 30%: height, rare"


def test_the_share_must_be_exceeded(baseline: Baseline) -> None:
    window = draw(168, 9, height=[9.0] * 168, rare=["yes"] * 168)
    fine = measure_drift(make_spec(retrain={"drift_share": 0.4}), window, baseline)
    assert fine.status == "ok"
    assert fine.why.startswith("2 of 5 features moved (40%), drift would be more than 40%")
    assert measure_drift(make_spec(retrain={"drift_share": 0.39}), window, baseline).status == "drift"


def test_a_distance_below_the_effect_is_no_move_however_certain(baseline: Baseline) -> None:
    window = draw(100_000, 3, height=np.random.default_rng(3).normal(0.15, 1, 100_000))
    height = of(measure_drift(make_spec(), window, baseline), "height")
    assert height.p_value is not None and height.p_value < 1e-9
    assert height.moved is False
    assert of(measure_drift(make_spec(monitor={"effect": 0.03}), window, baseline), "height").moved


def test_too_few_predictions_are_unknown_never_fine(baseline: Baseline) -> None:
    report = measure_drift(make_spec(), draw(99, 1), baseline)
    assert (report.status, report.why) == ("unknown", "99 predictions in the window, 100 are needed")
    assert all(each.moved is None and each.value is None for each in report.features)
    assert measure_drift(make_spec(), draw(0, 1), baseline).status == "unknown"
    assert measure_drift(make_spec(), draw(1, 1), baseline).why == "1 prediction in the window, 100 are needed"


def test_a_baseline_without_a_feature_leaves_only_that_one_out(baseline: Baseline) -> None:
    older = Baseline(
        {**{n: f for n, f in baseline.features.items() if n != "town"}, "rare": baseline.features["height"]},
        baseline.rows.drop_columns(["town"]),
    )
    report = measure_drift(make_spec(), draw(168, 1), older)
    assert of(report, "town").note == "the champion was trained without it"
    assert of(report, "rare").note == "the champion was trained with it as a number"
    assert (report.judged, report.status) == (3, "ok")


def test_without_a_baseline_nothing_is_judged() -> None:
    report = measure_drift(make_spec(), draw(168, 1), absent("nothing has been promoted"))
    assert (report.status, report.why, report.judged, report.share) == ("unknown", "nothing has been promoted", 0, None)


def test_the_time_column_is_not_judged(baseline: Baseline) -> None:
    report = measure_drift(make_spec(time="born"), draw(168, 1, born=[BORN + timedelta(days=20_000)] * 168), baseline)
    assert (of(report, "born").moved, of(report, "born").note) == (None, "the time column always moves")
    assert measure_drift(make_spec(), draw(168, 1, born=[BORN] * 168), baseline).moved == 1


@pytest.mark.parametrize(
    ("column", "was", "now", "value", "note"),
    [
        ("height", [1.0], [1.0], 0.0, ""),
        ("height", [1.0], [2.0], 1.0, ""),
        ("steps", [1.0], [None], 1.0, "always missing in the window"),
        ("steps", [None], [1.0], 1.0, "always missing in training"),
        ("steps", [None], [None], 0.0, "always missing, as in training"),
        ("steps", [1.0, 1.0], [1.0, None], 0.5, ""),
        ("town", [TOWNS[0]], [TOWNS[0]], 0.0, ""),
        ("town", [TOWNS[0]], [TOWNS[1]], 1.0, ""),
        ("town", [TOWNS[0]], ["elsewhere"], 1.0, ""),
        ("town", [TOWNS[0]], [None], 1.0, "always missing in the window"),
        ("town", [None], [None], 0.0, "always missing, as in training"),
        ("town", ["elsewhere"], ["nowhere"], 0.0, ""),
        ("born", [BORN], [BORN], 0.0, ""),
    ],
)
def test_constant_missing_and_unseen_columns_are_judged_like_any(
    column: str, was: list[Any], now: list[Any], value: float, note: str
) -> None:
    rows = 400
    before = draw(rows, 0, **{column: was * (rows // len(was))})
    after = draw(rows, 1, **{column: now * (rows // len(now))})
    found = of(measure_drift(make_spec(), after, Baseline(make_spec().features, before)), column)
    assert found.value == pytest.approx(value, abs=1e-9)
    assert (found.moved, found.note) == (value >= 0.1, note)


def test_the_number_statistic_is_that_of_scipy() -> None:
    generator = np.random.default_rng(5)
    for rows, shift in ((40, 0.0), (168, 0.4), (3000, 0.02)):
        window, before = generator.normal(shift, 1, rows).round(2), generator.normal(size=2000).round(2)
        ours, theirs = kolmogorov_smirnov(window, before), stats.ks_2samp(window, before, method="asymp")
        assert ours.value == pytest.approx(theirs.statistic)
        assert ours.p_value == pytest.approx(theirs.pvalue, rel=0.35, abs=1e-6)


def test_many_categories_do_not_drift_by_chance_and_do_by_shift() -> None:
    generator, categories = np.random.default_rng(7), 50
    baseline = generator.multinomial(8000, np.full(categories, 1 / categories))
    values, raw, certain = [], [], 0
    for _ in range(300):
        window = generator.multinomial(168, np.full(categories, 1 / categories))
        found = total_variation(window, baseline)
        values.append(found.value)
        raw.append(np.abs(window / 168 - baseline / 8000).sum() / 2)
        certain += found.p_value < 0.05
    assert np.mean(raw) > 0.15  # what chance gives, uncorrected
    assert np.mean(values) < 0.02
    assert certain / 300 == pytest.approx(0.05, abs=0.04)
    shifted = np.full(categories, 0.7 / categories)
    shifted[3] += 0.3
    found = total_variation(generator.multinomial(5000, shifted), baseline)
    assert found.value == pytest.approx(0.3 * 0.98, abs=0.05)
    assert found.p_value < 1e-9


def test_a_thousand_rare_categories_keep_their_level() -> None:
    generator, categories = np.random.default_rng(8), 1000
    baseline = generator.multinomial(8000, np.full(categories, 1 / categories))
    tests = [
        total_variation(generator.multinomial(168, np.full(categories, 1 / categories)), baseline) for _ in range(300)
    ]
    assert np.mean([found.p_value < 0.05 for found in tests]) < 0.1
    assert np.mean([found.value for found in tests]) < 0.1


def test_holm_stops_at_the_first_that_could_be_chance() -> None:
    assert unlikely([0.004, 0.02, 0.0001, 0.5], 0.01) == [False, False, True, False]
    assert unlikely([0.003, 0.0001, 0.009], 0.01) == [True, True, True]
    assert unlikely([], 0.01) == []


def test_a_feature_that_is_far_by_chance_says_so(baseline: Baseline) -> None:
    """Ten rows cannot tell: the distance is above the threshold, and that is no drift."""
    spec = make_spec(monitor={"minimum_rows": 10, "effect": 0.1})
    report = measure_drift(spec, draw(10, 5), baseline)
    far = [one for one in report.features if one.value is not None and one.value >= one.threshold]
    assert far and all(
        one.moved is False and f"chance is not ruled out (p={one.p_value:.2g})" in one.note for one in far
    )
    assert not [one for one in report.features if one not in far and "chance" in one.note]
    moved = measure_drift(spec, draw(2000, 6, height=np.full(2000, 9.0)), baseline).features[0]
    assert moved.moved and not moved.note
