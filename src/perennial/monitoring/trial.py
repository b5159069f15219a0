"""A challenger on trial against its champion: how often it fails, where they disagree, and who was right.

Errors and disagreement are judged by bounds that hold however often one looks (:mod:`perennial.monitoring.sequential`),
so that a trial may be stopped by them. Performance is told with the paired interval of the gate, which holds for one
look: it is for a person to read, and stops nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from perennial.monitoring.beside import Sides, sides
from perennial.monitoring.columns import Columns
from perennial.monitoring.observed import Labelled, labelled
from perennial.monitoring.performance import SEED, answered
from perennial.monitoring.results import Rate, TrialGain, TrialMetric, TrialReport
from perennial.monitoring.sequential import bounds
from perennial.registry.entries import LogEntry, Trial
from perennial.registry.manifest import ModelManifest
from perennial.spec import METRICS
from perennial.spec_policy import TrialPolicy
from perennial.store import Store
from perennial.training.answers import Answers
from perennial.training.metrics import prepare
from perennial.training.paired import paired


@dataclass(frozen=True)
class Tried:
    """A trial to be looked at. ``entry`` is the newest of the log, whose ``trial`` runs; ``since`` when that began.

    ``champion`` is its manifest; a challenger has the same task, target and classes.
    """

    entry: LogEntry
    trial: Trial
    champion: ModelManifest
    since: datetime


def compare(store: Store, policy: TrialPolicy, tried: Tried, until: datetime) -> TrialReport:
    """Compare the two sides of a trial on what was captured before ``until``, by the bounds of the spec.

    Raises:
        IntegrityError: a label or a label file is damaged.
        StoreUnavailable: S3 does not answer.
    """
    spec = tried.champion.spec
    truth = labelled(store, spec, since=tried.since, until=until)
    named = frozenset(truth.about.column("prediction_id").to_pylist())
    found = sides(store, spec, tried.trial, tried.entry, tried.since, until, keep=named)
    errors = _rate(float(found.failed), found.asked, policy.error_rate, least=1)
    apart = _rate(found.apart, found.pairs, policy.disagreement, least=policy.minimum_rows)
    reasons = tuple(
        f"{what} {rate.value:.2%} on {rate.rows:,} rows, surely above {rate.low:.2%}, where {rate.bound:.2%} is allowed"
        for what, rate in (("its error rate is", errors), ("it disagrees with the champion on", apart))
        if rate.broken and rate.value is not None and rate.bound is not None
    )
    gain, metrics, labels = _performance(tried, truth, found)
    unknown = found.pairs < policy.minimum_rows
    return TrialReport(
        trial=tried.trial,
        champion=tried.entry.version,
        generation=tried.entry.generation,
        since=tried.since,
        until=until,
        rows=found.rows,
        answered=found.answered,
        errors=errors,
        disagreement=apart,
        labels=labels,
        gain=gain,
        metrics=metrics,
        status="stop" if reasons else "unknown" if unknown else "ok",
        reasons=reasons or ((f"{found.pairs:,} rows, {policy.minimum_rows:,} are needed",) if unknown else ()),
    )


def _rate(total: float, rows: int, bound: float | None, *, least: int) -> Rate:
    """A share with its confidence sequence; broken where even its lower end is beyond the bound."""
    low, high = bounds(total, rows)
    broken = bound is not None and rows >= least and low > bound
    return Rate(rows=rows, value=total / rows if rows else None, low=low, high=high, bound=bound, broken=broken)


def _performance(tried: Tried, truth: Labelled, found: Sides) -> tuple[TrialGain | None, tuple[TrialMetric, ...], int]:
    """The gain in the spec's metric, every metric of both, and on how many rows: those that both answered."""
    champion, challenger = _pairs(tried, truth, found)
    if champion.rows == 0:
        return None, (), 0
    task, whole = tried.champion.spec.task, np.ones((1, champion.rows))
    values = [
        (name, *(float(prepare(name, task, each)(whole)[0]) for each in (champion, challenger)))
        for name in METRICS[task]
    ]
    metrics = tuple(TrialMetric(metric=name, champion=ours, challenger=theirs) for name, ours, theirs in values)
    metric = tried.champion.spec.metric
    gain = paired(metric, task, champion, challenger, seed=SEED)
    return (
        TrialGain(metric=metric, gain=gain.gain, low=gain.low, high=gain.high, p_value=gain.p_value,
                  mcnemar=gain.mcnemar),
        metrics,
        champion.rows,
    )  # fmt: skip


def _pairs(tried: Tried, truth: Labelled, found: Sides) -> tuple[Answers, Answers]:
    """What champion and challenger answered on the same rows whose truth is known, in the same order."""
    identifiers = truth.about.column("prediction_id").to_pylist()
    places = [row for row, one in enumerate(identifiers) if one in found.kept]
    chosen = pa.array(places, pa.int64())
    rows, about = truth.rows.take(chosen), truth.about.take(chosen)
    shadows = Columns(tried.champion.spec)
    for row in places:
        shadows.add(found.kept[identifiers[row]])
    _, beside = shadows.tables()
    by_challenger = pc.equal(about.column("version"), tried.trial.version).to_numpy()
    first, sound_first = answered(tried.champion, rows, about)
    second, sound_second = answered(tried.champion, rows, beside)
    sound = sound_first & sound_second
    ours = _chosen(by_challenger, second, first).take(sound)
    return ours, _chosen(by_challenger, first, second).take(sound)


def _chosen(choose: np.ndarray[tuple[int], np.dtype[np.bool_]], these: Answers, those: Answers) -> Answers:
    """Row by row, ``these`` where chosen and ``those`` elsewhere."""
    column = choose[:, None]
    return Answers(
        these.truth,
        np.where(choose, these.labels, those.labels) if len(these.labels) else these.labels,
        np.where(column, these.probabilities, those.probabilities) if these.classes else these.probabilities,
        np.where(choose, these.values, those.values) if len(these.values) else these.values,
    )
