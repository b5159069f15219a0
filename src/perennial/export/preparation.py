"""What the owner of a frozen extractor says of it: how it wants its pictures, and which of its values are features."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

Layout = Literal["NHWC", "NCHW"]
Order = Literal["RGB", "BGR"]
Three = tuple[FiniteFloat, FiniteFloat, FiniteFloat]


class Preparation(BaseModel):
    """How a graph takes a picture of ``size`` pixels a side, as float32.

    ``range`` is what black and white become; then ``mean`` is taken away and what is left divided by ``std``, each with
    a number for every channel in the order of ``color``. ``output`` names the value that holds the features, None where
    the graph has one output.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    layout: Layout
    size: int = Field(ge=8, le=512)
    color: Order = "RGB"
    range: tuple[FiniteFloat, FiniteFloat] = (0.0, 1.0)
    mean: Three = (0.0, 0.0, 0.0)
    std: Three = (1.0, 1.0, 1.0)
    output: str | None = None

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.range[0] >= self.range[1]:
            raise ValueError("range: black must become less than white, such as -1:1")
        if min(self.std) <= 0:
            raise ValueError("std: every number must be above 0")
        return self

    @property
    def factor(self) -> Three:
        """What each channel of a byte is multiplied by."""
        low, high = self.range
        first, second, third = ((high - low) / 255.0 / each for each in self.std)
        return first, second, third

    @property
    def offset(self) -> Three:
        """What is added to it then."""
        first, second, third = ((self.range[0] - mean) / std for mean, std in zip(self.mean, self.std, strict=True))
        return first, second, third

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """The shape of the graph's own input."""
        return (1, self.size, self.size, 3) if self.layout == "NHWC" else (1, 3, self.size, self.size)
