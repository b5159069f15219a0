"""Cross-validation of one estimator, and successive halving over its settings.

Successive halving (Jamieson and Talwalkar, 2016): all settings are tried on a share of the training rows,
the best third of them on three times as many, until few enough are left to be tried on all. The last rung
is the cross-validation whose score is compared between candidates, so nothing is fitted twice. Folds are
fitted by two threads; each fit runs on one, so that neither their number nor their order shows in a result.
"""

from __future__ import annotations

import itertools
import math
import os
import random
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from perennial.errors import TrainingError
from perennial.spec import LOWER_IS_BETTER, Task
from perennial.training.answers import Answers, Floats, Ints
from perennial.training.folds import Fold, Folds, thin
from perennial.training.foreign import first_line, foreign
from perennial.training.metrics import measure

KEEP = 3
MIN_RUNG_ROWS = 2_000
MAX_SETTINGS = 60
WORKERS = min(2, os.cpu_count() or 1)

Params = Mapping[str, Any]
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Problem:
    """What every candidate is scored on. ``x`` is float64 [n, columns], ``y`` class index or value [n].

    Where ``views`` [n, views, columns] are given, rows are learnt from in these, and asked about by their ``x``.
    """

    x: Floats
    y: Floats
    task: Task
    metric: str
    classes: int
    folds: Folds
    seed: int
    views: NDArray[np.float32] | None = None

    def lessons(self, rows: Ints | slice) -> tuple[Floats, Floats | Ints]:
        """What an estimator is fitted on for some rows: x and y, or each view of each of them as a row of its own."""
        y: Floats | Ints = self.y[rows].astype(np.int64) if self.classes else self.y[rows]
        if self.views is None:
            return self.x[rows], y
        some = self.views[rows]
        return some.reshape(-1, some.shape[2]).astype(np.float64), y.repeat(some.shape[1])

    def better(self, score: float) -> float:
        """A score turned so that higher is better; what is undefined is worst."""
        if not math.isfinite(score):
            return -math.inf
        return -score if self.metric in LOWER_IS_BETTER else score


@dataclass(frozen=True)
class Found:
    """The best settings, the score of each fold that defines one, and what is worth knowing."""

    params: Params
    scores: tuple[float, ...]
    notes: tuple[str, ...]


def settings_of(grid: Mapping[str, Sequence[Any]], seed: int) -> tuple[list[Params], tuple[str, ...]]:
    """Every combination of the values to try, in the order written; of more than ``MAX_SETTINGS``, a seeded draw."""
    count = math.prod(len(values) for values in grid.values())
    if count <= MAX_SETTINGS:
        return [_combination(grid, index) for index in range(count)], ()
    chosen = sorted(random.Random(seed).sample(range(count), MAX_SETTINGS))  # noqa: S311 - a draw, not a secret
    return [_combination(grid, index) for index in chosen], (
        f"{MAX_SETTINGS} of {count} settings tried, drawn at random",
    )


def search(
    make: Callable[[Params], Pipeline], settings: Sequence[Params], problem: Problem, progress: Progress
) -> Found:
    """Find the best settings and their cross-validated scores.

    Args:
        make: an unfitted pipeline for given settings.
        settings: what to try; ties go to the earlier one.

    Raises:
        TrainingError: no setting could be fitted and scored; carries the first reason.
    """
    left = list(settings)
    notes: list[str] = []
    rungs = rung_sizes(len(left), len(problem.y))
    scores: dict[int, tuple[float, ...]] = {}
    for number, rows in enumerate(rungs):
        what = f"{len(left)} settings" if len(left) > 1 else "cross-validation"
        progress(f"{what} on {rows:,} rows, {len(problem.folds.folds)} folds")
        outcome = _rung(make, left, problem, rows)
        reasons = [f"{dict(left[i])}: {reason}" for i, reason in outcome.failed.items()]
        if not outcome.scores:
            raise TrainingError(reasons[0] if left[0] else next(iter(outcome.failed.values())))
        notes += reasons
        ranked = sorted(outcome.scores, key=lambda i: -problem.better(_mean(outcome.scores[i])))
        keep = sorted(ranked[: math.ceil(len(left) / KEEP)]) if number < len(rungs) - 1 else ranked[:1]
        scores = {place: outcome.scores[i] for place, i in enumerate(keep)}
        left = [left[i] for i in keep]
    return Found(left[0], scores[0], tuple(notes))


def rung_sizes(settings: int, rows: int) -> list[int]:
    """Training rows per rung, growing threefold to all; small data and few settings have a single rung."""
    rungs = 1 + (math.floor(math.log(settings, KEEP) + 1e-9) if settings > 1 else 0)
    sizes = [rows // KEEP**step for step in range(rungs - 1, -1, -1)]
    return [size for size in sizes if size == rows or size >= MIN_RUNG_ROWS]


def fold_score(pipeline: Pipeline, problem: Problem, fold: Fold, rows: int) -> float:
    """Fit on about ``rows`` (a share) of a fold's training rows, and score on all its test rows.

    An estimator raises anything here where it cannot work with these parameters or rows.
    """
    size = round(len(fold.train) * rows / len(problem.y))
    chronological = problem.folds.kind == "chronological"
    train = thin(fold.train, problem.y, size, problem.seed, stratified=problem.classes > 0, chronological=chronological)
    pipeline.fit(*problem.lessons(train))
    return measure(problem.metric, problem.task, answers_of(pipeline, problem, fold))


def answers_of(pipeline: Pipeline, problem: Problem, fold: Fold) -> Answers:
    """What a fitted pipeline answers for the test rows of a fold. Raises ValueError where it gives no probabilities."""
    x, truth = problem.x[fold.test], problem.y[fold.test]
    predicted = np.asarray(pipeline.predict(x))
    if not problem.classes:
        return Answers(truth, np.empty(0, np.int64), np.empty((0, 0)), predicted.astype(np.float64).reshape(-1))
    if not hasattr(pipeline, "predict_proba"):
        raise ValueError(f"{type(pipeline[-1]).__name__} gives no probabilities with these parameters")
    probabilities = np.asarray(pipeline.predict_proba(x), dtype=np.float64)
    return Answers(truth, predicted.astype(np.int64), probabilities, np.empty(0))


@dataclass(frozen=True)
class _Rung:
    """Per setting, by its place: the scores of its folds, or why it failed."""

    scores: dict[int, tuple[float, ...]]
    failed: dict[int, str]


def _rung(make: Callable[[Params], Pipeline], settings: Sequence[Params], problem: Problem, rows: int) -> _Rung:
    def score(task: tuple[int, Fold]) -> float | str:
        place, fold = task
        try:
            with foreign():
                return fold_score(make(settings[place]), problem, fold, rows)
        except TrainingError as error:
            return first_line(error)

    tasks = list(itertools.product(range(len(settings)), problem.folds.folds))
    with ThreadPoolExecutor(WORKERS, initializer=threadpool_limits, initargs=(1, "openmp")) as pool:
        outcomes = list(pool.map(score, tasks))
    scores: dict[int, tuple[float, ...]] = {}
    failed: dict[int, str] = {}
    for place in range(len(settings)):
        found = [outcome for (of, _), outcome in zip(tasks, outcomes, strict=True) if of == place]
        defined = tuple(value for value in found if isinstance(value, float) and math.isfinite(value))
        errors = [value for value in found if isinstance(value, str)]
        if errors or not defined:
            failed[place] = errors[0] if errors else f"{problem.metric} is undefined on every fold"
        else:
            scores[place] = defined
    return _Rung(scores, failed)


def _combination(grid: Mapping[str, Sequence[Any]], index: int) -> Params:
    """The ``index``-th combination in the order of ``itertools.product``, without making the others."""
    found: dict[str, Any] = {}
    for key, values in reversed(list(grid.items())):
        index, place = divmod(index, len(values))
        found[key] = values[place]
    return {key: found[key] for key in grid}


def _mean(scores: Sequence[float]) -> float:
    return math.fsum(scores) / len(scores)
