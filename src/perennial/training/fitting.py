"""One scikit-learn candidate over a matrix: search, cross-validate, and fit on all training rows."""

from __future__ import annotations

import difflib
import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student
from sklearn.base import BaseEstimator, is_classifier, is_regressor
from sklearn.pipeline import Pipeline

from perennial.errors import TrainingError
from perennial.records import Column
from perennial.registry.manifest import FileRef, Metric, Parity
from perennial.spec import Candidate, Frame
from perennial.training.allowed import SILENCED, resolve
from perennial.training.foreign import foreign
from perennial.training.outcome import ONNX_TYPE, CandidateReport
from perennial.training.preprocess import build_pipeline
from perennial.training.search import Found, Params, Problem, Progress, search, settings_of
from perennial.training.weights import CLASS_WEIGHT, with_indices

CONFIDENCE = 0.975


class Fitting:
    """A candidate of the spec that is an estimator, with all it is fitted from.

    Raises:
        TrainingError: the estimator is not of the task, or a parameter is not one of its own.
    """

    def __init__(
        self,
        name: str,
        candidate: Candidate,
        problem: Problem,
        columns: Sequence[Column],
        classes: tuple[str, ...],
        progress: Progress,
    ) -> None:
        self.name, self.candidate = name, candidate
        self.problem, self.classes = problem, classes
        self.columns = tuple(columns)
        self._progress = progress
        check_estimator(name, candidate, problem.task, problem.seed)

    def progress(self, text: str) -> None:
        """Pass on what is going on, under the candidate's name."""
        self._progress(f"{self.name}: {text}")

    def pipeline(self, found: Params) -> Pipeline:
        """An unfitted pipeline with the candidate's parameters and ``found`` on top of them."""
        return build_pipeline(self.columns, self._resolve(found))

    def fit(self, found: Params) -> Pipeline:
        """The pipeline fitted on all training rows. Raises TrainingError."""
        with foreign():
            pipeline = self.pipeline(found)
            pipeline.fit(*self.problem.lessons(slice(None)))
        return pipeline

    def notes(self) -> tuple[str, ...]:
        """What was asked for and is not done."""
        given = [name for name in SILENCED if name in {**self.candidate.params, **self.candidate.search}]
        return tuple(f"{name} is left out: what a library prints would stand in the way of results" for name in given)

    def _resolve(self, found: Params) -> BaseEstimator:
        place = f"candidates.{self.name}"
        section = "search" if CLASS_WEIGHT in found else "params"
        params = with_indices({**self.candidate.params, **found}, self.classes, f"{place}.{section}")
        return resolve(self.candidate.estimator, params, self.problem.seed, f"{place}.estimator")


@dataclass(frozen=True)
class Fit:
    """The pipeline with the best settings, fitted on all training rows; ``notes`` say what was odd."""

    pipeline: Pipeline
    found: Found
    notes: tuple[str, ...]


def search_and_fit(work: Fitting) -> Fit:
    """Find the best settings by cross-validation, and fit with them. Raises TrainingError."""
    problem = work.problem
    settings, drawn = settings_of(work.candidate.search, problem.seed)
    found = search(work.pipeline, settings, problem, work.progress)
    work.progress(f"fitting on all {len(problem.y):,} training rows")
    return Fit(work.fit(found.params), found, (*work.notes(), *drawn, *found.notes))


def report_of(work: Fitting, fit: Fit, onnx: bytes, parity: Parity, pixels: Frame | None = None) -> CandidateReport:
    """What is told of a candidate whose graph has been proven."""
    problem = work.problem
    return CandidateReport(
        name=work.name,
        estimator=work.candidate.estimator,
        params={**work.candidate.params, **fit.found.params},
        cross_validation=score_of(fit.found.scores, problem.folds.kind),
        folds=fit.found.scores,
        fold_kind=problem.folds.kind,
        train_rows=len(problem.y),
        seed=problem.seed,
        parity=parity,
        model=FileRef(digest=hashlib.sha256(onnx).hexdigest(), size=len(onnx), media_type=ONNX_TYPE),
        pixels=pixels,
        notes=fit.notes,
    )


def score_of(scores: Sequence[float], kind: str) -> Metric:
    """Mean of the folds and, where they are alike, its 95 % interval: chronological ones grow from one to the next."""
    count = len(scores)
    mean = math.fsum(scores) / count
    if count < 2 or kind == "chronological":
        return Metric(value=mean)
    half = float(student.ppf(CONFIDENCE, count - 1) * np.std(scores, ddof=1) / math.sqrt(count))
    return Metric(value=mean, low=mean - half, high=mean + half)


def check_estimator(name: str, candidate: Candidate, task: str, seed: int) -> None:
    """Raises TrainingError where the estimator is not of the task, or a parameter is not one of its own."""
    path, place, classify = candidate.estimator, f"candidates.{name}", task != "regression"
    estimator = resolve(path, {}, seed, f"{place}.estimator")
    if not (is_classifier if classify else is_regressor)(estimator):
        raise TrainingError(
            f"{place}.estimator: {path} does not fit a {task} task.",
            remedy=f"Name a {'classifier' if classify else 'regressor'}.",
        )
    known = estimator.get_params()
    for section, keys in (("params", candidate.params), ("search", candidate.search)):
        for key in keys:
            if key not in known:
                close = difflib.get_close_matches(key, known, n=3)
                hint = f"Did you mean {' or '.join(close)}?" if close else f"It takes {', '.join(sorted(known))}."
                raise TrainingError(f"{place}.{section}.{key}: {path} has no such parameter.", remedy=hint)
