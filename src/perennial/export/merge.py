"""Extractor and head as one graph: a picture in, a label and probabilities out."""

from __future__ import annotations

from collections.abc import Iterable

import onnx
from onnx import TensorProto, compose, helper

from perennial.errors import ExportError
from perennial.export.graph import INPUT, IR_VERSION, ML_DOMAIN, OPSET

PREFIX = "extract/"
EMBEDDING = "embedding"
"""What flows from one to the other, in float64; no graph of ours has a value of this bare name."""


def merged(extractor: bytes, head: bytes) -> bytes:
    """One model out of an extractor's graph and that of the estimator over its features.

    Every name of the extractor is put behind a prefix, so that none can meet one of the head.

    Raises:
        ExportError: they are written in different versions of the operators.
    """
    front, back = onnx.load_model_from_string(extractor), onnx.load_model_from_string(head)
    if opset_of(front) != OPSET or opset_of(back) != OPSET or any(n.domain == ML_DOMAIN for n in front.graph.node):
        raise ExportError(
            f"The extractor's graph is written in opset {opset_of(front)}, the head's in {opset_of(back)}.",
            remedy="Add the backbone again.",
        )
    compose.add_prefix(front, PREFIX, inplace=True)
    rename(front.graph, {f"{PREFIX}{INPUT}": INPUT})
    front.graph.input[0].name = INPUT
    rename(back.graph, {INPUT: EMBEDDING})
    joint = helper.make_node("Cast", [front.graph.output[0].name], [EMBEDDING], to=TensorProto.DOUBLE)
    graph = helper.make_graph(
        [*front.graph.node, joint, *back.graph.node],
        "perennial",
        list(front.graph.input),
        list(back.graph.output),
        [*front.graph.initializer, *back.graph.initializer],
    )
    model = helper.make_model(
        graph, opset_imports=list(back.opset_import), ir_version=IR_VERSION, producer_name="perennial"
    )
    return bytes(model.SerializeToString())


def opset_of(model: onnx.ModelProto) -> int:
    """The version of ``ai.onnx`` a model is written in, 0 where it names none."""
    return next((each.version for each in model.opset_import if each.domain in ("", "ai.onnx")), 0)


def rename(graph: onnx.GraphProto, names: dict[str, str]) -> None:
    """Let nodes, subgraphs included, read other values than they did."""
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        for inner in subgraphs(node):
            rename(inner, names)


def subgraphs(node: onnx.NodeProto) -> Iterable[onnx.GraphProto]:
    """Graphs that a node holds, such as the branches of an If."""
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.GRAPH:
            yield attribute.g
        elif attribute.type == onnx.AttributeProto.GRAPHS:
            yield from attribute.graphs
