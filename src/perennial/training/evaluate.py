"""The one look at the holdout: what the exported model answers there, measured."""

from __future__ import annotations

import numpy as np

from perennial.datasets.load import Rows
from perennial.errors import TrainingError
from perennial.serving.predictor import Predictor, Scores
from perennial.spec import METRICS, ModelSpec
from perennial.training.answers import Answers
from perennial.training.bootstrap import intervals
from perennial.training.curves import classification_charts, importance_chart, regression_charts
from perennial.training.evaluation import Evaluation
from perennial.training.importance import Scorer, importance
from perennial.training.mistakes import mistakes
from perennial.training.slices import slices


def evaluate(scorer: Scorer, holdout: Rows, spec: ModelSpec, classes: tuple[str, ...], seed: int) -> Evaluation:
    """Measure a model on the holdout.

    Args:
        scorer: the predictor of the exported model, so that what is measured is what will serve.
        holdout: the rows no training has seen.
        classes: labels by class index; empty for a regression.
        seed: of the bootstrap, the shuffles and the rows drawn for clouds of points.

    Raises:
        TrainingError: the spec's metric is undefined on the holdout, or an answer is not finite.
    """
    answers = answered(scorer, holdout)
    metrics = intervals(spec.task, answers, seed)
    if spec.metric not in metrics:
        raise TrainingError(
            f"{spec.metric} is undefined on the {answers.rows} holdout rows: {_why(answers, classes)}.",
            remedy="Land more rows, raise holdout.fraction, or choose another metric.",
        )
    important, drawn = importance(scorer, spec, holdout.x, holdout.y, seed) if holdout.pictures is None else ((), 0)
    charts = (
        classification_charts(answers, classes) if classes else regression_charts(answers, spec.target.column, seed)
    )
    if important:
        charts.append(importance_chart(important, spec.metric, drawn))
    undefined = [name for name in METRICS[spec.task] if name not in metrics]
    return Evaluation(
        task=spec.task,
        metric=spec.metric,
        classes=classes,
        rows=answers.rows,
        metrics=metrics,
        slices=slices(spec, holdout.x, answers),
        importance=important,
        importance_rows=drawn,
        charts=tuple(charts),
        mistakes=mistakes(answers) if holdout.pictures is not None else None,
        notes=tuple(f"{name} is undefined: {_why(answers, classes)}" for name in undefined),
    )


def answered(scorer: Scorer, rows: Rows) -> Answers:
    """What a model answers for the rows. Raises TrainingError where an answer is not finite."""
    answers = Answers.of(rows.y, _scores(scorer, rows))
    finite = np.isfinite(answers.probabilities).all(axis=1) if answers.classes else np.isfinite(answers.values)
    if not finite.all():
        raise TrainingError(
            f"The model has no finite answer for {int((~finite).sum())} of {answers.rows} holdout rows.",
            remedy="Bound the numbers that are far out of range by min and max in the spec.",
        )
    return answers


def _scores(scorer: Scorer, rows: Rows) -> Scores:
    if rows.pictures is None:
        return scorer.run(rows.x)
    assert isinstance(scorer, Predictor) and scorer.manifest.pixels is not None  # a model of pictures
    return scorer.look(rows.pictures.framed(scorer.manifest.pixels))


def _why(answers: Answers, classes: tuple[str, ...]) -> str:
    present = np.unique(answers.truth)
    if len(present) > 1:
        return "too few rows"
    return f"all are {classes[int(present[0])]!r}" if classes else "they all have the same value"
