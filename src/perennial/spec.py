"""ModelSpec: all that ``model.yaml`` says, checked, with errors that name line, key and remedy."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    field_serializer,
    field_validator,
    model_validator,
)

Task = Literal["binary", "multiclass", "regression"]

LOWER_IS_BETTER = frozenset({"log_loss", "brier_score", "mean_absolute_error", "root_mean_squared_error"})
METRICS: dict[Task, tuple[str, ...]] = {
    "binary": ("roc_auc", "average_precision", "accuracy", "balanced_accuracy", "f1", "precision", "recall",
               "log_loss", "brier_score"),
    "multiclass": ("roc_auc", "accuracy", "balanced_accuracy", "f1", "precision", "recall", "log_loss"),
    "regression": ("mean_absolute_error", "root_mean_squared_error", "r2"),
}  # fmt: skip
DEFAULT_METRIC: dict[Task, str] = {"binary": "roc_auc", "multiclass": "accuracy", "regression": "mean_absolute_error"}

NAME = re.compile(r"^[a-z][a-z0-9]*(-[a-z0-9]+)*\Z")


def label(value: object) -> str:
    """Canonical text of a class or category: ``1``, ``1.0`` and ``"1"`` are the same label."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    text = str(value).strip()
    return re.sub(r"^(-?\d+)\.0+$", r"\1", text)


Label = Annotated[str, BeforeValidator(lambda value: label(value) if isinstance(value, (int, float, str)) else value)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Target(_Part):
    """The column to predict. ``classes`` fixes the labels and their order; for a binary task the positive is last."""

    column: str = Field(min_length=1)
    positive: Label | None = None
    classes: tuple[Label, ...] | None = None


class NumberFeature(_Part):
    """A number, stored as float64. ``min`` and ``max`` are inclusive; ``missing`` makes null a legal answer."""

    type: Literal["number"]
    min: float | None = Field(default=None, allow_inf_nan=False)
    max: float | None = Field(default=None, allow_inf_nan=False)
    integer: bool = False
    missing: bool = False
    title: str | None = None
    description: str | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min} is above max {self.max}; swap them")
        return self


class CategoryFeature(_Part):
    """One of ``values``. ``unknown: encode`` makes unseen values legal (scored as unknown), ``refuse`` an error."""

    type: Literal["category"]
    values: tuple[Label, ...] = Field(min_length=1, max_length=10_000)
    unknown: Literal["refuse", "encode"] = "refuse"
    missing: bool = False
    title: str | None = None
    description: str | None = None

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        value, times = Counter(self.values).most_common(1)[0]
        if times > 1:
            raise ValueError(f"values holds {value!r} more than once; keep one")
        return self


class DateFeature(_Part):
    """An ISO 8601 date or date-time; becomes days since 1970 with month, weekday and hour."""

    type: Literal["date"]
    missing: bool = False
    title: str | None = None
    description: str | None = None


Feature = Annotated[NumberFeature | CategoryFeature | DateFeature, Field(discriminator="type")]


class Holdout(_Part):
    """The frozen share of rows no training ever sees."""

    fraction: float = Field(default=0.2, gt=0, lt=0.9)
    seed: int = 42


class Candidate(_Part):
    """One estimator to try, by import path. ``search`` maps a parameter to the values to try."""

    estimator: str = Field(min_length=3)
    params: dict[str, Any] = Field(default_factory=dict)
    search: dict[str, list[Any]] = Field(default_factory=dict)

    @field_validator("params", "search")
    @classmethod
    def _storable(cls, value: dict[str, Any]) -> dict[str, Any]:
        try:
            canonical(value)
        except (TypeError, ValueError):
            raise ValueError("holds what JSON cannot store, such as NaN or infinity; use null or a number") from None
        return value


class SlicePolicy(_Part):
    """The metric of any group of this column may lag the whole by at most ``maximum_gap``."""

    maximum_gap: float = Field(gt=0)
    minimum_rows: int = Field(default=30, ge=1)


class GatePolicy(_Part):
    """What a candidate must show: absolute bounds, gain over the champion, fairness across slices."""

    minimum: dict[str, float] = Field(default_factory=dict)
    maximum: dict[str, float] = Field(default_factory=dict)
    gain: float = 0.0
    slices: dict[str, SlicePolicy] = Field(default_factory=dict)
    approval: Literal["auto", "human"] = "auto"


_DURATION = re.compile(r"^(\d+)\s*(s|m|h|d)$")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def duration(value: object) -> object:
    """Read ``6h``, ``30m``, ``7d`` as a timedelta."""
    if isinstance(value, str) and (match := _DURATION.match(value.strip())):
        return timedelta(**{_UNITS[match[2]]: int(match[1])})
    if isinstance(value, timedelta):
        return value
    raise ValueError("a duration is a whole number and a unit, such as 30m, 6h or 7d")


Duration = Annotated[
    timedelta,
    BeforeValidator(duration),
    PlainSerializer(lambda value: f"{int(value.total_seconds())}s", return_type=str, when_used="json"),
]


class Performance(BaseModel):
    """Retrain when a metric, on at least ``labels`` true values, falls below (or rises above) its bound."""

    model_config = ConfigDict(extra="allow", frozen=True)
    __pydantic_extra__: dict[str, float]
    labels: int = Field(default=200, ge=1)


class Retrain(_Part):
    """What starts a training."""

    schedule: str | None = "@daily"
    new_rows: int = Field(default=1000, ge=1)
    drift_share: float = Field(default=0.3, gt=0, le=1)
    performance: Performance | None = None
    cooldown: Duration = timedelta(hours=6)


class Monitor(_Part):
    schedule: str | None = "0 */6 * * *"
    keep_reports: int = Field(default=10, ge=1)


class Notify(_Part):
    email: tuple[str, ...] = ()
    slack_webhook_secret: str | None = None


class ModelSpec(_Part):
    """One model, as its owner wrote it. Frozen; two specs that say the same have the same digest."""

    name: str
    task: Task
    input: Literal["tabular"] = "tabular"
    target: Target
    id: str | None = None
    time: str | None = None
    features: dict[str, Feature] = Field(min_length=1)
    holdout: Holdout = Holdout()
    candidates: dict[str, Candidate] = Field(min_length=1)
    metric: str = ""
    gate: GatePolicy = GatePolicy()
    retrain: Retrain = Retrain()
    monitor: Monitor = Monitor()
    notify: Notify = Notify()

    @field_serializer("features", when_used="json")
    def _features_in_order(self, features: dict[str, Feature]) -> list[tuple[str, Feature]]:
        """As pairs: the order of features is that of the model's columns, and canonical JSON sorts an object's keys."""
        return list(features.items())

    @field_validator("features", mode="before")
    @classmethod
    def _features_from_pairs(cls, value: Any) -> Any:
        pairs = isinstance(value, list) and all(
            isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str) for pair in value
        )
        return dict(value) if pairs else value

    @model_validator(mode="before")
    @classmethod
    def _default_metric(cls, values: Any) -> Any:
        if isinstance(values, dict) and not values.get("metric"):
            for task, metric in DEFAULT_METRIC.items():
                if values.get("task") == task:
                    return {**values, "metric": metric}
        return values

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for key, problem in _contradictions(self):
            raise ValueError(f"@{key}@{problem}")
        return self

    @property
    def lower_is_better(self) -> bool:
        return self.metric in LOWER_IS_BETTER

    def digest(self) -> str:
        """SHA-256 (hex) of the spec's canonical JSON."""
        return hashlib.sha256(canonical(self.model_dump(mode="json"))).hexdigest()


def canonical(value: object) -> bytes:
    """Canonical JSON: sorted keys, no spaces, UTF-8, no NaN. What hashes and manifests are made of."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def load_spec(path: str | Path) -> ModelSpec:
    """Read ``model.yaml``.

    Raises:
        SpecError: the file is missing, is not YAML, or says something wrong; names line, key and remedy.
    """
    from perennial.spec_source import read_spec  # PyYAML is needed only where a file is read

    return read_spec(Path(path))


def _contradictions(spec: ModelSpec) -> list[tuple[str, str]]:
    """Each (dotted key, problem and remedy) that no single field can see."""
    found: list[tuple[str, str]] = []
    if not NAME.match(spec.name) or len(spec.name) > 40:
        found.append(("name", "use lower-case letters, digits and single hyphens, at most 40, such as bike-sharing"))
    for role in ("id", "time"):
        if getattr(spec, role) is not None and getattr(spec, role) == spec.target.column:
            found.append((role, "is the target column; name another column or null"))
    if spec.id is not None and spec.id in spec.features:
        found.append((f"features.{spec.id}", "is the id column; take it out of features"))
    if spec.id is not None and spec.id == spec.time:
        found.append(("time", "is the id column; name another column or null"))
    if spec.time is not None and isinstance(spec.features.get(spec.time), CategoryFeature):
        found.append((f"features.{spec.time}", "is the time column; give it type: date or type: number"))
    if spec.target.column in spec.features:
        found.append((f"features.{spec.target.column}", "is the target; take it out of features"))
    found += _target_contradictions(spec)
    if spec.metric not in METRICS[spec.task]:
        found.append(("metric", f"unknown for a {spec.task} task; use one of {', '.join(METRICS[spec.task])}"))
    for bound in ("minimum", "maximum"):
        for metric in getattr(spec.gate, bound):
            if metric not in METRICS[spec.task]:
                found.append((f"gate.{bound}.{metric}", f"unknown metric; use one of {', '.join(METRICS[spec.task])}"))
    for column in spec.gate.slices:
        if not isinstance(spec.features.get(column), CategoryFeature):
            found.append((f"gate.slices.{column}", "is not a category feature of this model"))
    for name in spec.candidates:
        if not re.match(r"^[A-Za-z][A-Za-z0-9_-]{0,39}$", name):
            found.append((f"candidates.{name}", "use a letter, then letters, digits, - and _, at most 40"))
    return found


def _target_contradictions(spec: ModelSpec) -> list[tuple[str, str]]:
    target = spec.target
    if spec.task == "regression" and (target.positive is not None or target.classes is not None):
        return [("target", "a regression has no classes; remove positive and classes")]
    if target.classes is not None:
        if len(set(target.classes)) != len(target.classes) or len(target.classes) < 2:
            return [("target.classes", "name at least two different classes")]
        if spec.task == "binary" and len(target.classes) != 2:
            return [("target.classes", "a binary task has exactly two; use task: multiclass for more")]
        if target.positive is not None and target.positive != target.classes[-1]:
            return [("target.positive", "must be the last of target.classes; reorder them")]
    if spec.task == "multiclass" and target.positive is not None:
        return [("target.positive", "only a binary task has a positive class; remove it")]
    return []
