"""Versions whose graphs may be loaded, and do harm when they are run, or give no answer that could be told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from perennial.registry.manifest import ModelManifest
from tests.support.models import make_manifest, make_spec


@dataclass(frozen=True)
class Made:
    manifest: ModelManifest
    onnx: bytes


def regression(nodes: list[Any], constants: list[Any], rows: str | int = "N") -> Made:
    """A version of a regression with one number, and whatever graph, which says that it answers ``rows``."""
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", TensorProto.DOUBLE, ["N", 1])],
        [helper.make_tensor_value_info("value", TensorProto.DOUBLE, [rows])], constants,
    )  # fmt: skip
    onnx = bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9).SerializeToString()
    )
    spec = make_spec("m", "regression", {"a": {"type": "number"}})
    return Made(make_manifest(spec, (), onnx), onnx)


def pinned(rows: int) -> Made:
    """A graph that says it answers so many rows, as one exported with a batch of that size does, and answers any."""
    axis = numpy_helper.from_array(np.array([1], np.int64), "axis")
    return regression([helper.make_node("Squeeze", ["x", "axis"], ["value"])], [axis], rows)


def bomb(megabytes: int = 2048) -> Made:
    """A few bytes that ask for so much memory when they are run."""
    shape = numpy_helper.from_array(np.array([(megabytes << 20) // 8], np.int64), "shape")
    one = numpy_helper.from_array(np.array([1.0]), "value")
    return regression(
        [helper.make_node("ConstantOfShape", ["shape"], ["large"], value=one),
         helper.make_node("ReduceSum", ["large"], ["sum"], keepdims=0),
         helper.make_node("Squeeze", ["x", "axis"], ["plain"]), helper.make_node("Add", ["plain", "sum"], ["value"])],
        [shape, numpy_helper.from_array(np.array([1], np.int64), "axis")],
    )  # fmt: skip


def endless() -> Made:
    """A loop without an end: its condition stays true, and it counts nothing."""
    true = helper.make_tensor("true", TensorProto.BOOL, [], [True])
    body = helper.make_graph(
        [helper.make_node("Identity", ["going"], ["still"]), helper.make_node("Identity", ["held"], ["kept"])], "body",
        [helper.make_tensor_value_info("i", TensorProto.INT64, []),
         helper.make_tensor_value_info("going", TensorProto.BOOL, []),
         helper.make_tensor_value_info("held", TensorProto.DOUBLE, ["N"])],
        [helper.make_tensor_value_info("still", TensorProto.BOOL, []),
         helper.make_tensor_value_info("kept", TensorProto.DOUBLE, ["N"])],
    )  # fmt: skip
    return regression(
        [helper.make_node("Squeeze", ["x", "axis"], ["plain"]),
         helper.make_node("Loop", ["", "true", "plain"], ["value"], body=body)],
        [true, numpy_helper.from_array(np.array([1], np.int64), "axis")],
    )  # fmt: skip


def classifier(label: int, classes: int = 3) -> Made:
    """A version with three classes, whose graph has ``classes`` and always answers with the one of that number."""
    names = [f"c{number}" for number in range(3)]
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "weights"], ["probabilities"]),
         helper.make_node("ArgMax", ["probabilities"], ["first"], axis=1, keepdims=0),
         helper.make_node("Add", ["first", "further"], ["label"])],
        "g", [helper.make_tensor_value_info("x", TensorProto.DOUBLE, ["N", 1])],
        [helper.make_tensor_value_info("label", TensorProto.INT64, ["N"]),
         helper.make_tensor_value_info("probabilities", TensorProto.DOUBLE, ["N", "classes"])],
        [numpy_helper.from_array(np.full((1, classes), 1.0), "weights"),
         numpy_helper.from_array(np.array(label, np.int64), "further")],
    )  # fmt: skip
    onnx = bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9).SerializeToString()
    )
    spec = make_spec("m", "multiclass", {"a": {"type": "number"}})
    return Made(make_manifest(spec, tuple(names), onnx), onnx)


def nowhere() -> Made:
    """Its answer is never a number."""
    return regression(
        [helper.make_node("Squeeze", ["x", "axis"], ["plain"]), helper.make_node("Div", ["zero", "zero"], ["none"]),
         helper.make_node("Add", ["plain", "none"], ["value"])],
        [numpy_helper.from_array(np.array([1], np.int64), "axis"), numpy_helper.from_array(np.array(0.0), "zero")],
    )  # fmt: skip
