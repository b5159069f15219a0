"""What must not be in a graph that comes from outside, and what is odd but can be mended.

onnxruntime reads files that a graph names and knows operators of its own makers; neither may come into a model. Graphs
are walked with all their subgraphs before anything loads them.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from perennial.errors import ExportError
from perennial.export.merge import opset_of
from perennial.export.naming import graphs

OURS = ("", "ai.onnx")
OLDEST_OPSET = 7
EXPORT_AGAIN = "Export it again as one file of standard operators, in opset 21."


def check_graph(model: onnx.ModelProto) -> None:
    """Refuse what could reach beyond the file, or what nobody but its maker knows.

    Raises:
        ExportError: external data, an operator of another domain than ``ai.onnx``, functions, or an old opset.
    """
    if model.functions:
        raise ExportError("It holds functions of its own.", remedy=EXPORT_AGAIN)
    if model.training_info:
        raise ExportError("It holds what is needed to train it.", remedy=EXPORT_AGAIN)
    for graph in graphs(model.graph):
        if graph.sparse_initializer:
            raise ExportError("It holds sparse tensors.", remedy=EXPORT_AGAIN)
        for tensor in tensors(graph):
            if tensor.external_data or tensor.data_location == TensorProto.EXTERNAL:
                raise ExportError(
                    f"The tensor {tensor.name[:60]!r} stands in another file.",
                    remedy="Save it as one file, without external data.",
                )
        for node in graph.node:
            if node.domain not in OURS:
                raise ExportError(
                    f"It needs the operator {node.op_type[:60]} of the domain {node.domain[:60]!r}, which is not "
                    "served.",
                    remedy=EXPORT_AGAIN,
                )
    if opset_of(model) < OLDEST_OPSET:
        raise ExportError(f"It is written in opset {opset_of(model)}, before {OLDEST_OPSET}.", remedy=EXPORT_AGAIN)


def tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    """The constant tensors of one graph, those in its nodes included."""
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            if attribute.HasField("sparse_tensor") or attribute.sparse_tensors:
                raise ExportError("It holds sparse tensors.", remedy=EXPORT_AGAIN)


def mend(model: onnx.ModelProto) -> None:
    """Write what old exporters left as it is written today: constants that are inputs too, ImageScaler, other names.

    ImageScaler was an operator of ONNX for a short while: a factor, and an offset for each channel of NCHW.
    """
    graph = model.graph
    constants = {tensor.name for tensor in graph.initializer}
    inputs = [each for each in graph.input if each.name not in constants]
    del graph.input[:]
    graph.input.extend(inputs)
    nodes: list[onnx.NodeProto] = []
    for place, node in enumerate(graph.node):
        nodes += _scaled(graph, node, f"image_scaler_{place}") if node.op_type == "ImageScaler" else [node]
    del graph.node[:]
    graph.node.extend(nodes)
    for inner in graphs(graph):
        del inner.value_info[:]
        del inner.quantization_annotation[:]
        inner.doc_string = ""
        for node in inner.node:
            node.doc_string, node.domain = "", ""
    del model.metadata_props[:]
    version = opset_of(model)
    del model.opset_import[:]
    model.opset_import.append(helper.make_opsetid("", version))


def _scaled(graph: onnx.GraphProto, node: onnx.NodeProto, name: str) -> list[onnx.NodeProto]:
    given = {each.name: helper.get_attribute_value(each) for each in node.attribute}
    bias = np.asarray(given.get("bias", [0.0]), dtype=np.float32).reshape(1, -1, 1, 1)
    graph.initializer.append(numpy_helper.from_array(np.asarray(given.get("scale", 1.0), np.float32), f"{name}_factor"))
    graph.initializer.append(numpy_helper.from_array(bias, f"{name}_offset"))
    return [
        helper.make_node("Mul", [node.input[0], f"{name}_factor"], [f"{name}_light"]),
        helper.make_node("Add", [f"{name}_light", f"{name}_offset"], list(node.output)),
    ]
