"""The graphs of hostile models: they bring in what is outside, are nested or crowded, or claim what they have not."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from tests.support.hostile_models import Made, regression

_AXIS = numpy_helper.from_array(np.array([1], np.int64), "axis")
_SQUEEZE = helper.make_node("Squeeze", ["x", "axis"], ["plain"])
_VALUE = helper.make_node("Squeeze", ["product", "axis"], ["value"])


def sound(by: float = 2.0) -> Made:
    """A model as it should be: the one number, times ``by``."""
    return regression([helper.make_node("MatMul", ["x", "w"], ["product"]), _VALUE],
                      [numpy_helper.from_array(np.array([[by]]), "w"), _AXIS])  # fmt: skip


def _elsewhere(location: str) -> Any:
    made = TensorProto(name="w", data_type=TensorProto.DOUBLE, dims=[1, 1], data_location=TensorProto.EXTERNAL)
    for key, value in (("location", location), ("offset", "0"), ("length", "8")):
        made.external_data.add(key=key, value=value)
    return made


def outside(location: str) -> Made:
    """The sound model, with its weights in another file."""
    return regression([helper.make_node("MatMul", ["x", "w"], ["product"]), _VALUE], [_elsewhere(location), _AXIS])


def outside_within(location: str) -> Made:
    """The same where the weights belong to a branch."""
    inner = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["inner"])], "branch", [],
        [helper.make_tensor_value_info("inner", TensorProto.DOUBLE, ["N", 1])], [_elsewhere(location)],
    )  # fmt: skip
    true = helper.make_tensor("true", TensorProto.BOOL, [], [True])
    other = helper.make_graph([helper.make_node("Identity", ["x"], ["same"])], "other", [],
                              [helper.make_tensor_value_info("same", TensorProto.DOUBLE, ["N", 1])])  # fmt: skip
    branch = helper.make_node("If", ["true"], ["product"], then_branch=inner, else_branch=other)
    return regression([branch, _VALUE], [true, _AXIS])


def _with_functions(*functions: Any, node: Any) -> bytes:
    graph = helper.make_graph(
        [node, _SQUEEZE, helper.make_node("Identity", ["plain"], ["value"])], "g",
        [helper.make_tensor_value_info("x", TensorProto.DOUBLE, ["N", 1])],
        [helper.make_tensor_value_info("value", TensorProto.DOUBLE, ["N"])], [_AXIS],
    )  # fmt: skip
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9, functions=functions)
    return bytes(made.SerializeToString())


def redefining() -> bytes:
    """``Relu`` of ONNX itself, in words of its own."""
    ours = [helper.make_opsetid("", 20)]
    body = helper.make_function("", "Relu", ["X"], ["Y"], [helper.make_node("Neg", ["X"], ["Y"])], ours)
    return _with_functions(body, node=helper.make_node("Relu", ["x"], ["z"]))


def recursive() -> bytes:
    """A function that calls itself."""
    ours = [helper.make_opsetid("", 20)]
    body = helper.make_function("", "Again", ["X"], ["Y"], [helper.make_node("Again", ["X"], ["Y"])], ours)
    return _with_functions(body, node=helper.make_node("Again", ["x"], ["z"]))


def _field(number: int, content: bytes) -> bytes:
    size, head = len(content), bytearray([number << 3 | 2])
    while size > 0x7F:
        head.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes(head) + bytes([size]) + content


def deep(depth: int) -> bytes:
    """Graphs within graphs, so many, and nothing else."""
    inner = b""
    for _ in range(depth):
        inner = _field(1, _field(5, _field(6, inner)))  # a node with an attribute that is a graph
    return _field(7, inner)


def crowded(count: int) -> bytes:
    """So many operators, and nothing in any of them."""
    return _field(7, b"\x0a\x00" * count)


def claiming(dims: list[int]) -> Made:
    """Weights of which there are eight bytes."""
    made = TensorProto(name="w", data_type=TensorProto.DOUBLE, dims=dims, raw_data=b"\0" * 8)
    return regression([helper.make_node("MatMul", ["x", "w"], ["product"]), _VALUE], [made, _AXIS])


def answering(kind: str) -> Made:
    """Answers of another type, and says so."""
    made = regression([_SQUEEZE, helper.make_node("Cast", ["plain"], ["value"], to=getattr(TensorProto, kind))],
                      [_AXIS])  # fmt: skip
    return _declared(made, kind, ["N"])


def column() -> Made:
    """Answers in a column."""
    return _declared(regression([helper.make_node("Identity", ["x"], ["value"])], []), "DOUBLE", ["N", 1])


def _declared(made: Made, kind: str, shape: list[Any]) -> Made:
    from onnx import load_model_from_string

    from tests.support.models import make_manifest

    whole = load_model_from_string(made.onnx)
    whole.graph.output[0].CopyFrom(helper.make_tensor_value_info("value", getattr(TensorProto, kind), shape))
    data = bytes(whole.SerializeToString())
    return Made(make_manifest(made.manifest.spec, (), data), data)


def chain(count: int) -> Made:
    """So many operators, one after the other."""
    nodes = [helper.make_node("Neg", [f"n{place}"], [f"n{place + 1}"]) for place in range(count)]
    nodes[0].input[0], nodes[-1].output[0] = "plain", "value"
    return regression([_SQUEEZE, *nodes], [_AXIS])
