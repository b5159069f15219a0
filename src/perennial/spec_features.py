"""The columns of a model's records: the target, and features that are numbers, categories or dates."""

from __future__ import annotations

import re
from collections import Counter
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator


def label(value: object) -> str:
    """Canonical text of a class or category: ``1``, ``1.0`` and ``"1"`` are the same label."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    text = str(value).strip()
    return re.sub(r"^(-?\d+)\.0+$", r"\1", text)


Label = Annotated[
    str,
    Field(min_length=1),
    BeforeValidator(lambda value: label(value) if isinstance(value, (int, float, str)) else value),
]


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Target(Part):
    """The column to predict. ``classes`` fixes the labels and their order; for a binary task the positive is last."""

    column: str = Field(min_length=1)
    positive: Label | None = None
    classes: tuple[Label, ...] | None = None


class NumberFeature(Part):
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


class CategoryFeature(Part):
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


class DateFeature(Part):
    """An ISO 8601 date or date-time; becomes days since 1970 with month, weekday and hour."""

    type: Literal["date"]
    missing: bool = False
    title: str | None = None
    description: str | None = None


Feature = Annotated[NumberFeature | CategoryFeature | DateFeature, Field(discriminator="type")]
