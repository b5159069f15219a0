"""Folds: the same for everyone, no look ahead, and clear words where there is nothing to learn."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perennial.errors import TrainingError
from perennial.spec import ModelSpec
from perennial.training.folds import FOLDS, MIN_ROWS, make_folds, thin

NO_TABLE = pa.table({})
TWO, THREE = ("no", "yes"), ("a", "b", "c")


def spec_of(task: str, time: str | None = None) -> ModelSpec:
    return ModelSpec.model_validate(
        {
            "name": "fold",
            "task": task,
            "time": time,
            "target": {"column": "y"},
            "features": {"x": {"type": "number"}},
            "candidates": {"tree": {"estimator": "sklearn.tree.DecisionTreeClassifier"}},
        }
    )


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.lists(st.integers(0, 2), min_size=MIN_ROWS, max_size=80), st.integers(0, 1000))
def test_every_row_is_scored_once_and_every_fold_sees_every_class(labels: list[int], seed: int) -> None:
    y = np.array([0, 1, 2, 0, 1, 2, *labels], dtype=float)  # two of each class
    folds = make_folds(spec_of("multiclass"), y, NO_TABLE, THREE, seed)
    scored = np.concatenate([fold.test for fold in folds.folds])
    assert sorted(scored) == list(range(len(y)))
    for fold in folds.folds:
        assert not set(fold.train) & set(fold.test)
        assert set(y[fold.train]) == {0.0, 1.0, 2.0}


def test_folds_keep_the_share_of_each_class() -> None:
    y = np.array([0.0] * 400 + [1.0] * 100)
    folds = make_folds(spec_of("binary"), y, NO_TABLE, TWO, seed=1)
    assert len(folds.folds) == FOLDS
    assert folds.kind == "stratified"
    assert {float(y[fold.test].mean()) for fold in folds.folds} == {0.2}


def test_a_time_column_means_that_no_fold_learns_from_its_future() -> None:
    generator = np.random.default_rng(0)
    days = generator.permutation(60)
    table = pa.table({"when": pa.array([datetime(2026, 1, 1) + timedelta(days=int(day)) for day in days])})
    folds = make_folds(spec_of("regression", "when"), generator.random(60), table, (), seed=0)
    assert folds.kind == "chronological"
    for fold in folds.folds:
        assert days[fold.train].max() < days[fold.test].min()
        assert (np.diff(days[fold.train]) > 0).all()


def test_early_folds_without_a_class_are_left_out_and_noted() -> None:
    y = np.array([0.0] * 30 + [0.0, 1.0] * 15)
    table = pa.table({"when": pa.array([datetime(2026, 1, 1) + timedelta(days=i) for i in range(60)])})
    folds = make_folds(spec_of("binary", "when"), y, table, TWO, seed=0)
    assert 0 < len(folds.folds) < FOLDS
    assert "left out" in folds.notes[0]


def test_a_class_with_a_single_row_loses_only_the_fold_that_scores_it() -> None:
    y = np.array([0.0] * 10 + [1.0] * 10 + [2.0])
    folds = make_folds(spec_of("multiclass"), y, NO_TABLE, THREE, seed=0)
    assert len(folds.folds) == 1
    assert any("1 training rows" in note for note in folds.notes)


@pytest.mark.parametrize(
    ("task", "classes", "y", "words"),
    [
        ("regression", (), np.full(50, 7.5), "is 7.5 in every training row"),
        ("binary", TWO, np.zeros(50), "is never 'yes'"),
        ("regression", (), np.arange(MIN_ROWS - 1.0), f"{MIN_ROWS - 1} training rows are too few"),
        ("multiclass", THREE, np.array([0.0, 1.0] * 10), "is never 'c'"),
    ],
)
def test_data_that_teaches_nothing_is_refused_by_name(
    task: str, classes: tuple[str, ...], y: np.ndarray[tuple[int], np.dtype[np.float64]], words: str
) -> None:
    with pytest.raises(TrainingError, match=words):
        make_folds(spec_of(task), y, NO_TABLE, classes, seed=0)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(size=st.integers(1, 60), seed=st.integers(0, 99), rare=st.integers(1, 5))
def test_a_thinned_fold_keeps_its_classes_and_nothing_foreign(size: int, seed: int, rare: int) -> None:
    y = np.array([0.0] * 70 + [1.0] * rare)
    rows = np.random.default_rng(seed).permutation(len(y))[:50]
    drawn = thin(rows, y, size, seed, stratified=True, chronological=False)
    assert set(drawn) <= set(rows)
    assert set(y[drawn]) == set(y[rows])
    assert len(drawn) <= min(size, 50) + 2
    assert np.array_equal(drawn, thin(rows, y, size, seed, stratified=True, chronological=False))


def test_in_time_order_the_newest_rows_are_kept() -> None:
    rows = np.arange(40)
    assert thin(rows, np.arange(40.0), 10, 0, stratified=False, chronological=True).tolist() == list(range(30, 40))
    only_old = np.array([1.0] * 20 + [0.0] * 20)
    assert len(thin(rows, only_old, 10, 0, stratified=True, chronological=True)) == 40
