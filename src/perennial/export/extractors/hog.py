"""Histograms of oriented gradients (Dalal and Triggs, 2005), computed in the graph.

Nine unsigned orientations, cells of 8 × 8 pixels, blocks of 2 × 2 cells that overlap, each normalised by L2-Hys. A
pixel's gradient is that of the channel in which it is strongest, and votes with its magnitude for the one orientation
it falls into. Orientations are told apart by the signs of cross products of whole numbers with fixed directions, none
of which a gradient can lie on: no rounding decides, and so every processor sees the same.
"""

from __future__ import annotations

import numpy as np

from perennial.export.extractors import FEATURES, Extractor
from perennial.export.graph import INPUT, Graph
from perennial.spec import Frame

ORIENTATIONS = 9
CELL = 8
BLOCK = 2
LEAST_SIZE = CELL * BLOCK
CLIP = 0.2
EPSILON = 1e-5
_END = np.iinfo(np.int64).max


def hog_width(frame: Frame) -> int:
    """How many numbers there are of a picture in this frame."""
    blocks = max(0, frame.size // CELL - BLOCK + 1)
    return blocks * blocks * BLOCK * BLOCK * ORIENTATIONS


def oriented_gradients(frame: Frame) -> Extractor:
    """The histograms of a picture's blocks, row by row. Pixels beyond the last whole cell do not count.

    Raises ValueError where not a single block fits into the frame.
    """
    if frame.size < LEAST_SIZE:
        raise ValueError(f"histograms of gradients need {LEAST_SIZE} x {LEAST_SIZE} pixels")
    graph = Graph(0, pictures=frame.shape)
    across, down, square = _strongest(graph, frame)
    cells = _histograms(graph, across, down, graph.op("Sqrt", square), frame.size // CELL)
    flat = graph.op("Flatten", _normalised(graph, _blocks(graph, cells)), axis=1)
    return Extractor(graph.finish({FEATURES: (flat, "float64", hog_width(frame))}), frame, hog_width(frame))


def _strongest(graph: Graph, frame: Frame) -> tuple[str, str, str]:
    """Differences to the right and down, and the square of their length, each [N, rows, columns]."""
    light = graph.cast(INPUT, "float64")
    across, down, square = "", "", ""
    for channel in range(frame.channels):
        plane = graph.op("Gather", light, graph.constant(channel, np.int64), axis=3)
        dx, dy = _differences(graph, plane, 2), _differences(graph, plane, 1)
        length = graph.op("Add", graph.op("Mul", dx, dx), graph.op("Mul", dy, dy))
        if not square:
            across, down, square = dx, dy, length
            continue
        more = graph.op("Greater", length, square)
        across, down = graph.op("Where", more, dx, across), graph.op("Where", more, dy, down)
        square = graph.op("Where", more, length, square)
    return across, down, square


def _differences(graph: Graph, plane: str, axis: int) -> str:
    """What follows less what came before, along an axis; zero at both ends."""
    between = graph.op("Sub", _slice(graph, plane, axis, 2, _END), _slice(graph, plane, axis, 0, -2))
    pads = np.zeros(6, np.int64)
    pads[[axis, axis + 3]] = 1
    return graph.op("Pad", between, graph.constant(pads, np.int64))


def _histograms(graph: Graph, across: str, down: str, magnitude: str, cells: int) -> str:
    """Votes of each cell for each orientation [N, cells, cells, orientations]."""
    zero = graph.constant(0.0)
    upside = graph.op("Or", graph.op("Less", down, zero), graph.op("And", graph.op("Equal", down, zero),
                                                                  graph.op("Less", across, zero)))  # fmt: skip
    across = graph.op("Where", upside, graph.op("Neg", across), across)
    down = graph.op("Where", upside, graph.op("Neg", down), down)
    beyond = []
    for step in range(1, ORIENTATIONS):
        angle = np.pi * step / ORIENTATIONS
        turned = graph.op("Sub", graph.op("Mul", down, graph.constant(np.cos(angle))),
                          graph.op("Mul", across, graph.constant(np.sin(angle))))  # fmt: skip
        beyond.append(graph.op("Where", graph.op("GreaterOrEqual", turned, zero), magnitude, zero))
    planes = []
    for lower, upper in zip([magnitude, *beyond], [*beyond, ""], strict=True):
        planes.append(graph.op("Sub", lower, upper) if upper else lower)
    return graph.op("Concat", *(_cell_sums(graph, plane, cells) for plane in planes), axis=3)


def _cell_sums(graph: Graph, plane: str, cells: int) -> str:
    """Means over the whole cells of a plane [N, cells, cells, 1]."""
    whole = _slice(graph, _slice(graph, plane, 1, 0, cells * CELL), 2, 0, cells * CELL)
    parts = graph.op("Reshape", whole, graph.constant([0, cells, CELL, cells, CELL], np.int64))
    sums = graph.op("ReduceSum", parts, graph.constant([2, 4], np.int64), keepdims=0)
    return graph.op("Unsqueeze", graph.op("Div", sums, graph.constant(float(CELL * CELL))),
                    graph.constant([3], np.int64))  # fmt: skip


def _blocks(graph: Graph, cells: str) -> str:
    """The cells of each block side by side [N, blocks, blocks, 4 x orientations]."""
    corners = []
    for top in range(BLOCK):
        rows = _slice(graph, cells, 1, top, _END if top == BLOCK - 1 else top - BLOCK + 1)
        for left in range(BLOCK):
            corners.append(_slice(graph, rows, 2, left, _END if left == BLOCK - 1 else left - BLOCK + 1))
    return graph.op("Concat", *corners, axis=3)


def _normalised(graph: Graph, blocks: str) -> str:
    """L2-Hys: to length one, no part above 0.2, and to length one again."""
    clipped = graph.op("Min", _to_length_one(graph, blocks), graph.constant(CLIP))
    return _to_length_one(graph, clipped)


def _to_length_one(graph: Graph, blocks: str) -> str:
    squares = graph.op("ReduceSum", graph.op("Mul", blocks, blocks), graph.constant([3], np.int64), keepdims=1)
    return graph.op("Div", blocks, graph.op("Sqrt", graph.op("Add", squares, graph.constant(EPSILON**2))))


def _slice(graph: Graph, value: str, axis: int, start: int, end: int) -> str:
    begin, stop, along = (graph.constant([place], np.int64) for place in (start, end, axis))
    return graph.op("Slice", value, begin, stop, along)
