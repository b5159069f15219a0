"""What is tried: estimators and networks, and what they see of a picture."""

from __future__ import annotations

import re
from typing import Any, Literal, Self, get_args

from pydantic import Field, field_validator, model_validator

from perennial.canonical import canonical
from perennial.spec_features import Part
from perennial.spec_images import Features, Network

BACKBONE = r"^[a-z0-9][a-z0-9._-]{0,59}$"
_ESTIMATOR = re.compile(r"(sklearn(\.[A-Za-z_][A-Za-z0-9_]*)+|xgboost)\.[A-Z][A-Za-z0-9_]*")


class Candidate(Part):
    """One estimator to try, by import path. ``search`` maps a parameter to the values to try.

    Of pictures it sees what the frozen extractor ``backbone`` makes of them, or their ``features``. A network of
    ``torch`` learns from the pictures themselves, from ``weights`` (a path, or an address in S3) where they are given.
    ``size`` is that of the pictures, where it is not the spec's; ``quantize: int8`` makes the graph smaller. With
    ``tiles`` a backbone sees each picture in seven views: the whole, its mirror image, and five parts of it enlarged.
    """

    estimator: str
    params: dict[str, Any] = Field(default_factory=dict)
    search: dict[str, list[Any]] = Field(default_factory=dict)
    backbone: str | None = Field(default=None, pattern=BACKBONE)
    features: Features | None = None
    torch: Network | None = None
    weights: str | None = Field(default=None, min_length=1)
    size: int | None = Field(default=None, ge=8, le=512)
    quantize: Literal["int8"] | None = None
    tiles: bool = False

    @model_validator(mode="before")
    @classmethod
    def _network(cls, values: Any) -> Any:
        """A network is its own estimator, under a name that says so."""
        if not isinstance(values, dict) or "torch" not in values or values["torch"] is None:
            return values
        own = f"torch.{values['torch']}"
        if values.get("estimator", own) != own:
            raise ValueError("torch is an estimator of its own; remove estimator")
        return {**values, "estimator": own}

    @field_validator("estimator")
    @classmethod
    def _known_library(cls, value: str) -> str:
        if not _ESTIMATOR.fullmatch(value) and value.removeprefix("torch.") not in get_args(Network):
            raise ValueError(
                "is not an estimator's import path; use one of scikit-learn, such as "
                "sklearn.linear_model.LogisticRegression, or xgboost.XGBClassifier"
            )
        return value

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if sum(one is not None for one in (self.backbone, self.features, self.torch)) > 1:
            raise ValueError("name one of backbone, features and torch")
        if self.estimator.startswith("torch.") and self.torch is None:
            raise ValueError(f"{self.estimator} is no import path; write torch: {self.estimator[6:]} instead")
        if self.weights is not None and self.torch is None:
            raise ValueError("weights are those of a network; name it by torch")
        if self.torch is not None and self.search:
            raise ValueError("a network is trained once; set params instead of search")
        if self.size is not None and self.backbone is not None:
            raise ValueError("a backbone takes pictures in its own size; remove size")
        if self.quantize is not None and self.features is not None:
            raise ValueError("only a network's graph is quantised; remove quantize, or name a backbone or torch")
        if self.tiles and self.backbone is None:
            raise ValueError("tiles are seen by a backbone; name one, or remove tiles")
        return self

    @field_validator("search")
    @classmethod
    def _something_to_try(cls, value: dict[str, list[Any]]) -> dict[str, list[Any]]:
        for name, values in value.items():
            if not values:
                raise ValueError(f"{name} has no values to try; list some or remove it")
        return value

    @field_validator("params", "search")
    @classmethod
    def _storable(cls, value: dict[str, Any]) -> dict[str, Any]:
        try:
            canonical(value)
        except (TypeError, ValueError):
            raise ValueError("holds what JSON cannot store, such as NaN or infinity; use null or a number") from None
        return value
