"""The paired test: right where the answer is known, silent where nothing is, and not wrong more often than it says."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest, norm

from perennial.serving.predictor import Scores
from perennial.spec import METRICS, Task
from perennial.training.answers import Answers, Floats
from perennial.training.bootstrap import intervals
from perennial.training.paired import mcnemar, paired


def regression(truth: Floats, values: Floats) -> Answers:
    return Answers.of(truth, Scores(None, None, values))


def binary(truth: Floats, chance: Floats) -> Answers:
    return Answers.of(truth, Scores((chance > 0.5).astype(np.int64), np.column_stack([1 - chance, chance]), None))


def answers(task: Task, seed: int, noise: float, rows: int = 400) -> Answers:
    """One truth for every seed of noise, and a model that misses it by ``noise``."""
    draw = np.random.default_rng(7)
    signal = draw.normal(size=rows)
    seen = signal + np.random.default_rng(seed).normal(size=rows) * noise
    if task == "regression":
        return regression(signal, seen)
    classes = 2 if task == "binary" else 3
    edges = np.linspace(-0.6, 0.6, classes - 1) if classes > 2 else np.array([0.0])
    truth = np.digitize(signal, edges)
    centres = np.linspace(-1, 1, classes)
    odds = np.exp(-((seen[:, None] - centres) ** 2))
    chance = odds / odds.sum(axis=1, keepdims=True)
    return Answers.of(truth.astype(float), Scores(chance.argmax(axis=1), chance, None))


@pytest.mark.parametrize(("task", "metric"), [(task, metric) for task in METRICS for metric in METRICS[task]])
def test_the_better_model_gains_by_every_metric_and_the_worse_one_loses_as_much(task: Task, metric: str) -> None:
    good, bad = answers(task, 1, 0.2), answers(task, 2, 2.0)
    won = paired(metric, task, bad, good, seed=3, confidence=0.9)
    lost = paired(metric, task, good, bad, seed=3)
    assert won.low is not None and won.high is not None and won.bound is not None
    assert 0 < won.low < won.bound < won.gain < won.high
    assert won.p_value is not None and won.p_value < 0.01
    assert lost.gain == pytest.approx(-won.gain) and lost.high == pytest.approx(-won.low) and lost.bound is None
    assert (won.mcnemar is None) is (task == "regression")


def test_a_model_against_itself_gains_nothing_for_sure() -> None:
    one = answers("binary", 1, 1.0)
    found = paired("roc_auc", "binary", one, one, seed=3, confidence=0.95)
    assert (found.gain, found.low, found.high, found.bound) == (0, 0, 0, 0)
    assert (found.p_value, found.mcnemar) == (1, 1)


def test_the_interval_of_a_mean_difference_is_the_one_of_theory() -> None:
    draw = np.random.default_rng(1)
    truth = draw.normal(size=2000)
    champion, challenger = regression(truth, truth + draw.normal(size=2000)), regression(truth, truth + 0.7)
    differences = np.abs(truth - champion.values) - np.abs(truth - challenger.values)
    found = paired("mean_absolute_error", "regression", champion, challenger, seed=3, confidence=0.8)
    error = differences.std(ddof=1) / np.sqrt(2000)
    assert found.gain == pytest.approx(differences.mean())
    assert found.low == pytest.approx(differences.mean() - 1.96 * error, abs=0.2 * error)
    assert found.high == pytest.approx(differences.mean() + 1.96 * error, abs=0.2 * error)
    assert found.bound == pytest.approx(differences.mean() - norm.ppf(0.9) * error, abs=0.2 * error)
    assert found.p_value == pytest.approx(2 * norm.sf(abs(differences.mean()) / error), rel=0.6, abs=0.01)


def test_pairing_tells_apart_what_two_intervals_of_their_own_cannot() -> None:
    """Both find the same rows hard; one is a little better on each of them."""
    draw = np.random.default_rng(2)
    truth, hard = draw.normal(size=500), draw.gamma(0.5, 4, size=500)
    champion, challenger = regression(truth, truth + hard + 0.05), regression(truth, truth + hard)
    own = [intervals("regression", one, 3)["mean_absolute_error"] for one in (champion, challenger)]
    assert own[0].low is not None and own[1].high is not None and own[1].high > own[0].low
    found = paired("mean_absolute_error", "regression", champion, challenger, seed=3)
    assert found.low == pytest.approx(0.05) and found.p_value is not None and found.p_value < 0.01


def test_equal_models_are_told_apart_no_more_often_than_the_interval_says() -> None:
    significant = 0
    for seed in range(120):
        draw = np.random.default_rng(seed)
        truth = (draw.random(200) < 0.5).astype(float)
        one, two = (binary(truth, np.clip(0.5 + (truth - 0.5) * 0.3 + draw.normal(size=200) * 0.3, 0, 1)) for _ in "ab")
        found = paired("accuracy", "binary", one, two, seed=seed)
        assert found.low is not None
        significant += found.low > 0
    assert significant <= 8  # one in forty, and what chance adds to 120 tries


def test_mcnemar_is_the_exact_binomial_test_of_the_rows_that_only_one_has_right() -> None:
    champion, challenger = answers("binary", 1, 1.0), answers("binary", 2, 0.6)
    right, left = (one.labels == one.truth for one in (champion, challenger))
    won, lost = int((left & ~right).sum()), int((right & ~left).sum())
    assert won > lost > 0
    assert mcnemar(champion, challenger) == pytest.approx(binomtest(won, won + lost).pvalue, rel=1e-9)
    assert mcnemar(challenger, champion) == mcnemar(champion, challenger)


def test_the_same_seed_gives_the_same_figures() -> None:
    pair = answers("multiclass", 1, 1.0), answers("multiclass", 2, 0.8)
    first = paired("log_loss", "multiclass", *pair, seed=5)
    assert paired("log_loss", "multiclass", *pair, seed=5) == first
    assert paired("log_loss", "multiclass", *pair, seed=6) != first


def test_what_most_resamples_do_not_define_has_no_interval() -> None:
    truth = np.array([1.0, *np.zeros(9)])
    one, two = binary(truth, np.linspace(0.1, 0.9, 10)), binary(truth, np.linspace(0.9, 0.1, 10))
    sparse = paired("roc_auc", "binary", one, two, seed=1)
    assert sparse.gain == 1.0 and sparse.low is not None  # a single positive row is in two thirds of the resamples
    none = paired("roc_auc", "binary", binary(truth * 0, two.probabilities[:, 1]), binary(truth * 0, truth), seed=1)
    assert np.isnan(none.gain) and none.low is None and none.p_value is None
