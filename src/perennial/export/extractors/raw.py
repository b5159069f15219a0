"""The raw pixels of a picture: what a model must beat to be worth more than the light that falls on it."""

from __future__ import annotations

from perennial.export.extractors import FEATURES, Extractor
from perennial.export.graph import INPUT, Graph
from perennial.spec import Frame


def raw_pixels(frame: Frame) -> Extractor:
    """Each value from 0 to 255 as a number of its own, row by row: exact in float64."""
    graph = Graph(0, pictures=frame.shape)
    width = frame.size * frame.size * frame.channels
    flat = graph.op("Flatten", graph.cast(INPUT, "float64"), axis=1)
    return Extractor(graph.finish({FEATURES: (flat, "float64", width)}), frame, width)
