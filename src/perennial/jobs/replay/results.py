"""What a replay tells: frozen, JSON, and the same for the same file and spec."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

Cause = Literal["new_rows", "drift", "decay"]
Metrics = dict[str, float]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FirstVersion(_Frozen):
    """The version that both series begin with; ``holdout`` are its metrics there."""

    version: str
    candidate: str
    train_rows: int
    holdout_rows: int
    refused: int
    holdout: Metrics


class Check(_Frozen):
    """A monitoring pass at ``time`` and what was decided. ``labels`` counts the truths it knew of its window.

    ``performance`` is the spec's metric in the window, ``drift_share`` the share of the judged features that moved.
    """

    time: datetime
    rows: int
    labels: int
    drift: Literal["ok", "drift", "unknown"]
    drift_share: float | None
    performance: float | None
    performance_status: Literal["ok", "decay", "unknown"]
    retrain: bool
    reasons: tuple[str, ...]
    blocked: str | None


class Training(_Frozen):
    """A training and why it began. ``gate`` holds the gate's reasons; ``failed`` why there is no version, if so."""

    time: datetime
    reasons: tuple[str, ...]
    causes: tuple[Cause, ...]
    version: str | None = None
    candidate: str | None = None
    train_rows: int | None = None
    window_rows: int | None = None
    passed: bool = False
    promoted: bool = False
    gate: tuple[str, ...] = ()
    failed: str | None = None


class PeriodScore(_Frozen):
    """One step: ``version`` answered its ``rows``; the spec's metric of either series, None where undefined."""

    since: datetime
    until: datetime
    rows: int
    version: str
    static: float | None
    retrained: float | None


class Replay(_Frozen):
    """A file played as if it arrived live.

    ``static`` and ``retrained`` hold scikit-learn's metrics over all rows that were predicted and have a truth
    (``labelled``), of the first version and of the version that served at the time; ``static`` is None where it was
    not asked for. Of the rows after the initial part, ``refused`` did not fit the spec, so nothing was predicted, and
    ``unlabelled`` have no truth. ``unplaced`` rows of the file have no time. ``by_cause`` counts trainings; one that
    has two causes counts for both.
    """

    model: str
    file: str
    metric: str
    lower_is_better: bool
    every: str
    label_delay: str
    shuffled: int | None
    start: datetime
    end: datetime
    initial_rows: int
    arrived: int
    predicted: int
    labelled: int
    refused: int
    unlabelled: int
    unplaced: int
    static: Metrics | None
    retrained: Metrics
    first: FirstVersion
    trainings: tuple[Training, ...]
    promotions: int
    rejections: int
    by_cause: dict[Cause, int]
    drift_or_decay: int
    checks: tuple[Check, ...]
    periods: tuple[PeriodScore, ...]

    @property
    def gain(self) -> float | None:
        """By how much the spec's metric is better where the model is retrained; None without both."""
        before = (self.static or {}).get(self.metric)
        now = self.retrained.get(self.metric)
        if before is None or now is None:
            return None
        return before - now if self.lower_is_better else now - before
