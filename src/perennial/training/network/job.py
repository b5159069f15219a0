"""What the script is asked for and what it answers, besides arrays: read by both sides, so nothing heavy is here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

REFUSED = 2
"""The exit code of a job that cannot be done; the last line said why."""


@dataclass(frozen=True)
class Job:
    """One network to train.

    ``network`` is resnet18 or depthwise. ``small_stem`` halves the picture once before the first block, where the usual
    one of ResNet does so twice. ``mean`` and ``std`` of each channel, of values from 0 to 1, are measured where they
    are None. What the others mean, ``NetworkParams`` says.
    """

    network: str
    size: int
    channels: int
    classes: int
    seed: int
    weights: bool
    small_stem: bool
    epochs: int
    head_epochs: int
    patience: int
    batch: int
    rate: float
    weight_decay: float
    label_smoothing: float
    flip: bool
    shift: float
    zoom: float
    brightness: float
    contrast: float
    width: int
    class_weight: tuple[float, ...] | None
    mean: tuple[float, ...] | None
    std: tuple[float, ...] | None

    @classmethod
    def of(cls, values: dict[str, Any]) -> Job:
        """From JSON."""
        pairs: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
        }
        return cls(**pairs)


@dataclass(frozen=True)
class Result:
    """How the training went: epochs that ran, the one whose weights were kept, its loss and its accuracy.

    ``temperature`` divides the logits, so that the network is as sure as it is right; ``loaded`` counts the tensors
    that it started from.
    """

    epochs: int
    best: int
    loss: float
    accuracy: float
    temperature: float
    parameters: int
    torch: str
    transformers: str
    loaded: int


class Refused(Exception):
    """The job cannot be done; one line says why, and what to do."""
