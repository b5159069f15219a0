"""A small real model of pictures, made by hand: linear over the pixels, in the graph every model of pictures has."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from perennial.registry.manifest import ModelManifest
from perennial.spec import Frame, ModelSpec
from tests.support.models import make_manifest
from tests.support.pictures import CLASSES, Pixels, image_spec


@dataclass(frozen=True)
class BuiltPictures:
    """A version that is not in a registry yet, with the weights [pixels, classes] it was made of.

    Has what ``tests.support.models`` publishes and promotes: ``manifest`` and ``onnx``.
    """

    manifest: ModelManifest
    onnx: bytes
    weights: NDArray[np.float64]

    @property
    def version(self) -> str:
        return self.manifest.version

    @property
    def frame(self) -> Frame:
        assert self.manifest.pixels is not None
        return self.manifest.pixels


def build_pictures(
    spec: ModelSpec | None = None,
    *,
    seed: int = 0,
    frame: Frame | None = None,
    cell: tuple[slice, slice] | None = None,
) -> BuiltPictures:
    """A version that knows the classes of ``pictures.blotches`` by their channels; another seed is another version.

    With a ``cell`` of its frame, rows and columns, it looks at nothing else.
    """
    spec = spec or image_spec()
    assert spec.image is not None
    frame = frame or spec.image.frame
    classes = spec.target.classes or CLASSES[:2]
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=(*frame.shape, len(classes))) * 1e-3
    for place in range(min(len(classes), frame.channels)):
        weights[:, :, place, place] += 4.0
    if cell is not None:
        seen = np.zeros(frame.shape, bool)
        seen[cell] = True
        weights[~seen] = 0.0
    flat = weights.reshape(-1, len(classes)) / (frame.size * frame.size)
    graph = picture_onnx(frame, flat)
    manifest = make_manifest(spec, tuple(classes), graph, seed).model_copy(
        update={"pixels": frame, "dataset": hashlib.sha256(b"pictures").hexdigest()}
    )
    return BuiltPictures(manifest, graph, flat)


def picture_onnx(frame: Frame, weights: NDArray[np.float64]) -> bytes:
    """Softmax of a linear map of pixels over 255: uint8 [N, size, size, channels] to label and probabilities."""
    size, _, channels = frame.shape
    constants = [
        numpy_helper.from_array(weights, "w"),
        numpy_helper.from_array(np.array(255.0), "white"),
        numpy_helper.from_array(np.array([0, -1], np.int64), "flat"),
    ]
    nodes = [
        helper.make_node("Cast", ["x"], ["number"], to=TensorProto.DOUBLE),
        helper.make_node("Div", ["number", "white"], ["light"]),
        helper.make_node("Reshape", ["light", "flat"], ["row"]),
        helper.make_node("MatMul", ["row", "w"], ["score"]),
        helper.make_node("Softmax", ["score"], ["probabilities"], axis=1),
        helper.make_node("ArgMax", ["probabilities"], ["label"], axis=1, keepdims=0),
    ]
    pictures = helper.make_tensor_value_info("x", TensorProto.UINT8, ["N", size, size, channels])
    results = [
        helper.make_tensor_value_info("label", TensorProto.INT64, ["N"]),
        helper.make_tensor_value_info("probabilities", TensorProto.DOUBLE, ["N", weights.shape[1]]),
    ]
    graph = helper.make_graph(nodes, "pictures", [pictures], results, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def answer(built: BuiltPictures, pixels: Pixels) -> NDArray[np.float64]:
    """What the model says of one framed picture, computed by numpy: probabilities [classes]."""
    score = (pixels.reshape(-1) / 255.0) @ built.weights
    power = np.exp(score - score.max())
    return np.asarray(power / power.sum())
