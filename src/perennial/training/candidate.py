"""Train one candidate: search, cross-validate, fit on all training rows, export, and prove the export."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np
from threadpoolctl import threadpool_limits

from perennial.datasets.load import Rows
from perennial.datasets.pictures import Pictures
from perennial.errors import ExportError, TrainingError
from perennial.export import export_pipeline, prove
from perennial.records import columns
from perennial.spec import ModelSpec
from perennial.training.answers import Floats
from perennial.training.fitting import Fitting, report_of, search_and_fit
from perennial.training.folds import Folds, make_folds
from perennial.training.foreign import first_line, foreign
from perennial.training.outcome import RefusedCandidate, TrainedCandidate
from perennial.training.picture_work import PictureWork
from perennial.training.search import Problem, Progress

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
    *,
    holdout_pictures: Pictures | None = None,
) -> TrainedCandidate | RefusedCandidate:
    """Train one candidate of the spec. Repeating it gives the same bytes.

    Args:
        rows: the training part.
        holdout_x: the holdout's matrix [n, columns], on which the export must match; its labels are never seen.
        classes: labels by class index; empty for a regression.
        progress: told what is going on, a line at a time.
        holdout_pictures: those of the holdout, for a model of pictures.

    Raises:
        TrainingError: the training rows leave nothing to learn, whatever the candidate.
        IntegrityError: a picture is gone or altered.
    """
    seed = training_seed(spec)
    folds = make_folds(spec, rows.y, rows.table, classes, seed)

    def train() -> TrainedCandidate:
        if rows.pictures is None:
            problem = Problem(rows.x, rows.y, spec.task, spec.metric, len(classes), folds, seed)
            return _train_table(spec, name, problem, holdout_x, classes, progress)
        assert holdout_pictures is not None  # both sides are of the same spec
        return _train_pictures(
            PictureWork(
                spec, name, spec.candidates[name], rows.pictures, rows.y.astype(np.int64), holdout_pictures, classes,
                folds, seed, rows.pictures.store, progress,
            )
        )  # fmt: skip

    return _attempt(spec, name, folds, train)


def _attempt(
    spec: ModelSpec, name: str, folds: Folds, train: Callable[[], TrainedCandidate]
) -> TrainedCandidate | RefusedCandidate:
    with threadpool_limits(1), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            outcome: TrainedCandidate | RefusedCandidate = train()
        except (TrainingError, ExportError) as error:
            estimator = spec.candidates[name].estimator
            outcome = RefusedCandidate(name=name, estimator=estimator, reason=first_line(error))
    warned = [f"{warning.category.__name__}: {first_line(warning.message)}" for warning in caught]
    return _noted(outcome, (*folds.notes, *warned))


def _noted(outcome: TrainedCandidate | RefusedCandidate, notes: Iterable[str]) -> TrainedCandidate | RefusedCandidate:
    """The outcome with more notes, each only once, in a settled order: threads do not warn in one."""
    report = outcome if isinstance(outcome, RefusedCandidate) else outcome.report
    distinct = tuple(sorted({*report.notes, *notes}))
    if isinstance(outcome, RefusedCandidate):
        return outcome.model_copy(update={"notes": distinct})
    return replace(outcome, report=outcome.report.model_copy(update={"notes": distinct}))


def _train_table(
    spec: ModelSpec, name: str, problem: Problem, holdout_x: Floats, classes: tuple[str, ...], progress: Progress
) -> TrainedCandidate:
    work = Fitting(name, spec.candidates[name], problem, columns(spec), classes, progress)
    fit = search_and_fit(work)
    work.progress("exporting, and proving the export")
    with foreign():
        onnx = export_pipeline(fit.pipeline, work.columns, problem.classes)
        parity = prove(fit.pipeline, onnx, work.columns, holdout_x)
    return TrainedCandidate(report_of(work, fit, onnx, parity), onnx)


def _train_pictures(work: PictureWork) -> TrainedCandidate:
    """By the estimator over what it sees of a picture, or by a network over the pictures themselves."""
    if work.candidate.torch is not None:
        from perennial.training.networks import train_network  # needed only where a spec names one

        return train_network(work)
    from perennial.training.pictures import train_pictures

    return train_pictures(work)
