"""What must be shown before a model serves, what starts its training again, and how it is watched and used."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    field_validator,
    model_validator,
)

from perennial.schedule import schedule
from perennial.spec_features import Part

Task = Literal["binary", "multiclass", "regression"]

LOWER_IS_BETTER = frozenset({"log_loss", "brier_score", "mean_absolute_error", "root_mean_squared_error"})
METRICS: dict[Task, tuple[str, ...]] = {
    "binary": ("roc_auc", "average_precision", "accuracy", "balanced_accuracy", "f1", "precision", "recall",
               "log_loss", "brier_score"),
    "multiclass": ("roc_auc", "accuracy", "balanced_accuracy", "f1", "precision", "recall", "log_loss"),
    "regression": ("mean_absolute_error", "root_mean_squared_error", "r2"),
}  # fmt: skip
DEFAULT_METRIC: dict[Task, str] = {"binary": "roc_auc", "multiclass": "accuracy", "regression": "mean_absolute_error"}
BOUNDED_BY_ONE = frozenset(metric for names in METRICS.values() for metric in names) - {
    "log_loss", "mean_absolute_error", "root_mean_squared_error",
}  # fmt: skip


class Holdout(Part):
    """The frozen share of rows no training ever sees."""

    fraction: float = Field(default=0.2, gt=0, lt=0.9)
    seed: int = 42


class SlicePolicy(Part):
    """The metric of any group of this column may lag the whole by at most ``maximum_gap``."""

    maximum_gap: float = Field(gt=0)
    minimum_rows: int = Field(default=30, ge=1)


_DURATION = re.compile(r"^(\d+)\s*(s|m|h|d)$")
LONGEST = timedelta(days=365_000)
"""A thousand years: twice that before today, the calendar still has days."""
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def duration(value: object) -> object:
    """Read ``6h``, ``30m``, ``7d`` as a timedelta."""
    if isinstance(value, str) and (match := _DURATION.match(value.strip())):
        with suppress(OverflowError):
            found = timedelta(**{_UNITS[match[2]]: int(match[1])})
            if found <= LONGEST:
                return found
        raise ValueError(f"is too long; use at most {LONGEST.days}d")
    if isinstance(value, timedelta):
        return value
    raise ValueError("a duration is a whole number and a unit, such as 30m, 6h or 7d")


Duration = Annotated[
    timedelta,
    BeforeValidator(duration),
    PlainSerializer(lambda value: f"{int(value.total_seconds())}s", return_type=str, when_used="json"),
]


Schedule = Annotated[str, AfterValidator(schedule)]


class GatePolicy(Part):
    """What a candidate must show: absolute bounds, gain over the champion, fairness across slices.

    ``confidence`` asks that the gain be wanted of the lower bound of its paired interval, not of the gain itself.
    With ``approval: human`` a person decides within ``approval_timeout``, after which the version is rejected.
    """

    minimum: dict[str, float] = Field(default_factory=dict)
    maximum: dict[str, float] = Field(default_factory=dict)
    gain: float = 0.0
    confidence: float | None = Field(default=None, ge=0.5, lt=1)
    slices: dict[str, SlicePolicy] = Field(default_factory=dict)
    approval: Literal["auto", "human"] = "auto"
    approval_timeout: Duration = timedelta(days=3)


Address = Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")]


class Performance(BaseModel):
    """Retrain when a metric, on at least ``labels`` true values, falls below (or rises above) its bound."""

    model_config = ConfigDict(extra="allow", frozen=True)
    __pydantic_extra__: dict[str, float]
    labels: int = Field(default=200, ge=1)

    @property
    def bounds(self) -> dict[str, float]:
        """Metric -> bound."""
        return self.__pydantic_extra__


class Retrain(Part):
    """What starts a training. ``feedback: false`` keeps labels given through the API out of it."""

    schedule: Schedule | None = "@daily"
    new_rows: int = Field(default=1000, ge=1)
    drift_share: float = Field(default=0.3, gt=0, le=1)
    performance: Performance | None = None
    cooldown: Duration = timedelta(hours=6)
    feedback: bool = True


class Monitor(Part):
    """How a model is watched.

    ``capture`` is the share of predictions that are kept (0 or false: none), ``window`` how far back a pass looks,
    ``minimum_rows`` the fewest rows drift is judged on, ``effect`` the least distance of a feature from its baseline
    that counts as moved, ``feedback_within`` how long after a prediction its ground truth is taken.
    """

    schedule: Schedule | None = "0 */6 * * *"
    keep_reports: int = Field(default=10, ge=1)
    capture: float = Field(default=1.0, ge=0, le=1)
    window: Duration = Field(default=timedelta(days=7), gt=timedelta(0))
    minimum_rows: int = Field(default=100, ge=10)
    effect: float = Field(default=0.1, gt=0, lt=1)
    feedback_within: Duration = timedelta(days=90)

    @field_validator("capture", mode="before")
    @classmethod
    def _on_or_off(cls, value: object) -> object:
        return float(value) if isinstance(value, bool) else value


class TrialPolicy(Part):
    """When a trial of a challenger is stopped by itself.

    ``error_rate`` is the share of predictions it may fail at; ``disagreement`` that on which it may answer otherwise
    than the champion, of a regression by how much on average (0..1 of the larger value), judged on ``minimum_rows`` or
    more. None is no bound.
    """

    error_rate: float | None = Field(default=0.01, ge=0, lt=1)
    disagreement: float | None = Field(default=0.2, ge=0, lt=1)
    minimum_rows: int = Field(default=100, ge=1)


_PLACE = r"^(s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/([^/\s?#]+/)*|([A-Za-z0-9][A-Za-z0-9._=-]*/)+)$"


class Batch(Part):
    """How files of this model are scored.

    ``schedule`` scores what is new under ``source``: ``s3://bucket/prefix/``, or a folder among the model's own keys.
    ``engine`` None chooses by size. ``output`` None answers a Parquet file by Parquet, and any other by CSV; ``keep``
    puts columns of the input, or all of them (true), beside the predictions.
    """

    schedule: Schedule | None = None
    source: str | None = Field(default=None, pattern=_PLACE)
    engine: Literal["lambda", "spark"] | None = None
    output: Literal["csv", "parquet"] | None = None
    keep: bool | tuple[str, ...] = False


class Notify(Part):
    email: tuple[Address, ...] = ()
    slack_webhook_secret: str | None = None


_COLUMN = r"^[A-Za-z_][A-Za-z0-9_]{0,62}$"


class SqlSource(Part):
    """A table or query that Airflow pulls by its connection ``connection``.

    ``watermark`` is a column that grows with time; rows up to ``late`` behind the newest one seen are looked for again.
    """

    connection: str = Field(pattern=r"^[A-Za-z0-9_.-]{1,100}$")
    table: str | None = Field(default=None, pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,62}(\.[A-Za-z_][A-Za-z0-9_]{0,62})?$")
    query: str | None = Field(default=None, min_length=1)
    watermark: str = Field(pattern=_COLUMN)
    late: Duration = timedelta(days=1)
    schedule: Schedule | None = "@hourly"

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.table is None) == (self.query is None):
            raise ValueError("name either a table or a query")
        return self
