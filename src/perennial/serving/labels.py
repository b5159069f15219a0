"""Ground truth as it is stored: one object for each prediction that someone labelled."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict


class Label(BaseModel):
    """What turned out true of one prediction. ``truth`` is a class, or the value of a regression."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    prediction_id: str
    truth: str | float
    at: datetime
    source: Literal["api"] = "api"
