"""ModelSpec: all that ``model.yaml`` says, checked, with errors that name line, key and remedy."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, field_serializer, field_validator, model_validator

from perennial.canonical import canonical
from perennial.spec_candidates import Candidate
from perennial.spec_checks import NAME, contradictions
from perennial.spec_features import CategoryFeature, DateFeature, Feature, NumberFeature, Part, Target, label
from perennial.spec_images import Frame, ImageInput, described
from perennial.spec_job import Job, JobSize
from perennial.spec_policy import (
    DEFAULT_METRIC,
    LOWER_IS_BETTER,
    METRICS,
    Batch,
    GatePolicy,
    Holdout,
    Monitor,
    Notify,
    Retrain,
    SlicePolicy,
    SqlSource,
    Task,
    TrialPolicy,
)

__all__ = [
    "DEFAULT_METRIC", "LOWER_IS_BETTER", "METRICS", "NAME", "Batch", "Candidate", "CategoryFeature", "DateFeature",
    "Feature", "Frame", "GatePolicy", "Holdout", "ImageInput", "Job", "JobSize", "ModelSpec", "NumberFeature",
    "SlicePolicy", "SqlSource", "Target", "Task", "canonical", "label", "load_spec",
]  # fmt: skip


class ModelSpec(Part):
    """One model, as its owner wrote it. Frozen; two specs that say the same have the same digest."""

    name: str
    task: Task
    input: Literal["tabular", "image"] = "tabular"
    image: ImageInput | None = None
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
    trial: TrialPolicy = TrialPolicy()
    batch: Batch = Batch()
    notify: Notify = Notify()
    sources: dict[str, SqlSource] = Field(default_factory=dict)
    # Where a model is made is no part of it: neither of its digest nor of its versions, so that a step which ran out of
    # memory is tried again with more, and what was trained stays trained.
    job: Job = Field(default=Job(), exclude=True)

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
    def _pictures(cls, values: Any) -> Any:
        return described(values) if isinstance(values, dict) and values.get("input") == "image" else values

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
        for key, problem in contradictions(self):
            raise ValueError(f"@{key}@{problem}")
        return self

    @property
    def lower_is_better(self) -> bool:
        return self.metric in LOWER_IS_BETTER

    def digest(self) -> str:
        """SHA-256 (hex) of the spec's canonical JSON."""
        return hashlib.sha256(canonical(self.model_dump(mode="json"))).hexdigest()


def load_spec(path: str | Path) -> ModelSpec:
    """Read ``model.yaml``.

    Raises:
        SpecError: the file is missing, is not YAML, or says something wrong; names line, key and remedy.
    """
    from perennial.spec_source import read_spec  # PyYAML is needed only where a file is read

    return read_spec(Path(path))
