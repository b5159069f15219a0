"""The answers' shapes, for the OpenAPI document and for the tests that hold the answers to them.

Loaded only where one of these is wanted: the routes build their answers without them.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Text = Annotated[str, Field(max_length=500)]


class Shape(BaseModel):
    """What every one of them is: no member more, none less."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"additionalProperties": False})


class ModelRef(Shape):
    """Which version answered: `digest` is its graph's, `dataset` the dataset version it was trained on."""

    name: str
    version: str
    digest: str
    dataset: str


class Prediction(Shape):
    """A class with the probability of each class, or, for a regression, a number alone."""

    prediction: str | float
    probabilities: dict[str, float] | None = None
    prediction_id: str
    feedback_token: str | None = Field(
        description="Goes with the prediction's ground truth. Null where feedback cannot be taken at the moment."
    )


class Explanation(Shape):
    """Where a model of pictures looked: how much `class` loses when a cell of the grid is covered, row by row."""

    method: Literal["occlusion"]
    label: str = Field(alias="class")
    rows: int
    columns: int
    drops: list[list[float]]


class Answer(Prediction):
    """The answer to one flat record, or to one picture."""

    model: ModelRef
    explanation: Explanation | None = Field(None, description="Where `?explain=1` asks for it.")


class Answers(Shape):
    """The answers to `{"instances": [...]}`, in order."""

    predictions: list[Prediction]
    model: ModelRef


class Record(BaseModel):
    """One flat record. Its fields are the model's own, of a picture `image`: see `GET /models/{model}/schema`."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, float | str | None]


class Pictures(Shape):
    """A form with one picture, or up to 16."""

    image: list[Annotated[str, Field(json_schema_extra={"format": "binary"})]] = Field(min_length=1, max_length=16)


class Instances(Shape):
    """Many records at once, answered all or none."""

    instances: list[Record] = Field(min_length=1, max_length=1000)


class Feedback(Shape):
    """What turned out true of a prediction: a class of the model, or for a regression a number."""

    prediction_id: Text
    feedback_token: Text
    ground_truth: Text | float | bool


class Kept(Shape):
    """The ground truth is stored, by this request or by an earlier one that said the same."""

    status: Literal["stored", "already_stored"]
    prediction_id: str


class ModelLine(Shape):
    """One deployed model."""

    name: str
    version: str
    generation: int
    promoted_at: str


class Models(Shape):
    """All deployed models."""

    models: list[ModelLine]


class MetricValue(Shape):
    """A metric on the holdout with its 95 % bootstrap interval."""

    value: float
    low: float | None
    high: float | None


class ParityValue(Shape):
    """How closely the served graph matched the model as trained."""

    max_difference: float
    changed_classes: int
    holdout_rows: int
    boundary_rows: int


class TrialRef(Shape):
    """A challenger on trial: a canary answers a share of the callers, a shadow nobody; `status` is this server's."""

    version: str
    mode: Literal["canary", "shadow"]
    share: float
    status: Literal["on", "off", "loading"]


class ModelCard(Shape):
    """One model version as served, with its lineage."""

    name: str
    task: Literal["binary", "multiclass", "regression"]
    input: Literal["tabular", "image"]
    classes: list[str]
    version: str
    generation: int
    promoted_at: str
    candidate: str
    estimator: str
    metric: str
    metrics: dict[str, MetricValue]
    holdout_rows: int
    parity: ParityValue
    dataset: str
    code: str
    run: str
    trial: TrialRef | None


class Health(Shape):
    status: Literal["ok"]


class RefreshFailure(Shape):
    """Why a newer version could not be taken up, and since when."""

    reason: Literal["store_unavailable", "integrity", "not_found"]
    since: str


class Readiness(Shape):
    """One model: `stale` is served from its last good version."""

    name: str
    status: Literal["ready", "stale", "unavailable"]
    version: str | None = None
    generation: int | None = None
    trial: TrialRef | None = None
    checked_seconds_ago: float | None = None
    failure: RefreshFailure | None = None


class Ready(Shape):
    """The worst status of all models, and each model's own."""

    status: Literal["ready", "stale", "unavailable"]
    models: list[Readiness]


class FieldProblem(Shape):
    """`field` is a name, or a place such as `instances.3.Age`; the value is never repeated."""

    field: Text
    reason: Text


class Problem(Shape):
    """An error (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    request_id: str
    errors: list[FieldProblem] | None = None
