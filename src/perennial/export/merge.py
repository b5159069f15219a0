"""Extractor and head as one graph: a picture in, a label and probabilities out."""

from __future__ import annotations

import onnx
from onnx import TensorProto, helper

from perennial.errors import ExportError
from perennial.export.graph import INPUT, IR_VERSION, ML_DOMAIN, OPSET
from perennial.export.naming import put_prefix, rename

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
    put_prefix(front.graph, PREFIX)
    rename(front.graph, lambda name: INPUT if name == f"{PREFIX}{INPUT}" else name)
    rename(back.graph, lambda name: EMBEDDING if name == INPUT else name)
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
