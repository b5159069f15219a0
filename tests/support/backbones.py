"""Small frozen extractors as other people's exporters write them, odd ones included."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

SIZE = 16
WIDTH = 6
Weights = NDArray[np.float32]


def weights(seed: int = 0) -> Weights:
    """A convolution's kernels [WIDTH, 3, 3, 3]."""
    return np.random.default_rng(seed).normal(size=(WIDTH, 3, 3, 3)).astype(np.float32)


def network(
    *,
    layout: str = "NCHW",
    opset: int = 15,
    batch: str | int = "N",
    size: int | str = SIZE,
    output: str = "pooled",
    entry: str = "data",
    listed: bool = False,
    seed: int = 0,
    before: Sequence[onnx.NodeProto] = (),
    after: Sequence[onnx.NodeProto] = (),
    more: Sequence[onnx.TensorProto] = (),
    source: str | None = None,
    result: str | None = None,
) -> bytes:
    """One convolution, its rectified values, and their mean over the picture.

    ``before`` are nodes in front, which leave their value in ``source``, ``after`` those behind, in ``result``;
    ``listed`` names the constants among the inputs, as exporters of old did.
    """
    start = source or entry
    nodes = list(before)
    if layout == "NHWC":
        nodes.append(helper.make_node("Transpose", [start], ["first"], perm=[0, 3, 1, 2]))
        start = "first"
    nodes += [
        helper.make_node("Conv", [start, "w"], ["seen"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["seen"], ["bent"]),
        helper.make_node("GlobalAveragePool", ["bent"], [output]),
        *after,
    ]
    constants = [numpy_helper.from_array(weights(seed), "w"), *more]
    shape = [batch, 3, size, size] if layout == "NCHW" else [batch, size, size, 3]
    inputs = [helper.make_tensor_value_info(entry, TensorProto.FLOAT, shape)]
    if listed:
        inputs += [helper.make_tensor_value_info(each.name, each.data_type, list(each.dims)) for each in constants]
    outputs = [helper.make_tensor_value_info(result or output, TensorProto.FLOAT, None)]
    return model_of(nodes, inputs, outputs, constants, opset)


def model_of(
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[onnx.ValueInfoProto],
    outputs: Sequence[onnx.ValueInfoProto],
    constants: Sequence[onnx.TensorProto],
    opset: int = 15,
) -> bytes:
    """The bytes of a model."""
    graph = helper.make_graph(list(nodes), "foreign", list(inputs), list(outputs), list(constants))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=3 if opset < 9 else 8)
    return bytes(model.SerializeToString())


def expected(picture: NDArray[np.uint8], factor: Sequence[float], offset: Sequence[float], *, bgr: bool = False,
             seed: int = 0) -> NDArray[np.float64]:  # fmt: skip
    """What :func:`network` makes of a picture uint8 [size, size, 3], computed by numpy in float64: [WIDTH]."""
    light = (picture[..., ::-1] if bgr else picture).astype(np.float64) * factor + offset
    padded = np.pad(light, ((1, 1), (1, 1), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(0, 1))
    seen = np.einsum("ijckl,ockl->ijo", windows, weights(seed).astype(np.float64))
    return np.asarray(np.maximum(seen, 0).mean(axis=(0, 1)))
