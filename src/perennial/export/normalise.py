"""A foreign extractor as one that serves: bytes of a picture in, features out, in the one opset, and nothing else.

It works on whatever a file holds and so runs in a process of its own: see :mod:`perennial.export.trial`.
"""

from __future__ import annotations

import numpy as np
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import TensorProto, helper, numpy_helper, version_converter

from perennial.errors import ExportError
from perennial.export.extractors import FEATURES
from perennial.export.foreign_graph import EXPORT_AGAIN, check_graph, mend
from perennial.export.graph import INPUT, IR_VERSION, OPSET
from perennial.export.merge import opset_of
from perennial.export.naming import put_prefix, rename, subgraphs
from perennial.export.preparation import Preparation

PREFIX = "net/"
NOT_CONVERTED = (RuntimeError, ValueError, TypeError, IndexError, KeyError, onnx.checker.ValidationError)


def read_graph(data: bytes) -> onnx.ModelProto:
    """A foreign file as a checked and mended graph. Raises ExportError."""
    try:
        model = onnx.load_model_from_string(data)
    except DecodeError as error:
        raise ExportError("It is no ONNX file.", remedy="Name the file of a graph, such as features.onnx.") from error
    if not model.graph.node:
        raise ExportError("It is no ONNX file, or an empty one.", remedy="Name the file of a graph.")
    check_graph(model)
    mend(model)
    return model


def normalised(model: onnx.ModelProto, how: Preparation) -> bytes:
    """The graph ``x`` uint8 [1, size, size, 3] RGB to ``features`` [1, width] of a checked and mended one.

    Raises:
        ExportError: it does not take such pictures, has no such output, or cannot be brought to the opset.
    """
    entry = _only_input(model.graph, how)
    output = _chosen_output(model.graph, how)
    _keep_only(model.graph, output)
    model = _converted(model)
    graph = model.graph
    put_prefix(graph, PREFIX)
    rename(graph, lambda name: "prepared" if name == f"{PREFIX}{entry}" else name)
    front, constants = _prepared(how)
    back = helper.make_node("Flatten", [f"{PREFIX}{output}"], ["flat"], axis=1)
    last = helper.make_node("Cast", ["flat"], [FEATURES], to=TensorProto.FLOAT)
    whole = helper.make_graph(
        [*front, *graph.node, back, last],
        "extractor",
        [helper.make_tensor_value_info(INPUT, TensorProto.UINT8, [1, how.size, how.size, 3])],
        [helper.make_tensor_value_info(FEATURES, TensorProto.FLOAT, [1, "width"])],
        [*constants, *graph.initializer],
    )
    made = helper.make_model(
        whole, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="perennial"
    )
    return bytes(made.SerializeToString())


def with_width(data: bytes, width: int) -> bytes:
    """A normalised graph that says how many features it gives."""
    model = onnx.load_model_from_string(data)
    shape = model.graph.output[0].type.tensor_type.shape
    shape.dim[1].ClearField("dim_param")
    shape.dim[1].dim_value = width
    return bytes(model.SerializeToString())


def _only_input(graph: onnx.GraphProto, how: Preparation) -> str:
    """The name of the one input, given the static shape it is to have. Raises ExportError where it has another."""
    if len(graph.input) != 1:
        names = ", ".join(each.name[:40] for each in graph.input[:5])
        raise ExportError(f"It has {len(graph.input)} inputs ({names}), not one.", remedy=EXPORT_AGAIN)
    entry = graph.input[0]
    kind = entry.type.tensor_type
    if kind.elem_type != TensorProto.FLOAT:
        raise ExportError("Its input is not of float32.", remedy="Export it with an input of float32.")
    found = [each.dim_value if each.HasField("dim_value") else 0 for each in kind.shape.dim]
    if len(found) != len(how.shape) or any(
        had > 0 and had != wanted for had, wanted in zip(found[1:], how.shape[1:], strict=True)
    ):
        shape = " x ".join(str(each) if each > 0 else "?" for each in found)
        wanted = " x ".join(str(each) for each in how.shape)
        raise ExportError(
            f"Its input is {shape}, not {wanted}.", remedy="Give the --layout and --size it was exported with."
        )
    entry.CopyFrom(helper.make_tensor_value_info(entry.name, TensorProto.FLOAT, how.shape))
    return str(entry.name)


def _chosen_output(graph: onnx.GraphProto, how: Preparation) -> str:
    """The name of the value that holds the features: an output, or any value within. Raises ExportError."""
    outputs = [str(each.name) for each in graph.output]
    if how.output is None:
        if len(outputs) == 1:
            return outputs[0]
        names = ", ".join(name[:40] for name in outputs[:10])
        raise ExportError(f"It has {len(outputs)} outputs: {names}.", remedy="Name the one to take by --output.")
    if how.output in outputs or any(how.output in node.output for node in graph.node):
        return how.output
    names = ", ".join(name[:40] for name in outputs[:10])
    raise ExportError(f"It has no value {how.output[:60]!r}.", remedy=f"Its outputs are {names}.")


def _keep_only(graph: onnx.GraphProto, output: str) -> None:
    """Leave out what the features do not depend on."""
    needed, kept = {output}, []
    for node in reversed(graph.node):
        if needed.isdisjoint(node.output):
            continue
        kept.append(node)
        needed |= _read_by(node)
    nodes = kept[::-1]
    constants = [tensor for tensor in graph.initializer if tensor.name in needed]
    del graph.node[:], graph.initializer[:], graph.output[:]
    graph.node.extend(nodes)
    graph.initializer.extend(constants)
    graph.output.append(helper.make_tensor_value_info(output, TensorProto.FLOAT, None))


def _read_by(node: onnx.NodeProto) -> set[str]:
    """Names of the values that a node reads, or the graphs it holds."""
    names = set(node.input)
    for inner in subgraphs(node):
        names |= {each.name for each in inner.output}
        for each in inner.node:
            names |= _read_by(each)
    return names


def _converted(model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph in the opset that heads are written in. Raises ExportError."""
    model.ir_version = IR_VERSION
    if opset_of(model) == OPSET:
        return model
    try:
        return version_converter.convert_version(model, OPSET)
    except NOT_CONVERTED as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
        raise ExportError(
            f"It is written in opset {opset_of(model)} and cannot be brought to {OPSET}: {reason}", remedy=EXPORT_AGAIN
        ) from error


def _prepared(how: Preparation) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
    """From bytes to what the graph takes: its order of channels, its range, its layout."""
    nodes, constants = [], []
    value = INPUT
    if how.color == "BGR":
        constants.append(numpy_helper.from_array(np.array([2, 1, 0], np.int64), "order"))
        nodes.append(helper.make_node("Gather", [value, "order"], ["ordered"], axis=3))
        value = "ordered"
    constants.append(numpy_helper.from_array(np.asarray(how.factor, np.float32), "factor"))
    constants.append(numpy_helper.from_array(np.asarray(how.offset, np.float32), "offset"))
    channels_last = how.layout == "NHWC"
    nodes.append(helper.make_node("Cast", [value], ["light"], to=TensorProto.FLOAT))
    nodes.append(helper.make_node("Mul", ["light", "factor"], ["scaled"]))
    nodes.append(helper.make_node("Add", ["scaled", "offset"], ["prepared" if channels_last else "moved"]))
    if not channels_last:
        nodes.append(helper.make_node("Transpose", ["moved"], ["prepared"], perm=[0, 3, 1, 2]))
    return nodes, constants
