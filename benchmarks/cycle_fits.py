"""Every fit of a cycle, noted while it runs, so that the very same can be done again by scikit-learn alone."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import joblib
import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from perennial.training.search import WORKERS, Problem

Workers = Literal["threads", "processes"]


@dataclass(frozen=True)
class Fit:
    """One fit: the pipeline as it was before, and which of the training rows it learnt from."""

    pipeline: Pipeline
    rows: NDArray[np.int64]

    def __str__(self) -> str:
        return f"{type(self.pipeline[-1]).__name__} on {len(self.rows):,} rows"


@dataclass
class Plan:
    """The fits of a cycle over the training part ``x`` [n, columns], ``y`` [n], in ``phases``.

    Those of one phase (a rung of a search, or the fit on all rows) need nothing of each other; a phase needs what the
    one before found.
    """

    x: NDArray[np.float64]
    y: NDArray[np.int64]
    phases: list[list[Fit]]

    def write(self, path: Path) -> None:
        joblib.dump(self, path)

    @staticmethod
    def read(path: Path) -> Plan:
        found = joblib.load(path)
        assert isinstance(found, Plan)
        return found


@dataclass
class Recorder:
    """Notes every fit of a cycle in its process; ``phase`` is called by the cycle's progress."""

    phases: list[list[Fit]] = field(default_factory=list)
    problem: Problem | None = None

    def phase(self, line: str) -> None:
        """What a cycle says at the start of each phase, and elsewhere: a phase without fits does not count."""
        if not self.phases or self.phases[-1]:
            self.phases.append([])

    def plan(self) -> Plan:
        assert self.problem is not None
        return Plan(self.problem.x, self.problem.y.astype(np.int64), [phase for phase in self.phases if phase])

    @contextmanager
    def noting(self) -> Iterator[None]:
        """While it is open, every fit of a pipeline in this process is noted with the rows it was asked to learn."""
        local = threading.local()
        lessons, fit = Problem.lessons, Pipeline.fit

        def noted_lessons(problem: Problem, rows: NDArray[np.int64] | slice) -> tuple[Any, Any]:
            self.problem = problem
            local.rows = np.arange(len(problem.y))[rows]
            return lessons(problem, rows)

        def noted_fit(pipeline: Pipeline, x: Any, y: Any = None, **more: Any) -> Pipeline:
            assert len(x) == len(local.rows)  # whatever else is fitted in a cycle has to be told here too
            self.phases[-1].append(Fit(clone(pipeline), local.rows))
            found: Pipeline = fit(pipeline, x, y, **more)
            return found

        Pipeline.fit = noted_fit
        Problem.lessons = noted_lessons  # type: ignore[method-assign,assignment]
        try:
            yield
        finally:
            Pipeline.fit = fit
            Problem.lessons = lessons  # type: ignore[method-assign]


@contextmanager
def counting(counts: Counter[str]) -> Iterator[None]:
    """Count the fits of pipelines in this process: cheap enough for a run that is timed."""
    fit = Pipeline.fit

    def counted(pipeline: Pipeline, x: Any, y: Any = None, **more: Any) -> Pipeline:
        counts[type(pipeline[-1]).__name__] += 1
        found: Pipeline = fit(pipeline, x, y, **more)
        return found

    Pipeline.fit = counted
    try:
        yield
    finally:
        Pipeline.fit = fit


def repeat(plan: Plan, workers: Workers) -> tuple[float, Counter[str]]:
    """Do the fits of a plan and nothing else, by as many workers as a cycle has: seconds, and how many of each.

    Each fit runs on one thread, as in a cycle. Nothing is scored, chosen, exported or kept.
    """
    started = time.perf_counter()
    counts: Counter[str] = Counter()
    with threadpool_limits(1), joblib.Parallel(WORKERS, prefer=workers) as parallel:
        for phase in plan.phases:
            counts.update(parallel(joblib.delayed(_fit)(plan.x, plan.y, one) for one in _given(phase)))
    return time.perf_counter() - started, counts


def _given(phase: Sequence[Fit]) -> Iterator[Fit]:
    """A plan may be done more than once, so nobody fits what it holds."""
    return (Fit(clone(one.pipeline), one.rows) for one in phase)


def _fit(x: NDArray[np.float64], y: NDArray[np.int64], one: Fit) -> str:
    with threadpool_limits(1):
        one.pipeline.fit(x[one.rows], y[one.rows])
    return type(one.pipeline[-1]).__name__
