"""95 % confidence intervals by the percentile bootstrap (Efron, 1979) over the rows of the holdout."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from perennial.registry.manifest import Metric
from perennial.spec import METRICS, Task
from perennial.training.answers import Answers, Floats
from perennial.training.metrics import prepare

RESAMPLES = 500
FEWEST_RESAMPLES = 100
BUDGET = 150_000_000
CHUNK_CELLS = 1_000_000
PERCENTILES = (2.5, 97.5)


def intervals(task: Task, answers: Answers, seed: int) -> dict[str, Metric]:
    """Every metric of the task that is defined on these rows, with its interval; all share the same resamples.

    An interval is left out where fewer than half of the resamples define the metric (a class so rare that
    most of them miss it).
    """
    prepared = {name: prepare(name, task, answers) for name in METRICS[task]}
    whole = np.ones((1, answers.rows))
    values = {name: float(metric(whole)[0]) for name, metric in prepared.items()}
    defined = [name for name, value in values.items() if np.isfinite(value)]
    drawn: dict[str, list[Floats]] = {name: [] for name in defined}
    for weights in resamples(answers.rows, seed, resample_count(answers)):
        for name in defined:
            drawn[name].append(prepared[name](weights))
    return {name: _metric(values[name], np.concatenate(drawn[name])) for name in defined}


def resample_count(answers: Answers, most: int = RESAMPLES) -> int:
    """``most``, or fewer for very many rows or classes, so that the work stays bounded."""
    return min(most, max(FEWEST_RESAMPLES, BUDGET // (answers.rows * max(answers.classes, 1))))


def resamples(rows: int, seed: int, count: int = RESAMPLES) -> Iterator[Floats]:
    """How often each row is drawn in each of ``count`` resamples, in chunks [chunk, rows]."""
    generator = np.random.default_rng(seed)
    size = max(1, CHUNK_CELLS // max(rows, 1))
    for start in range(0, count, size):
        chunk = min(size, count - start)
        draws = generator.integers(0, rows, size=(chunk, rows)) + np.arange(chunk)[:, None] * rows
        yield np.bincount(draws.ravel(), minlength=chunk * rows).reshape(chunk, rows).astype(np.float64)


def _metric(value: float, drawn: Floats) -> Metric:
    finite = drawn[np.isfinite(drawn)]
    if len(finite) < len(drawn) / 2:
        return Metric(value=value)
    low, high = np.percentile(finite, PERCENTILES)
    return Metric(value=value, low=float(low), high=float(high))
