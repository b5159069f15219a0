"""Train one candidate: search, cross-validate, fit on all training rows, export, and prove the export."""

from __future__ import annotations

import difflib
import hashlib
import math
import warnings
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from scipy.stats import t as student
from sklearn.base import BaseEstimator, is_classifier, is_regressor
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from perennial.datasets.load import Rows
from perennial.errors import ExportError, TrainingError
from perennial.export import export_pipeline, prove
from perennial.records import Column, columns
from perennial.registry.manifest import FileRef, Metric
from perennial.spec import ModelSpec
from perennial.training.allowed import SILENCED, resolve
from perennial.training.answers import Floats
from perennial.training.folds import make_folds
from perennial.training.foreign import first_line, foreign
from perennial.training.outcome import ONNX_TYPE, CandidateReport, RefusedCandidate, TrainedCandidate
from perennial.training.preprocess import build_pipeline
from perennial.training.search import Found, Params, Problem, Progress, search, settings_of
from perennial.training.weights import CLASS_WEIGHT, with_indices

CONFIDENCE = 0.975
SEEDS = 2**32


def training_seed(spec: ModelSpec) -> int:
    """The one seed of everything random in training: the holdout's, in the range the libraries take."""
    return spec.holdout.seed % SEEDS


def train_candidate(
    spec: ModelSpec,
    name: str,
    rows: Rows,
    holdout_x: Floats,
    classes: tuple[str, ...],
    progress: Progress,
) -> TrainedCandidate | RefusedCandidate:
    """Train one candidate of the spec. Repeating it gives the same bytes.

    Args:
        rows: the training part.
        holdout_x: the holdout's matrix [n, columns], on which the export must match; its labels are never seen.
        classes: labels by class index; empty for a regression.
        progress: told what is going on, a line at a time.

    Raises:
        TrainingError: the training rows leave nothing to learn, whatever the candidate.
    """
    seed = training_seed(spec)
    folds = make_folds(spec, rows.y, rows.table, classes, seed)
    problem = Problem(rows.x, rows.y, spec.task, spec.metric, len(classes), folds, seed)
    with threadpool_limits(1), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        outcome = _attempt(spec, name, problem, holdout_x, classes, progress)
    warned = [f"{warning.category.__name__}: {first_line(warning.message)}" for warning in caught]
    return _noted(outcome, (*folds.notes, *warned))


def _attempt(
    spec: ModelSpec, name: str, problem: Problem, holdout_x: Floats, classes: tuple[str, ...], progress: Progress
) -> TrainedCandidate | RefusedCandidate:
    try:
        return _train(_Work(spec, name, problem, holdout_x, classes, progress))
    except (TrainingError, ExportError) as error:
        return RefusedCandidate(name=name, estimator=spec.candidates[name].estimator, reason=first_line(error))


def _noted(outcome: TrainedCandidate | RefusedCandidate, notes: Iterable[str]) -> TrainedCandidate | RefusedCandidate:
    """The outcome with more notes, each only once, in a settled order: threads do not warn in one."""
    report = outcome if isinstance(outcome, RefusedCandidate) else outcome.report
    distinct = tuple(sorted({*report.notes, *notes}))
    if isinstance(outcome, RefusedCandidate):
        return outcome.model_copy(update={"notes": distinct})
    return replace(outcome, report=outcome.report.model_copy(update={"notes": distinct}))


class _Work:
    """One candidate with all it is trained from."""

    def __init__(
        self,
        spec: ModelSpec,
        name: str,
        problem: Problem,
        holdout_x: Floats,
        classes: tuple[str, ...],
        progress: Progress,
    ) -> None:
        self.name, self.candidate = name, spec.candidates[name]
        self.problem, self.holdout_x, self.classes = problem, holdout_x, classes
        self.columns: tuple[Column, ...] = columns(spec)
        self._progress = progress
        self._check()

    def progress(self, text: str) -> None:
        """Pass on what is going on, under the candidate's name."""
        self._progress(f"{self.name}: {text}")

    def pipeline(self, found: Params) -> Pipeline:
        """An unfitted pipeline with the candidate's parameters and ``found`` on top of them."""
        return build_pipeline(self.columns, self._resolve(found))

    def fit(self, found: Params) -> Pipeline:
        """The pipeline fitted on all training rows. Raises TrainingError."""
        y = self.problem.y.astype(np.int64) if self.problem.classes else self.problem.y
        with foreign():
            pipeline = self.pipeline(found)
            pipeline.fit(self.problem.x, y)
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

    def _check(self) -> None:
        """Raises TrainingError where the estimator is not of the task, or a parameter is not one of its own."""
        path, place, classify = self.candidate.estimator, f"candidates.{self.name}", self.problem.classes > 0
        estimator = resolve(path, {}, self.problem.seed, f"{place}.estimator")
        if not (is_classifier if classify else is_regressor)(estimator):
            raise TrainingError(
                f"{place}.estimator: {path} does not fit a {self.problem.task} task.",
                remedy=f"Name a {'classifier' if classify else 'regressor'}.",
            )
        known = estimator.get_params()
        for section, keys in (("params", self.candidate.params), ("search", self.candidate.search)):
            for key in keys:
                if key not in known:
                    close = difflib.get_close_matches(key, known, n=3)
                    hint = f"Did you mean {' or '.join(close)}?" if close else f"It takes {', '.join(sorted(known))}."
                    raise TrainingError(f"{place}.{section}.{key}: {path} has no such parameter.", remedy=hint)


def _train(work: _Work) -> TrainedCandidate:
    problem = work.problem
    settings, drawn = settings_of(work.candidate.search, problem.seed)
    found = search(work.pipeline, settings, problem, work.progress)
    work.progress(f"fitting on all {len(problem.y):,} training rows")
    pipeline = work.fit(found.params)
    work.progress("exporting, and proving the export")
    with foreign():
        onnx = export_pipeline(pipeline, work.columns, problem.classes)
        proof = prove(pipeline, onnx, work.columns, work.holdout_x)
    report = CandidateReport(
        name=work.name,
        estimator=work.candidate.estimator,
        params={**work.candidate.params, **found.params},
        cross_validation=_score(found, problem.folds.kind),
        folds=found.scores,
        fold_kind=problem.folds.kind,
        train_rows=len(problem.y),
        seed=problem.seed,
        parity=proof,
        model=FileRef(digest=hashlib.sha256(onnx).hexdigest(), size=len(onnx), media_type=ONNX_TYPE),
        notes=(*work.notes(), *drawn, *found.notes),
    )
    return TrainedCandidate(report, onnx)


def _score(found: Found, kind: str) -> Metric:
    """Mean of the folds and, where they are alike, its 95 % interval: chronological ones grow from one to the next."""
    count = len(found.scores)
    mean = math.fsum(found.scores) / count
    if count < 2 or kind == "chronological":
        return Metric(value=mean)
    half = float(student.ppf(CONFIDENCE, count - 1) * np.std(found.scores, ddof=1) / math.sqrt(count))
    return Metric(value=mean, low=mean - half, high=mean + half)
