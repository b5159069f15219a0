"""Permutation importance (Breiman, 2001; Fisher, Rudin and Dominici, 2019) of the exported model."""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np

from perennial.records import columns
from perennial.serving.predictor import Scores
from perennial.spec import ModelSpec
from perennial.training.answers import Answers, Floats
from perennial.training.evaluation import Importance
from perennial.training.metrics import measure

ROWS = 2_000
REPEATS = 5
CELLS = 20_000_000


class Scorer(Protocol):
    """Whatever answers a float64 matrix [n, columns]: the predictor of a version."""

    def run(self, x: Floats) -> Scores: ...


def importance(scorer: Scorer, spec: ModelSpec, x: Floats, y: Floats, seed: int) -> tuple[tuple[Importance, ...], int]:
    """How much the spec's metric suffers when one feature's values are shuffled between rows.

    All columns of a feature (the parts of a date) are shuffled together. At most ``ROWS`` rows, drawn at random,
    are scored ``REPEATS`` times a feature; fewer for very wide data, so that the work stays bounded.

    Returns:
        The importances, largest first, and the rows they were measured on.
    """
    generator = np.random.default_rng(seed)
    places: dict[str, list[int]] = {}
    for index, column in enumerate(columns(spec)):
        places.setdefault(column.feature, []).append(index)
    count = min(len(y), ROWS, max(100, CELLS // (REPEATS * len(places) * x.shape[1])))
    drawn = np.sort(generator.permutation(len(y))[:count])
    x, y = np.ascontiguousarray(x[drawn]), y[drawn]
    whole = measure(spec.metric, spec.task, Answers.of(y, scorer.run(x)))
    found = []
    for feature, at in places.items():
        losses = []
        for _ in range(REPEATS):
            shuffled = x.copy()
            shuffled[:, at] = x[generator.permutation(count)][:, at]
            score = measure(spec.metric, spec.task, Answers.of(y, scorer.run(shuffled)))
            losses.append(score - whole if spec.lower_is_better else whole - score)
        if math.isfinite(whole):
            found.append(
                Importance(feature=feature, mean=float(np.mean(losses)), deviation=float(np.std(losses, ddof=1)))
            )
    return tuple(sorted(found, key=lambda one: -one.mean)), count
