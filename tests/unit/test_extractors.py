"""Extractors of our own against what numpy makes of the same pictures, and how they become one graph with a head."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from perennial.errors import ExportError
from perennial.export.extractors.hog import hog_width, oriented_gradients
from perennial.export.extractors.raw import raw_pixels
from perennial.export.graph import Graph
from perennial.export.merge import merged
from perennial.export.picture_parity import BLENDS, Looks, boundary_pictures, look, proof
from perennial.export.runtime import session
from perennial.spec import Frame


def noise(frame: Frame, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, frame.shape, np.uint8)


def histograms(picture: np.ndarray) -> np.ndarray:
    """Histograms of oriented gradients written the plain way: by angles."""
    light = picture.astype(float)
    across, down = np.zeros_like(light), np.zeros_like(light)
    across[:, 1:-1] = light[:, 2:] - light[:, :-2]
    down[1:-1] = light[2:] - light[:-2]
    strongest = (across**2 + down**2).argmax(axis=2)[..., None]
    across, down = (np.take_along_axis(each, strongest, 2)[..., 0] for each in (across, down))
    orientation = np.minimum(np.rad2deg(np.arctan2(down, across)) % 180 // 20, 8).astype(int)
    cells = picture.shape[0] // 8
    found = np.zeros((cells, cells, 9))
    for row in range(cells * 8):
        for column in range(cells * 8):
            length = np.hypot(across[row, column], down[row, column])
            found[row // 8, column // 8, orientation[row, column]] += length / 64
    blocks = []
    for row in range(cells - 1):
        for column in range(cells - 1):
            block = found[row : row + 2, column : column + 2].reshape(-1)
            block = np.minimum(block / np.sqrt((block**2).sum() + 1e-10), 0.2)
            blocks.append(block / np.sqrt((block**2).sum() + 1e-10))
    return np.concatenate(blocks)


@pytest.mark.parametrize("frame", [Frame(size=37), Frame(size=16, color="grey"), Frame(size=24)], ids=str)
def test_histograms_are_those_of_the_paper(frame: Frame) -> None:
    extractor = oriented_gradients(frame)
    runner = session(extractor.onnx)
    for picture in (noise(frame), *boundary_pictures(frame, [])):
        found = runner.run(None, {"x": picture[np.newaxis]})[0]
        assert found.shape == (1, extractor.width) == (1, hog_width(frame))
        np.testing.assert_allclose(found[0], histograms(picture), atol=1e-12)


def test_pixels_are_passed_on_as_they_are() -> None:
    frame = Frame(size=9, color="rgb")
    found = session(raw_pixels(frame).onnx).run(None, {"x": noise(frame)[np.newaxis]})[0]
    np.testing.assert_array_equal(found, noise(frame).reshape(1, -1).astype(np.float64))


def head(width: int, opset: int = 21) -> bytes:
    """The class of the brighter half."""
    graph = Graph(width)
    weights = np.zeros((width, 2))
    weights[: width // 2, 0] = weights[width // 2 :, 1] = 1e-3
    scores = graph.op("MatMul", "x", graph.constant(weights))
    made = graph.finish(
        {
            "label": (graph.op("ArgMax", scores, axis=1, keepdims=0), "int64", None),
            "probabilities": (graph.op("Softmax", scores, axis=1), "float64", 2),
        }
    )
    model = onnx.load_model_from_string(made)
    model.opset_import[0].version = opset
    return bytes(model.SerializeToString())


def test_one_graph_answers_as_extractor_and_head_do_one_after_the_other() -> None:
    frame = Frame(size=16)
    extractor = oriented_gradients(frame)
    whole = merged(extractor.onnx, head(extractor.width))
    onnx.checker.check_model(onnx.load_model_from_string(whole), full_check=True)
    pictures = boundary_pictures(frame, [noise(frame, seed) for seed in range(3)])
    features = np.concatenate([session(extractor.onnx).run(None, {"x": one[np.newaxis]})[0] for one in pictures])
    label, probabilities = session(head(extractor.width)).run(["label", "probabilities"], {"x": features})
    found = look(whole, pictures)
    np.testing.assert_array_equal(found.labels, label)
    np.testing.assert_array_equal(found.probabilities, probabilities)


def test_names_that_both_graphs_have_do_not_meet() -> None:
    nodes = [
        helper.make_node("Cast", ["x"], ["c_1"], to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["c_1"], ["label"], axis=1),
        helper.make_node("Neg", ["label"], ["embedding"]),
        helper.make_node("Neg", ["embedding"], ["features"]),
    ]
    entry = helper.make_tensor_value_info("x", TensorProto.UINT8, [1, 4, 4, 1])
    out = helper.make_tensor_value_info("features", TensorProto.FLOAT, [1, 16])
    graph = helper.make_graph(nodes, "g", [entry], [out], [])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    whole = merged(bytes(model.SerializeToString()), head(16))
    frame = Frame(size=8, color="grey")
    picture = noise(frame)[:4, :4]
    expected = session(head(16)).run(["probabilities"], {"x": picture.reshape(1, -1).astype(np.float64)})[0]
    np.testing.assert_array_equal(look(whole, [picture]).probabilities, expected)


def test_graphs_of_different_versions_are_not_merged() -> None:
    with pytest.raises(ExportError, match="opset 21, the head's in 20"):
        merged(raw_pixels(Frame(size=8)).onnx, head(192, opset=20))


@pytest.mark.parametrize("color", ["rgb", "grey"])
def test_edge_pictures_are_in_the_frame_distinct_and_always_the_same(color: str) -> None:
    frame = Frame.model_validate({"size": 12, "color": color})
    some = [noise(frame, seed) for seed in range(BLENDS + 3)]
    found, again = (boundary_pictures(frame, some) for _ in range(2))
    assert all(one.shape == frame.shape and one.dtype == np.uint8 for one in found)
    assert len({one.tobytes() for one in found}) == len(found) > 60
    assert [one.tobytes() for one in found] == [one.tobytes() for one in again]


def looks(*probabilities: float) -> Looks:
    positive = np.array(probabilities)
    return Looks((positive > 0.5).astype(np.int64), np.column_stack([1 - positive, positive]))


def test_a_proof_allows_a_millionth_and_no_change_of_class() -> None:
    parity = proof("net", looks(0.2, 0.9, 0.5), looks(0.2, 0.9 + 5e-7, 0.5), 2, 1)
    assert (parity.holdout_rows, parity.boundary_rows, parity.changed_classes) == (2, 1, 0)
    assert parity.max_difference == pytest.approx(5e-7, rel=1e-3)


@pytest.mark.parametrize(
    "ours",
    [looks(0.2, 0.9 + 2e-6, 0.5), looks(0.2, 0.9, 0.5 + 1e-9), looks(0.2, float("nan"), 0.5), looks(0.2, 0.9)],
    ids=["too far", "another class", "not a number", "one too few"],
)
def test_a_graph_that_answers_otherwise_is_refused(ours: Looks) -> None:
    with pytest.raises(ExportError, match="The graph of net is not faithful"):
        proof("net", looks(0.2, 0.9, 0.5), ours, 2, 1)
