"""What a monitoring pass finds: frozen, JSON, and small enough for an Airflow XCom and the model's page."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

from perennial.registry.entries import Trial
from perennial.registry.rules import Number


class Finding(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FeatureQuality(Finding):
    """One feature in the window: shares (0..1) of values missing, outside the spec's range, and unseen categories."""

    feature: str
    missing: float
    baseline_missing: float | None
    out_of_range: float
    unseen: float


class QualityReport(Finding):
    """Whether the window can be relied on.

    ``lost`` counts gaps in the running numbers of the servers, ``duplicates`` lines that came more than once. Of the
    time that performance is measured on, ``labels`` counts predictions whose truth is known, ``unmatched_labels``
    ground truth whose prediction was not captured, ``contradicted`` predictions with labels that disagree.
    """

    status: Literal["ok", "problems", "unknown"]
    reasons: tuple[str, ...]
    rows: int
    served: int
    lost: int
    duplicates: int
    labels: int
    unmatched_labels: int
    contradicted: int
    features: tuple[FeatureQuality, ...]


class FeatureDrift(Finding):
    """One feature against its baseline. ``value`` is the statistic and the effect size in one, 0 to 1.

    ``moved`` where ``value`` reaches ``threshold`` and ``p_value`` says that it is not chance; None where it could not
    be judged: ``note`` says why, and what else is to be known of it.
    """

    feature: str
    kind: Literal["number", "category", "date"]
    statistic: Literal["kolmogorov_smirnov", "total_variation"]
    value: float | None
    p_value: float | None
    threshold: float
    moved: bool | None
    baseline_rows: int
    window_rows: int
    note: str = ""


class DriftReport(Finding):
    """The window's features against the champion's training data. ``share`` of the judged features moved."""

    status: Literal["ok", "drift", "unknown"]
    why: str
    rows: int
    needed: int
    judged: int
    moved: int
    share: float | None
    bound: float
    features: tuple[FeatureDrift, ...]


class MetricNow(Finding):
    """A metric on joined ground truth with its 95 % interval, beside the champion's on its holdout.

    ``bound`` is the spec's (retrain.performance); ``verdict`` is ``decay`` only where the whole interval is beyond it.
    """

    metric: str
    value: float | None
    low: float | None
    high: float | None
    holdout: float | None
    bound: float | None
    verdict: Literal["ok", "decay", "unknown"]
    why: str


class PerformanceReport(Finding):
    """How the champion does on what turned out true. ``unknown`` below ``needed`` labels: never taken for fine."""

    status: Literal["ok", "decay", "unknown"]
    why: str
    version: str | None
    labels: int
    needed: int
    metrics: tuple[MetricNow, ...]


class Rate(Finding):
    """A share of ``rows``, None without any. ``low`` to ``high`` holds it at every look at once, 39 times in 40.

    ``broken`` where even ``low`` is beyond the ``bound`` of the spec; None is no bound.
    """

    rows: int
    value: float | None
    low: float
    high: float
    bound: float | None
    broken: bool


class TrialMetric(Finding):
    """A metric of both on the same rows; None where it is undefined on them."""

    metric: str
    champion: Number
    challenger: Number


class TrialGain(Finding):
    """The challenger's gain in the spec's metric, positive where it is better, with its paired 95 % interval.

    ``p_value`` is two-sided, ``mcnemar`` that of who is right more often. All of it holds for one look, and no longer
    once a trial goes on until it looks well.
    """

    metric: str
    gain: Number
    low: Number
    high: Number
    p_value: Number
    mcnemar: Number


class TrialReport(Finding):
    """A challenger beside its champion since the trial began.

    ``rows`` predictions were captured, ``answered`` of them by the challenger; ``errors`` are its own, of the rows that
    it was asked on; ``disagreement`` is over the rows that both spoke on: the share of other classes, or of a
    regression the mean difference in parts of the larger value. ``labels`` of these rows have their truth. ``stop``
    where a bound is broken, ``unknown`` where there are fewer rows than the spec asks for; ``reasons`` say why.
    """

    trial: Trial
    champion: str
    generation: int
    since: datetime
    until: datetime
    rows: int
    answered: int
    errors: Rate
    disagreement: Rate
    labels: int
    gain: TrialGain | None
    metrics: tuple[TrialMetric, ...]
    status: Literal["ok", "stop", "unknown"]
    reasons: tuple[str, ...]


class MonitorReport(Finding):
    """One pass. ``run`` begins with its time; the window is ``[since, until)``; ``champion`` the version in service.

    ``trial`` is None where none runs, and in passes of earlier releases.
    """

    format: Literal[1] = 1
    model: str
    run: str
    since: datetime
    until: datetime
    champion: str | None
    generation: int | None
    rows: int
    quality: QualityReport
    drift: DriftReport
    performance: PerformanceReport
    html: tuple[str, ...] = ()
    retrain: bool = False
    reasons: tuple[str, ...] = ()
    blocked: str | None = None
    trial: TrialReport | None = None
