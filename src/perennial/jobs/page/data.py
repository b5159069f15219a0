"""What a model's page shows: one JSON document, small enough to be read at each visit.

What is drawn over time stands in columns: entry ``i`` of each history belongs to pass ``i``.
"""

from __future__ import annotations

import math
from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict

from perennial.monitoring.results import FeatureQuality, TrialReport
from perennial.registry.entries import Trial
from perennial.registry.gate import Decision
from perennial.registry.manifest import Metric
from perennial.spec import Task


def _drawn(value: float | None) -> float | None:
    """Six significant digits, and nothing that JSON cannot hold."""
    return float(f"{value:.6g}") if value is not None and math.isfinite(value) else None


Drawn = Annotated[float | None, AfterValidator(_drawn)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


Status = Literal["champion", "former", "rolled_back", "rejected", "waiting", "registered"]
"""``former`` was champion and was followed by another; ``waiting`` for a person; ``registered``: nothing more known."""


class VersionView(_Frozen):
    """One version. ``at`` is when it was registered; ``files`` are the names under ``versions/<version>/``.

    ``because`` is why it was trained, ``decision`` what the gate said of it, ``answered_by`` the person who approved
    or rejected it.
    """

    version: str
    status: Status
    at: datetime
    run: str
    candidate: str
    estimator: str
    dataset: str
    code: str
    because: str
    metrics: dict[str, Metric]
    cross_validation: Metric
    holdout_rows: int
    decision: Decision | None
    answered_by: str | None
    files: tuple[str, ...]


class Event(_Frozen):
    """Something that happened to a version: what, when, by whom and why.

    ``previous`` is the champion before, ``generation`` the log's, both None where the champion stayed; ``until`` is how
    long a person is waited for.
    """

    kind: Literal["promoted", "rolled_back", "rejected", "waiting"]
    version: str
    at: datetime
    by: str
    reasons: tuple[str, ...]
    previous: str | None = None
    generation: int | None = None
    until: datetime | None = None


class PassView(_Frozen):
    """One monitoring pass, without what stands in columns.

    ``served`` counts predictions, ``rows`` those that were captured, ``labels`` those whose truth is known, all in the
    window ``[since, until)``. ``champion`` served at its end, ``measured`` is the version its performance is of.
    ``html`` are the names under ``monitor/<run>/`` that are still kept.
    """

    run: str
    since: datetime
    until: datetime
    champion: str | None
    measured: str | None
    rows: int
    served: int
    lost: int
    duplicates: int
    labels: int
    unmatched_labels: int
    contradicted: int
    quality: Literal["ok", "problems", "unknown"]
    quality_reasons: tuple[str, ...]
    drift: Literal["ok", "drift", "unknown"]
    drift_why: str
    drift_share: Drawn
    drift_bound: Drawn
    drift_moved: int
    drift_judged: int
    performance: Literal["ok", "decay", "unknown"]
    performance_why: str
    needed: int
    retrain: bool
    reasons: tuple[str, ...]
    blocked: str | None
    html: tuple[str, ...]


class FeatureHistory(_Frozen):
    """The drift of one feature, by pass. What is no column is the newest pass's that judged it."""

    feature: str
    kind: Literal["number", "category", "date"]
    statistic: Literal["kolmogorov_smirnov", "total_variation"]
    threshold: Drawn
    baseline_rows: int
    window_rows: int
    note: str
    value: tuple[Drawn, ...]
    p_value: tuple[Drawn, ...]
    moved: tuple[bool | None, ...]


class MetricHistory(_Frozen):
    """One metric on the ground truth that came back, by pass, with its 95 % interval and the champion's on its holdout.

    Which version that was, each pass says as ``measured``; ``why`` is the newest verdict's reason.
    """

    metric: str
    lower_is_better: bool
    why: str
    value: tuple[Drawn, ...]
    low: tuple[Drawn, ...]
    high: tuple[Drawn, ...]
    holdout: tuple[Drawn, ...]
    bound: tuple[Drawn, ...]
    verdict: tuple[Literal["ok", "decay", "unknown"] | None, ...]


class PageData(_Frozen):
    """A model's page. Versions and events: newest first. Passes and their columns: oldest first.

    ``quality`` is the newest pass's. ``trial`` runs now, and ``tried`` is what the newest pass found of one, which may
    be over. ``left_out`` names what could not be read, and why.
    """

    format: Literal[1] = 1
    model: str
    at: datetime
    task: Task | None
    target: str | None
    metric: str | None
    champion: str | None
    generation: int | None
    versions: tuple[VersionView, ...]
    events: tuple[Event, ...]
    passes: tuple[PassView, ...]
    trial: Trial | None = None
    tried: TrialReport | None = None
    quality: tuple[FeatureQuality, ...]
    drift: tuple[FeatureHistory, ...]
    performance: tuple[MetricHistory, ...]
    left_out: tuple[str, ...]


class PageIndex(_Frozen):
    """Which models have a page, by name."""

    format: Literal[1] = 1
    models: tuple[str, ...]
