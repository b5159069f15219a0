"""What a spec may set of a network, and what follows where it does not."""

from __future__ import annotations

import difflib
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from perennial.errors import TrainingError
from perennial.spec import Candidate, Frame
from perennial.training.network.job import Job
from perennial.training.weights import CLASS_WEIGHT, with_indices

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
SMALL = 64
"""Below so many pixels the usual stem of ResNet leaves too little of a picture."""

Share = Annotated[float, Field(ge=0, le=0.9)]


class NetworkParams(BaseModel):
    """The parameters of a network in a spec.

    ``epochs`` at most, fewer where ``patience`` of them bring nothing better on the pictures that are watched (0: never
    end early); the first ``head_epochs`` train the last layer alone. ``batch`` pictures make a step of AdamW at
    ``rate``, which follows a cosine. ``flip`` mirrors half of the pictures: not where left and right matter. ``shift``
    and ``zoom`` move and scale them by up to that share of a side, ``brightness`` and ``contrast`` change them by up to
    that share. ``stem: small`` halves a picture once before ResNet's first block, instead of twice. ``width`` is that
    of the depthwise network. ``class_weight`` is what a picture of a class counts for, 1 where none is
    named. ``mean`` and ``std`` of each channel, from 0 to 1, scale the pictures. After ``minutes``
    the candidate is refused.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    epochs: int = Field(default=12, ge=1, le=1000)
    head_epochs: int | None = Field(default=None, ge=0, le=1000)
    patience: int = Field(default=4, ge=0, le=1000)
    batch: int = Field(default=32, ge=2, le=1024)
    rate: float | None = Field(default=None, gt=0, le=1)
    weight_decay: float = Field(default=0.01, ge=0, le=1)
    label_smoothing: float = Field(default=0.05, ge=0, le=0.5)
    flip: bool = True
    shift: Share = 0.08
    zoom: Share = 0.1
    brightness: Share = 0.15
    contrast: Share = 0.15
    stem: Literal["usual", "small"] | None = None
    width: int = Field(default=32, ge=8, le=256)
    class_weight: dict[str, Annotated[float, Field(gt=0)]] | None = None
    mean: list[float] | None = None
    std: list[Annotated[float, Field(gt=0)]] | None = None
    minutes: float = Field(default=60.0, gt=0, le=1440)

    def of(self, candidate: Candidate, frame: Frame) -> NetworkParams:
        """With what follows from the candidate where nothing is set.

        A network that starts from weights learns slowly, its head first, from pictures scaled as theirs were.
        """
        assert candidate.torch is not None  # a network
        known = candidate.weights is not None
        rate = 0.0003 if known else {"resnet18": 0.001, "depthwise": 0.003}[candidate.torch]
        small: Literal["usual", "small"] = "small" if frame.size < SMALL and not known else "usual"
        chosen: dict[str, object] = {
            "head_epochs": (min(2, self.epochs - 1) if known else 0) if self.head_epochs is None else self.head_epochs,
            "rate": rate if self.rate is None else self.rate,
            "stem": self.stem or small,
        }
        if known and self.mean is None and self.std is None:
            chosen |= {"mean": _channels(IMAGENET_MEAN, frame), "std": _channels(IMAGENET_STD, frame)}
        return self.model_copy(update=chosen)

    def job(self, name: str, candidate: Candidate, frame: Frame, classes: tuple[str, ...], seed: int) -> Job:
        """What the script is asked for; of parameters that :meth:`of` completed.

        Raises:
            TrainingError: ``class_weight`` names what is no class.
        """
        assert candidate.torch is not None and self.head_epochs is not None and self.rate is not None
        weights = with_indices({CLASS_WEIGHT: self.class_weight}, classes, f"candidates.{name}.params")[CLASS_WEIGHT]
        return Job(
            network=candidate.torch, size=frame.size, channels=frame.channels, classes=len(classes), seed=seed,
            class_weight=None if weights is None else tuple(weights.get(place, 1.0) for place in range(len(classes))),
            weights=candidate.weights is not None, small_stem=self.stem == "small", epochs=self.epochs,
            head_epochs=self.head_epochs, patience=self.patience, batch=self.batch, rate=self.rate,
            weight_decay=self.weight_decay, label_smoothing=self.label_smoothing, flip=self.flip, shift=self.shift,
            zoom=self.zoom, brightness=self.brightness, contrast=self.contrast, width=self.width,
            mean=None if self.mean is None else tuple(self.mean), std=None if self.std is None else tuple(self.std),
        )  # fmt: skip


def params_of(name: str, candidate: Candidate, frame: Frame) -> NetworkParams:
    """The parameters of a candidate, complete.

    Raises:
        TrainingError: a network has no such parameter or it has no such value; names its key in the spec.
    """
    place = f"candidates.{name}.params"
    try:
        given = NetworkParams.model_validate(candidate.params)
    except ValidationError as error:
        first = error.errors()[0]
        key = str(first["loc"][0])
        if first["type"] == "extra_forbidden":
            close = difflib.get_close_matches(key, NetworkParams.model_fields, n=2)
            hint = (
                f"Did you mean {' or '.join(close)}?" if close else f"It takes {', '.join(NetworkParams.model_fields)}."
            )
            raise TrainingError(f"{place}.{key}: a network has no such parameter.", remedy=hint) from error
        raise TrainingError(f"{place}.{key}: {first['msg']}.", remedy="Correct it.") from error
    if (given.mean is None) != (given.std is None):
        raise TrainingError(f"{place}: mean and std belong together.", remedy="Set both, or none.")
    for key, values in (("mean", given.mean), ("std", given.std)):
        if values is not None and len(values) != frame.channels:
            raise TrainingError(
                f"{place}.{key}: has {len(values)} numbers.", remedy=f"Give {frame.channels}, one for each channel."
            )
    if candidate.weights is not None and (candidate.torch != "resnet18" or given.stem == "small"):
        raise TrainingError(
            f"candidates.{name}.weights: they are those of a resnet18 with its usual stem.",
            remedy="Remove them, or set torch: resnet18 and no stem.",
        )
    return given.of(candidate, frame)


def _channels(values: tuple[float, ...], frame: Frame) -> list[float]:
    """For three channels, or the mean of the three for grey."""
    return list(values) if frame.channels == len(values) else [round(sum(values) / len(values), 6)]
