"""What is remembered of a prediction: one line of JSON, the same in the log and in S3."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

KIND: Literal["perennial.prediction"] = "perennial.prediction"
"""Marks the line among others: the subscription filter looks for it in quotes."""

Role = Literal["champion", "canary", "shadow"]


class CapturedPrediction(BaseModel):
    """One prediction as it was made.

    ``record`` holds the features as they were sent, and the id and time columns where they were. ``instance`` is
    the process that answered; ``number`` counts the lines it wrote for this model from 1, so that a gap shows a loss;
    ``served`` counts its predictions of this model, sampled or not.

    ``version`` made the prediction, and ``role`` says as what. A ``shadow`` is the word of the version that did not
    answer, on the record of the other line with the same id: its own is empty, and it is numbered apart.
    ``challenger_error`` says why a challenger that was asked has no line.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    kind: Literal["perennial.prediction"] = KIND
    prediction_id: str
    model: str
    version: str
    generation: int
    time: datetime
    instance: str
    number: int = Field(ge=1, lt=2**63)
    served: int = Field(ge=1, lt=2**63)
    request_id: str
    record: dict[str, JsonValue]
    prediction: str | float
    probabilities: dict[str, float] | None = None
    role: Role = "champion"
    challenger_error: str | None = None


def parse(line: str | bytes) -> CapturedPrediction | None:
    """A captured line, or None for any other text."""
    try:
        return CapturedPrediction.model_validate_json(line)
    except ValidationError:
        return None
