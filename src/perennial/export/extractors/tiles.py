"""One picture in seven views, each through the same frozen extractor: more is learnt from few pictures, and more seen.

The views are the whole, its mirror image, and five tiles at twice the resolution: four quarters and the middle. Inside
the graph a Scan runs the extractor on one view after the other, so that each is seen bit for bit as a picture of its
own would be, and the graph holds the network once.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper

from perennial.export.extractors import FEATURES, SEVERAL, Extractor
from perennial.export.graph import INPUT, IR_VERSION, OPSET, Graph
from perennial.export.naming import put_prefix
from perennial.images.decode import Pixels
from perennial.spec import Frame

VIEWS = 7
FARTHEST = 256
"""The largest pictures an extractor may take: twice as many pixels a side are the most that a frame has."""
PREFIX = "view/"


def views_of(picture: Pixels) -> Pixels:
    """The views [7, size, size, channels] of a picture uint8 [2 size, 2 size, channels], as the graph makes them.

    A pixel of the whole is the mean of four, rounded half to even.
    """
    size, channels = len(picture) // 2, picture.shape[2]
    fours = picture.reshape(size, 2, size, 2, channels).astype(np.float32)
    whole = np.rint(fours.mean(axis=(1, 3))).astype(np.uint8)
    tiles = [picture[top : top + size, left : left + size] for top, left in _corners(size)]
    return np.stack([whole, whole[:, ::-1], *tiles])


def tiled(extractor: Extractor) -> Extractor:
    """An extractor over pictures of twice the size: its features are the mean of those of the seven views.

    The frame of ``extractor`` has at most ``FARTHEST`` pixels a side.
    """
    size, width = extractor.frame.size, extractor.width
    frame = extractor.frame.model_copy(update={"size": 2 * size})
    body = onnx.load_model_from_string(extractor.onnx).graph
    put_prefix(body, PREFIX)
    graph = Graph(0, pictures=frame.shape)
    seen = graph.op("Scan", _views(graph, size, frame.channels), body=body, num_scan_inputs=1)
    rows = helper.make_node("Reshape", [seen, graph.constant([VIEWS, width], np.int64)], [SEVERAL])
    exact = helper.make_node("Cast", [SEVERAL], ["exact"], to=TensorProto.DOUBLE)
    mean = helper.make_node("ReduceMean", ["exact", graph.constant([0], np.int64)], [FEATURES], keepdims=1)
    graph.nodes += [rows, exact, mean]
    return Extractor(_model(graph, frame, width), frame, width, VIEWS)


def _views(graph: Graph, size: int, channels: int) -> str:
    """The views uint8 [7, 1, size, size, channels] of the one picture that goes in."""
    fours = graph.op("Reshape", INPUT, graph.constant([size, 2, size, 2, channels], np.int64))
    mean = graph.op("ReduceMean", graph.cast(fours, "float32"), graph.constant([1, 3], np.int64), keepdims=0)
    rounded = graph.op("Cast", graph.op("Round", mean), to=TensorProto.UINT8)
    whole = graph.op("Unsqueeze", rounded, graph.constant([0], np.int64))
    back, last, across = (graph.constant([value], np.int64) for value in (-1, np.iinfo(np.int64).min, 2))
    mirror = graph.op("Slice", whole, back, last, across, back)
    axes = graph.constant([1, 2], np.int64)
    tiles = [
        graph.op("Slice", INPUT, graph.constant([top, left], np.int64),
                 graph.constant([top + size, left + size], np.int64), axes)
        for top, left in _corners(size)
    ]  # fmt: skip
    return graph.op("Unsqueeze", graph.op("Concat", whole, mirror, *tiles, axis=0), graph.constant([1], np.int64))


def _corners(size: int) -> list[tuple[int, int]]:
    """Top and left of each tile: quarters row by row, then the middle."""
    return [(0, 0), (0, size), (size, 0), (size, size), (size // 2, size // 2)]


def _model(graph: Graph, frame: Frame, width: int) -> bytes:
    """The graph's bytes, with what serves as the first of its outputs."""
    made = helper.make_graph(
        graph.nodes,
        "extractor",
        [helper.make_tensor_value_info(INPUT, TensorProto.UINT8, [1, *frame.shape])],
        [
            helper.make_tensor_value_info(FEATURES, TensorProto.DOUBLE, [1, width]),
            helper.make_tensor_value_info(SEVERAL, TensorProto.FLOAT, [VIEWS, width]),
        ],
        graph.initializers,
    )
    model = helper.make_model(
        made, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="perennial"
    )
    return bytes(model.SerializeToString())
