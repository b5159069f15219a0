"""The comparison page of a replay, its chart, and the figures of either series."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest
from sklearn import metrics as reference

from perennial.jobs.replay.chart import Line, line_chart, nice_ticks
from perennial.jobs.replay.page import page, summary
from perennial.jobs.replay.results import Check, FirstVersion, PeriodScore, Replay, Training
from perennial.jobs.replay.scores import Pair, score, score_all
from perennial.serving.predictor import Prediction
from perennial.spec import ModelSpec

START = datetime(2024, 1, 1, tzinfo=UTC)
WEEK = timedelta(days=7)


def period(number: int, version: str, static: float | None, retrained: float | None) -> PeriodScore:
    since = START + WEEK * number
    return PeriodScore(
        since=since, until=since + WEEK, rows=168, version=version, static=static, retrained=retrained
    )  # fmt: skip


def replayed(**changes: object) -> Replay:
    training = Training(
        time=START + WEEK,
        reasons=("drift: 2 of 3 features moved", "a <b> & c"),
        causes=("new_rows", "drift"),
        version="2222222222222222",
        passed=True,
        promoted=True,
        gate=("pass gain: 12 < 30",),
    )
    failed = Training(time=START + 2 * WEEK, reasons=("decay: it is bad",), causes=("decay",), failed="No candidate.")
    check = Check(
        time=START + WEEK, rows=168, labels=144, drift="drift", drift_share=2 / 3, performance=12.5,
        performance_status="ok", retrain=True, reasons=training.reasons, blocked=None,
    )  # fmt: skip
    first = FirstVersion(
        version="1111111111111111", candidate="ridge", train_rows=80, holdout_rows=20, refused=0, holdout={}
    )
    said: dict[str, object] = {
        "model": "tide", "file": "<tide>.csv", "metric": "mean_absolute_error", "lower_is_better": True,
        "every": "7d", "label_delay": "1d", "shuffled": None, "start": START, "end": START + 3 * WEEK,
        "initial_rows": 100, "arrived": 510, "predicted": 504, "labelled": 500, "refused": 6, "unlabelled": 4,
        "unplaced": 0, "static": {"mean_absolute_error": 80.0}, "retrained": {"mean_absolute_error": 30.0},
        "first": first, "trainings": (training, failed), "promotions": 1, "rejections": 1,
        "by_cause": {"new_rows": 1, "drift": 1, "decay": 1}, "drift_or_decay": 2, "checks": (check,),
        "periods": (
            period(0, first.version, 20.0, 20.0), period(1, first.version, None, None),
            period(2, "2222222222222222", 140.0, 40.0),
        ),
    }  # fmt: skip
    return Replay.model_validate({**said, **changes})


def test_the_page_is_well_formed_loads_nothing_and_escapes_what_came_from_data() -> None:
    text = page(replayed()).decode()
    tree = ET.fromstring(text.removeprefix("<!doctype html>").replace('<meta charset="utf-8">', "").replace(
        '<meta name="viewport" content="width=device-width,initial-scale=1">', ""
    ).replace("style-src 'unsafe-inline'\">", "style-src 'unsafe-inline'\"/>"))  # fmt: skip
    assert not [one for one in tree.iter() if one.tag in ("script", "img", "link", "iframe")]
    assert "http://" not in text and "https://" not in text
    assert "&lt;tide&gt;.csv" in text and "a &lt;b&gt; &amp; c" in text
    heads = [one.text for one in tree.iter("h2")]
    assert heads == ["All predicted rows", "mean_absolute_error per period", "Periods", "Trainings", "Checks"]
    cells = ["".join(one.itertext()) for one in tree.iter("td")]
    assert {"80.0000", "30.0000", "140.0000", "No candidate.", "drift (67%)", "train"} <= set(cells)


def test_both_series_are_drawn_with_gaps_and_a_mark_where_the_version_changes() -> None:
    text = page(replayed()).decode()
    chart = ET.fromstring(text[text.index("<svg") : text.index("</svg>") + 6])
    drawn = {one.get("class"): one.get("d") for one in chart.iter("path") if "h28" not in str(one.get("d"))}
    assert drawn.keys() == {"now", "before"}
    assert str(drawn["before"]).count("M") == 2  # a gap divides it
    marks = [one for one in chart.iter("line") if one.get("class") == "mark"]
    assert len(marks) == 1 and marks[0].get("x1") == "912.0"


def test_without_the_static_series_only_one_is_drawn() -> None:
    text = page(replayed(static=None)).decode()
    assert 'class="before"' not in text


def test_the_summary_says_what_came_of_it() -> None:
    told = summary(replayed(shuffled=7))
    assert "510 rows arrived from 2024-01-01 to 2024-01-22, in steps of 7d; their truth came 1d later." in told
    assert "1 check led to 2 trainings: 1 promoted, 1 not." in told
    assert "Reasons: new rows 1, drift 1, decay 1." in told
    assert "shuffled against time (seed 7)" in told
    assert "6 did not fit the spec, 4 have no truth." in told


def test_the_gain_has_the_sign_of_what_is_better() -> None:
    assert replayed().gain == pytest.approx(50.0)
    assert replayed(lower_is_better=False).gain == pytest.approx(-50.0)
    assert replayed(static=None).gain is None


@pytest.mark.parametrize(
    ("low", "high"), [(0.0, 1.0), (0.71, 0.774), (28.0, 140.0), (-3.0, 5.0), (5.0, 5.0), (0.0, 0.0)]
)
def test_ticks_are_few_round_and_hold_all_values(low: float, high: float) -> None:
    ticks = nice_ticks(low, high)
    assert ticks[0] <= low and ticks[-1] >= high
    assert 2 <= len(ticks) <= 8
    assert len({round(b - a, 9) for a, b in pairwise(ticks)}) == 1


def test_a_single_point_is_drawn_as_a_dot() -> None:
    chart = line_chart("one", [START], [Line("only", "now", [1.0])], [])
    assert any("L" in str(one.get("d")) for one in ET.fromstring(chart).iter("path"))


def spec(task: str) -> ModelSpec:
    estimator = "sklearn.linear_model." + ("Ridge" if task == "regression" else "LogisticRegression")
    metric = "mean_absolute_error" if task == "regression" else "accuracy"
    return ModelSpec.model_validate(
        {
            "name": "tide", "task": task, "target": {"column": "level"}, "metric": metric,
            "features": {"wind": {"type": "number"}}, "candidates": {"one": {"estimator": estimator}},
        }
    )  # fmt: skip


def test_a_regression_is_measured_as_by_scikit_learn() -> None:
    draw = np.random.default_rng(0)
    truth, given = draw.normal(size=50), draw.normal(size=50)
    pairs = [Pair(float(t), Prediction(float(g), None)) for t, g in zip(truth, given, strict=True)]
    found = score_all(spec("regression"), (), pairs)
    assert found["mean_absolute_error"] == pytest.approx(reference.mean_absolute_error(truth, given))
    assert found["r2"] == pytest.approx(reference.r2_score(truth, given))
    assert score(spec("regression"), (), pairs) == pytest.approx(found["mean_absolute_error"])


def test_classes_are_measured_as_by_scikit_learn_also_where_the_model_knows_one_less() -> None:
    draw = np.random.default_rng(0)
    classes = ("ebb", "flood", "slack")
    truth = draw.choice(classes, 60)
    given = draw.choice(classes[:2], 60)
    pairs = [
        Pair(str(t), Prediction(str(g), {"ebb": float(g == "ebb"), "flood": float(g == "flood")}))
        for t, g in zip(truth, given, strict=True)
    ]
    found = score_all(spec("multiclass"), classes, pairs)
    assert found["accuracy"] == pytest.approx(reference.accuracy_score(truth, given))
    assert found["f1"] == pytest.approx(reference.f1_score(truth, given, average="macro", zero_division=0))


def test_what_is_undefined_is_no_number() -> None:
    one = [Pair(1.0, Prediction(2.0, None))]
    assert score(spec("regression"), (), []) is None
    assert score_all(spec("regression"), (), []) == {}
    assert "r2" not in score_all(spec("regression"), (), one)
