"""What the gate makes of poisoned feedback, honest feedback, a world that moves, and the same data again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression, Ridge

from perennial.datasets.draft import draft_spec
from perennial.datasets.reading import read_file
from perennial.spec import ModelSpec
from perennial.spec_source import parse_spec
from tests.support.challenges import Challenges, gain_reason

Rows = dict[str, Any]
LINEAR: dict[str, Any] = {"linear": {"estimator": "sklearn.linear_model.LogisticRegression"}}


def make_spec(**changes: Any) -> ModelSpec:
    values: dict[str, Any] = {
        "name": "shop",
        "task": "binary",
        "target": {"column": "y", "positive": "yes"},
        "features": {name: {"type": "number"} for name in ("a", "b", "c")},
        "candidates": LINEAR,
        "metric": "roc_auc",
    }
    return ModelSpec.model_validate(values | changes)


def customers(count: int, seed: int, *, far: bool = False) -> Rows:
    """Rows that ``a`` and ``b`` decide, with noise; ``far`` ones lie where nobody was before, and are the other way."""
    draw = np.random.default_rng(seed)
    a, b, c = draw.normal(size=(3, count)).round(6)
    odds = 1.2 * a - 0.8 * b
    if far:
        a, odds = a + 20, -odds
    yes = draw.random(count) < 1 / (1 + np.exp(-odds))
    return {"a": a, "b": b, "c": c, "y": np.where(yes, "yes", "no")}


def flipped(rows: Rows, share: float, seed: int) -> Rows:
    turned = np.random.default_rng(seed).random(len(rows["y"])) < share
    return {**rows, "y": np.where(turned, np.where(rows["y"] == "yes", "no", "yes"), rows["y"])}


def boosted() -> BaseEstimator:
    return HistGradientBoostingClassifier(max_iter=30, random_state=0)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("estimator", [LogisticRegression(), boosted()], ids=["linear", "boosted"])
def test_feedback_with_a_third_of_its_labels_flipped_changes_no_holdout_and_promotes_nobody(
    seed: int, estimator: BaseEstimator
) -> None:
    world = Challenges(make_spec(holdout={"seed": seed}), estimator)
    world.land(customers(6000, seed))
    champion = world.train()
    world.collected("feedback", flipped(customers(3000, 100 + seed), 0.3, seed))
    challenger = world.train()
    assert challenger.dataset.holdout == champion.dataset.holdout
    assert challenger.dataset.rows("holdout") == champion.dataset.rows("holdout") == 1200
    decision = world.judged(champion, challenger)
    assert not decision.passed
    assert "is not significantly better" in gain_reason(decision)
    assert "`perennial land --labels`" in gain_reason(decision)


def test_labels_flipped_to_one_side_win_on_their_own_window_and_lose_on_the_holdout() -> None:
    """Who floods the window with his own truth is better there. The holdout, which he cannot reach, gives him away."""
    world = Challenges(make_spec(metric="log_loss"), boosted())
    world.land(customers(6000, 1))
    champion = world.train()
    rows = customers(6000, 2)
    rows["y"] = np.where(np.random.default_rng(3).random(6000) < 0.6, "no", rows["y"])  # about 30 % of all labels
    world.collected("feedback", rows)
    challenger = world.train()
    found = world.compared(champion, challenger)
    assert found.window is not None and found.window.low is not None and found.window.low > 0
    assert found.holdout is not None and found.holdout.high is not None and found.holdout.high < 0
    decision = world.judged(champion, challenger)
    assert not decision.passed
    assert "There it must not be significantly worse: it is." in gain_reason(decision)


def test_honest_feedback_from_where_the_champion_is_poor_passes_by_the_window() -> None:
    world = Challenges(make_spec(), boosted())
    world.land(customers(6000, 1))
    champion = world.train()
    world.collected("feedback", customers(3000, 2, far=True))
    challenger = world.train()
    found = world.compared(champion, challenger)
    assert found.untrusted and found.window is not None and not found.window.trusted
    assert found.window.rows == 600
    assert found.window.champion["roc_auc"] < 0.5 < 0.7 < found.window.challenger["roc_auc"]
    decision = world.judged(champion, challenger)
    assert decision.passed, gain_reason(decision)
    assert "On 600 newest rows" in gain_reason(decision)
    assert "On 1,200 holdout rows:" in gain_reason(decision)
    assert "There it must not be significantly worse: it is not." in gain_reason(decision)
    assert decision.approval  # callers alone say so


@pytest.mark.parametrize("estimator", [LogisticRegression(), boosted()], ids=["linear", "boosted"])
def test_labels_flipped_too_few_for_the_holdout_to_see_promote_nobody_by_themselves(estimator: BaseEstimator) -> None:
    """Where few rows are flipped, always the same way, the challenger wins on its window and is hardly worse elsewhere.

    Each such step would be small, and the next one begins where it ended.
    """
    world = Challenges(make_spec(metric="accuracy"), estimator)
    world.land(customers(1500, 1))
    champion = world.train()
    decisions = []
    for turn in range(4):
        rows = customers(750, 200 + turn)
        near = (rows["a"] > 0) & (rows["a"] < 0.6) & (rows["y"] == "yes")
        world.collected("feedback", {**rows, "y": np.where(near, "no", rows["y"])})
        decisions.append(world.judged(champion, world.train()))
    assert any(decision.passed for decision in decisions)  # or there was no attack
    assert all(decision.approval for decision in decisions if decision.passed)


def test_flipped_feedback_from_there_does_not_hide_behind_the_honest_one_once_it_is_learnt() -> None:
    """The next version has the window of honest feedback in training; what comes after is judged on its own."""
    world = Challenges(make_spec(), boosted())
    world.land(customers(6000, 1))
    world.train()
    world.collected("feedback", customers(3000, 2, far=True))
    champion = world.train()
    world.collected("feedback", flipped(customers(3000, 3, far=True), 0.3, 4))
    challenger = world.train()
    assert not world.judged(champion, challenger).passed


@pytest.mark.parametrize("seed", range(3))
def test_the_same_feedback_again_promotes_nobody(seed: int) -> None:
    world = Challenges(make_spec(), LogisticRegression())
    rows = customers(6000, seed)
    world.land(rows)
    champion = world.train()
    again = {name: values[:3000] for name, values in rows.items()}
    world.collected("feedback", again)
    challenger = world.train()
    assert challenger.dataset.window is None  # nothing of it is new
    decision = world.judged(champion, challenger)
    assert not decision.passed
    assert "is not significantly better" in gain_reason(decision)


def test_a_model_trained_again_on_the_same_data_gains_nothing() -> None:
    world = Challenges(make_spec(gate={"gain": 0.001}), LogisticRegression())
    world.land(customers(3000, 1))
    champion = world.train()
    challenger = world.train()
    assert challenger.dataset == champion.dataset
    decision = world.judged(champion, challenger)
    assert not decision.passed
    assert "a gain of 0 (95 % interval 0 to 0). A gain of at least 0.001 is wanted: it falls short." in gain_reason(
        decision
    )


def demand(first: int, count: int, seed: int) -> Rows:
    """A row an hour; what ``a`` is worth changes in the course of time."""
    draw = np.random.default_rng(seed)
    hour = np.arange(first, first + count)
    a = draw.normal(size=count).round(6)
    worth = 3.0 - 6.0 * (hour >= 4000)
    return {"when": 1_767_225_600 + 3600 * hour, "a": a, "y": (worth * a + draw.normal(size=count)).round(6)}


def regression(**changes: Any) -> ModelSpec:
    ridge = {"linear": {"estimator": "sklearn.linear_model.Ridge"}}
    values = {"task": "regression", "target": {"column": "y"}, "features": {"a": {"type": "number"}}}
    return make_spec(**{**values, "candidates": ridge, "metric": "mean_absolute_error", "time": "when", **changes})


def test_in_a_world_that_moves_the_newer_model_passes_by_its_window_though_worse_on_the_old_holdout() -> None:
    world = Challenges(regression(), Ridge())
    world.land(demand(0, 4000, 1))
    champion = world.train()
    world.land(demand(4000, 4000, 2))
    challenger = world.train()
    found = world.compared(champion, challenger)
    assert found.holdout is not None and found.holdout.high is not None and found.holdout.high < 0
    assert found.window is not None and found.window.trusted and not found.untrusted
    assert found.window.rows == 800
    decision = world.judged(champion, challenger)
    assert decision.passed, gain_reason(decision)
    assert "On 800 newest rows" in gain_reason(decision)


def test_without_a_time_column_the_same_rows_are_judged_on_the_holdout() -> None:
    world = Challenges(regression(time=None, features={"a": {"type": "number"}}), Ridge())
    world.land(demand(0, 4000, 1))
    champion = world.train()
    world.land(demand(4000, 4000, 2))
    challenger = world.train()
    assert challenger.dataset.window is None
    assert not world.judged(champion, challenger).passed


def test_a_series_that_does_not_move_is_not_won_by_confidence() -> None:
    """With ``gate.confidence`` the lower bound has to reach the gain: equal models stay where they are."""
    passed = 0
    for seed in range(8):
        world = Challenges(regression(gate={"confidence": 0.95}), Ridge())
        world.land(demand(0, 1500, seed))
        champion = world.train()
        world.land(demand(1500, 1500, 50 + seed))
        decision = world.judged(champion, world.train())
        assert "A lower bound of the gain, at confidence 0.95," in gain_reason(decision)
        passed += decision.passed
    assert passed <= 1


def test_a_challenger_that_knows_a_class_more_is_compared_on_all_rows() -> None:
    """The champion is wrong about a class it never saw; the rows of that class count against it."""
    spec = make_spec(task="multiclass", target={"column": "y"}, metric="accuracy")
    world = Challenges(spec, LogisticRegression())
    world.land(customers(3000, 1))
    champion = world.train()
    rows = customers(2000, 2)
    late = rows["c"] > 0.3
    rows |= {"y": np.where(late, "late", rows["y"]), "c": rows["c"] + 10 * late}
    world.collected("labels", rows)
    challenger = world.train()
    assert challenger.dataset.classes == ("late", "no", "yes")
    found = world.compared(champion, challenger)
    assert found.window is not None and found.window.trusted
    assert found.window.champion["accuracy"] < 0.55 < 0.7 < found.window.challenger["accuracy"]
    assert found.window.mcnemar is not None and found.window.mcnemar < 1e-6


def test_a_champion_that_has_learnt_the_window_is_not_measured_on_it() -> None:
    """Its version is no ancestor: it was made when the window of this one had been released already."""
    world = Challenges(make_spec(), LogisticRegression())
    world.land(customers(2000, 1))
    world.train()
    world.collected("labels", customers(500, 2))
    challenger = world.train()
    assert challenger.dataset.rows("window") == 100
    world.land(customers(100, 3))
    later = world.train()
    found = world.compared(later, challenger)
    assert found.window is None
    assert found.window_why == "the champion has learnt from the new rows, or its spec refuses them: 0 are left"


@pytest.mark.parametrize("seed", range(3))
def test_on_real_data_flipped_feedback_promotes_nobody(real_data: Path, seed: int) -> None:
    file = real_data / "student_depression.csv"
    spec = parse_spec(draft_spec(file, "Depression", "id", name="student").text)
    raw = read_file(str(file), file.read_bytes())
    order = np.random.default_rng(seed).permutation(len(raw.rows))
    names = [name for name in raw.header.names if name in (*spec.features, "Depression", "id")]

    def part(places: Any) -> Rows:
        return {name: np.array(raw.columns[name].take(places).to_pylist()) for name in names}

    world = Challenges(spec, LogisticRegression(max_iter=1000))
    world.land(part(order[:6000]))
    champion = world.train()
    poisoned = part(order[6000:9000])
    turned = np.random.default_rng(seed).random(3000) < 0.3
    poisoned["Depression"] = np.where(turned, np.where(poisoned["Depression"] == "1", "0", "1"), poisoned["Depression"])
    world.collected("feedback", {**poisoned, "id": np.full(3000, "")})
    challenger = world.train()
    assert challenger.dataset.holdout == champion.dataset.holdout
    assert challenger.dataset.rows("train") > champion.dataset.rows("train") + 2000
    decision = world.judged(champion, challenger)
    assert "is not significantly better" in gain_reason(decision)
    assert not decision.passed
