"""Successive halving: what is tried, on how many rows, and that the last rung sees all of them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.linear_model import RidgeClassifier
from sklearn.pipeline import Pipeline

from perennial.errors import TrainingError
from perennial.training.answers import Floats
from perennial.training.folds import Fold, Folds
from perennial.training.search import MAX_SETTINGS, MIN_RUNG_ROWS, Params, Problem, rung_sizes, search, settings_of


class Constant(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Answers one number; remembers on how many rows each instance was fitted."""

    fitted: list[tuple[float, int]] = []  # noqa: RUF012 - shared on purpose

    def __init__(self, answer: float = 0.0) -> None:
        self.answer = answer

    def fit(self, X: Floats, y: Floats) -> Constant:
        if self.answer < 0:
            raise ValueError(f"cannot answer {self.answer}\nmore")
        self.fitted.append((self.answer, len(X)))
        self.fitted_ = True
        return self

    def predict(self, X: Floats) -> Floats:
        return np.full(len(X), self.answer)


def problem_of(y: Floats, metric: str = "mean_absolute_error") -> Problem:
    places = np.arange(len(y))
    folds = tuple(Fold(places[places % 5 != k], places[places % 5 == k]) for k in range(5))
    return Problem(y.reshape(-1, 1), y, "regression", metric, 0, Folds("random", folds), seed=1)


def pipeline(params: Params) -> Pipeline:
    return Pipeline([("estimator", Constant(**params))])


@pytest.fixture(autouse=True)
def _forget() -> None:
    Constant.fitted.clear()


def test_halving_tries_all_on_little_and_the_best_on_all() -> None:
    rows = 9 * MIN_RUNG_ROWS
    problem = problem_of(np.full(rows, 4.0) + np.arange(rows) % 2)
    told: list[str] = []
    found = search(pipeline, [{"answer": float(answer)} for answer in range(9)], problem, told.append)
    assert found.params == {"answer": 4.0}
    assert found.scores == (0.5,) * 5
    per_rung = {
        rows: {answer for answer, n in Constant.fitted if n == rows} for rows in {n for _, n in Constant.fitted}
    }
    assert {size: len(answers) for size, answers in per_rung.items()} == {
        round(rows * 0.8 / 9): 9,
        round(rows * 0.8 / 3): 3,
        round(rows * 0.8): 1,
    }
    assert len(told) == 3


def test_ties_go_to_the_setting_written_first() -> None:
    found = search(pipeline, [{"answer": 3.0}, {"answer": 5.0}], problem_of(np.full(100, 4.0)), lambda text: None)
    assert found.params == {"answer": 3.0}


def test_a_score_to_maximise_is_maximised() -> None:
    y = np.arange(100.0)
    found = search(pipeline, [{"answer": 0.0}, {"answer": 50.0}], problem_of(y, "r2"), lambda text: None)
    assert found.params == {"answer": 50.0}


def test_all_settings_failing_tells_the_first_reason() -> None:
    with pytest.raises(TrainingError, match=r"\{'answer': -1.0\}: ValueError: cannot answer -1.0$"):
        search(pipeline, [{"answer": -1.0}, {"answer": -2.0}], problem_of(np.arange(50.0)), lambda text: None)


def test_a_metric_no_fold_defines_is_a_reason() -> None:
    with pytest.raises(TrainingError, match="r2 is undefined on every fold"):
        search(pipeline, [{}], problem_of(np.ones(50), "r2"), lambda text: None)


@given(settings=st.integers(1, 60), rows=st.integers(10, 200_000))
def test_rungs_grow_threefold_and_end_on_all_rows(settings: int, rows: int) -> None:
    sizes = rung_sizes(settings, rows)
    assert sizes[-1] == rows
    assert all(size >= MIN_RUNG_ROWS for size in sizes[:-1])
    assert all(later // earlier == 3 for earlier, later in itertools.pairwise(sizes))
    assert len(sizes) == 1 or 3 ** (len(sizes) - 1) <= settings


def test_a_grid_is_tried_in_full_and_in_the_order_written() -> None:
    found, notes = settings_of({"b": [1, 2], "a": ["x", "y"]}, seed=0)
    assert found == [{"b": 1, "a": "x"}, {"b": 1, "a": "y"}, {"b": 2, "a": "x"}, {"b": 2, "a": "y"}]
    assert notes == ()
    assert settings_of({}, seed=0) == ([{}], ())


def test_a_huge_grid_is_sampled_without_repetition_and_says_so() -> None:
    grid = {name: list(range(100)) for name in "abcdef"}
    found, notes = settings_of(grid, seed=3)
    assert len({tuple(each.items()) for each in found}) == MAX_SETTINGS
    assert notes == (f"{MAX_SETTINGS} of {100**6} settings tried, drawn at random",)
    assert (found, notes) == settings_of(grid, seed=3)
    assert found != settings_of(grid, seed=4)[0]


def test_a_classifier_without_probabilities_is_refused_in_words() -> None:
    y = np.arange(60.0) % 2
    places = np.arange(60)
    folds = Folds("stratified", (Fold(places[:30], places[30:]),))
    problem = Problem(y.reshape(-1, 1), y, "binary", "accuracy", 2, folds, seed=1)
    with pytest.raises(TrainingError, match="RidgeClassifier gives no probabilities"):
        search(lambda params: Pipeline([("estimator", RidgeClassifier())]), [{}], problem, lambda text: None)
