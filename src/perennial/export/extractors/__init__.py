"""What makes numbers of a picture, as a graph: its raw pixels, the histograms of its gradients, or a frozen network."""

from __future__ import annotations

from dataclasses import dataclass

from perennial.spec import Frame

FEATURES = "features"
"""The one output of an extractor's graph."""
MOST_FEATURES = 12_288
"""More numbers of one picture are for a network to look at, not for an estimator: 64 by 64 pixels in three channels."""


@dataclass(frozen=True)
class Extractor:
    """A graph from ``x`` uint8 [1, size, size, channels], in ``frame``, to ``features`` [1, width] as float32 or 64."""

    onnx: bytes
    frame: Frame
    width: int
