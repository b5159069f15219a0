"""Eight bits: standard operators, the same bytes twice, nearly the same features, in a quarter of the room."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from perennial.errors import ExportError
from perennial.export.extractors.raw import raw_pixels
from perennial.export.normalise import normalised, read_graph
from perennial.export.preparation import Preparation
from perennial.export.quantize import CALIBRATION, calibration_rows, quantized
from perennial.export.runtime import session
from perennial.spec import Frame
from tests.support.backbones import SIZE, WIDTH, network
from tests.support.pictures import blotches

HOW = Preparation(layout="NCHW", size=SIZE, range=(-1, 1))


def pictures(count: int) -> list[np.ndarray]:
    return [blotches(seed, size=(SIZE, SIZE)) for seed in range(count)]


def deep() -> bytes:
    """Two convolutions, the second of which has most of the weights."""
    kernel = np.random.default_rng(1).normal(size=(64, WIDTH, 3, 3)).astype(np.float32) / 8
    after = [
        helper.make_node("Conv", ["bent", "k"], ["deeper"], pads=[1, 1, 1, 1]),
        helper.make_node("GlobalAveragePool", ["deeper"], ["deepest"]),
    ]
    return network(after=after, more=[numpy_helper.from_array(kernel, "k")], result="deepest")


def test_a_quantised_graph_is_small_standard_and_close() -> None:
    graph = normalised(read_graph(deep()), HOW)
    found, again = (quantized(graph, pictures(20)) for _ in range(2))
    assert found == again
    assert len(found) < 0.7 * len(graph)
    model = onnx.load_model_from_string(found)
    assert {node.domain for node in model.graph.node} == {""}
    assert "QuantizeLinear" in {node.op_type for node in model.graph.node}
    assert model.graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.UINT8
    weights = [tensor for tensor in model.graph.initializer if tensor.data_type == onnx.TensorProto.INT8]
    assert weights and all(np.abs(numpy_helper.to_array(each)).max() <= 64 for each in weights)  # seven bits
    whole, small = (
        np.concatenate([session(each).run(None, {"x": one[np.newaxis]})[0] for one in pictures(30)])
        for each in (graph, found)
    )
    assert np.corrcoef(whole.ravel(), small.ravel())[0, 1] > 0.99


def test_what_has_nothing_to_quantise_is_refused() -> None:
    with pytest.raises(ExportError, match="nothing to quantise"):
        quantized(raw_pixels(Frame(size=SIZE)).onnx, pictures(2))


def test_without_pictures_it_is_refused() -> None:
    with pytest.raises(ExportError, match="cannot be quantised"):
        quantized(normalised(read_graph(network()), HOW), [])


def test_calibration_is_spread_over_all_pictures() -> None:
    assert calibration_rows(5).tolist() == [0, 1, 2, 3, 4]
    rows = calibration_rows(10_000)
    assert len(rows) == CALIBRATION and rows[0] == 0 and rows[-1] == 9_999
    assert np.diff(rows).max() - np.diff(rows).min() <= 1
