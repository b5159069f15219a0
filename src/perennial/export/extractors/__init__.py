"""What makes numbers of a picture, as a graph: its raw pixels, the histograms of its gradients, or a frozen network."""

from __future__ import annotations

from dataclasses import dataclass

from perennial.spec import Frame

FEATURES = "features"
"""What an extractor's graph gives first: what serves."""
SEVERAL = "views"
"""What it gives besides where it looks at a picture several times: the features of each view, to learn from."""
MOST_FEATURES = 12_288
"""More numbers of one picture are for a network to look at, not for an estimator: 64 by 64 pixels in three channels."""


@dataclass(frozen=True)
class Extractor:
    """A graph from ``x`` uint8 [1, size, size, channels], in ``frame``, to ``features`` [1, width] as float32 or 64.

    Where ``views`` is not 0 it looks so many times, and gives ``views`` float32 [views, width] besides.
    """

    onnx: bytes
    frame: Frame
    width: int
    views: int = 0
