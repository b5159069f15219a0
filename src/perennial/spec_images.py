"""What a spec says of pictures: where they come from, how they get one shape, and what is watched of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, field_validator

from perennial.spec_features import NumberFeature, Part

LISTING_COLUMNS = ("image", "path", "file", "url")
"""Names under which a listing may hold the places of its pictures, where the spec names none."""
OWN_COLUMNS = ("image", "fingerprint", "group", "file")
"""Columns that a row of pictures has besides its descriptors and its target."""
DESCRIPTORS: Mapping[str, NumberFeature] = {
    "width": NumberFeature(type="number", integer=True, min=1, title="Width", description="Pixels, upright."),
    "height": NumberFeature(type="number", integer=True, min=1, title="Height", description="Pixels, upright."),
    "brightness": NumberFeature(
        type="number", min=0, max=1, title="Brightness", description="Mean luminance, of black 0, of white 1."
    ),
    "contrast": NumberFeature(
        type="number", min=0, max=1, title="Contrast", description="Standard deviation of the luminance."
    ),
    "sharpness": NumberFeature(
        type="number", min=0, title="Sharpness", description="Standard deviation of the luminance's Laplacian."
    ),
}
"""What is measured of every picture, in this order: the features by which data are checked and drift is seen."""

Color = Literal["rgb", "grey"]
Fit = Literal["stretch", "crop", "pad"]
Features = Literal["pixels", "hog"]
Network = Literal["resnet18", "depthwise"]


class Frame(Part):
    """The shape a model takes pictures in: ``size`` × ``size`` pixels of uint8, three channels or one.

    ``fit`` brings another aspect ratio to a square: ``stretch`` it, ``crop`` what stands over at both ends, or ``pad``
    with black.
    """

    size: int = Field(default=224, ge=8, le=512)
    color: Color = "rgb"
    fit: Fit = "stretch"

    @property
    def channels(self) -> int:
        return 3 if self.color == "rgb" else 1

    @property
    def shape(self) -> tuple[int, int, int]:
        """Rows, columns and channels."""
        return self.size, self.size, self.channels


class ImageInput(Frame):
    """The pictures of a model.

    ``column`` names the column of a listing that holds their paths or addresses. ``group`` names one whose equal values
    stay on one side of every split, such as a patient; ``group_pattern`` reads it from the file's name instead: its
    first group, or all it matches. ``download_bytes`` bounds one download, ``private_addresses`` lets it go to
    addresses that only this machine or its network reaches.
    """

    column: str | None = Field(default=None, min_length=1)
    group: str | None = Field(default=None, min_length=1)
    group_pattern: str | None = Field(default=None, min_length=1, max_length=300)
    download_bytes: int = Field(default=20_000_000, ge=1, le=20_000_000)
    private_addresses: bool = False

    @field_validator("group_pattern")
    @classmethod
    def _regular(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                re.compile(value)
            except re.error as error:
                raise ValueError(f"is no regular expression: {error}") from None
        return value

    @property
    def frame(self) -> Frame:
        """The shape alone."""
        return Frame(size=self.size, color=self.color, fit=self.fit)


def described(values: Mapping[str, Any]) -> dict[str, Any]:
    """A spec's raw values with what follows from ``input: image``: its settings, and the descriptors as features.

    Raises:
        ValueError: it names features of its own.
    """
    given = values.get("features")
    if given and not _are_descriptors(given):
        raise ValueError("@features@a picture has no features of its own; remove them")
    return {**values, "image": values.get("image") or {}, "features": dict(DESCRIPTORS)}


def _are_descriptors(given: Any) -> bool:
    """Whether features are those that were put there when the spec was first read."""
    pairs = given.items() if isinstance(given, Mapping) else given
    try:
        found = {name: NumberFeature.model_validate(feature) for name, feature in pairs}
    except (TypeError, ValueError):
        return False
    return list(found.items()) == list(DESCRIPTORS.items())
