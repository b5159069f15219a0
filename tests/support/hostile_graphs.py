"""Graphs that reach beyond themselves, each in another place of the protobuf."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from perennial.serving.onnx_walk import MOST_DEPTH


def tensor(**changes: Any) -> Any:
    made = numpy_helper.from_array(np.arange(6, dtype=np.float32), "w")
    if changes.get("outside"):
        made.ClearField("raw_data")
        made.data_location = TensorProto.EXTERNAL
        entry = made.external_data.add()
        entry.key, entry.value = "location", "/etc/passwd"
    elif changes.get("located"):
        made.data_location = TensorProto.EXTERNAL
    elif changes.get("named"):
        made.external_data.add().key = "location"
    return made


def graph(nodes: list[Any] | None = None, **lists: Any) -> Any:
    made = helper.make_graph(nodes or [], "g", [], [])
    for name, values in lists.items():
        getattr(made, name).extend(values)
    return made


def sparse() -> Any:
    return helper.make_sparse_tensor(
        numpy_helper.from_array(np.ones(1, np.float32), "v"), numpy_helper.from_array(np.zeros(1, np.int64), "i"), [3]
    )


def nested(inner: Any, depth: int, *, several: bool = False) -> Any:
    for _ in range(depth):
        node = helper.make_node("If", ["c"], ["y"])
        attribute = node.attribute.add()
        attribute.name = "then_branch"
        if several:
            attribute.type = onnx.AttributeProto.GRAPHS
            attribute.graphs.append(inner)
        else:
            attribute.type = onnx.AttributeProto.GRAPH
            attribute.g.CopyFrom(inner)
        inner = graph([node])
    return inner


def model(made: Any, **lists: Any) -> Any:
    whole = helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    for name, values in lists.items():
        getattr(whole, name).extend(values)
    return whole


def with_attribute(**values: Any) -> Any:
    node = helper.make_node("Constant", [], ["c"])
    attribute = node.attribute.add()
    attribute.name = "value"
    for name, value in values.items():
        field = getattr(attribute, name)
        field.extend(value) if isinstance(value, list) else field.CopyFrom(value)
    return graph([node])


FUNCTION = helper.make_function("mine", "f", ["x"], ["y"], [helper.make_node("Relu", ["x"], ["y"])],
                                [helper.make_opsetid("", 20)])  # fmt: skip
OUTSIDE = tensor(outside=True)
HOSTILE = {
    "external initializer": model(graph(initializer=[OUTSIDE])),
    "external by location alone": model(graph(initializer=[tensor(located=True)])),
    "external by name alone": model(graph(initializer=[tensor(named=True)])),
    "external in an attribute": model(with_attribute(t=OUTSIDE)),
    "external in a list of tensors": model(with_attribute(tensors=[tensor(), OUTSIDE])),
    "external in a subgraph": model(nested(graph(initializer=[OUTSIDE]), 1)),
    "external deep down": model(nested(with_attribute(t=OUTSIDE), 5)),
    "external in a list of graphs": model(nested(graph(initializer=[OUTSIDE]), 2, several=True)),
    "sparse initializer": model(graph(sparse_initializer=[sparse()])),
    "sparse attribute": model(with_attribute(sparse_tensor=sparse())),
    "sparse attributes": model(with_attribute(sparse_tensors=[sparse()])),
    "other domain": model(graph([helper.make_node("Inverse", ["x"], ["y"], domain="com.microsoft")])),
    "other domain in a subgraph": model(nested(graph([helper.make_node("A", [], ["y"], domain="x" * 99)]), 3)),
    "opset of another domain": model(graph(), opset_import=[helper.make_opsetid("ai.onnx.training", 1)]),
    "function": model(graph(), functions=[FUNCTION]),
    "training": model(graph(), training_info=[onnx.TrainingInfoProto()]),
    "devices": model(graph(), configuration=[onnx.DeviceConfigurationProto(name="d", num_devices=2)]),
    "overload": model(graph([helper.make_node("A", [], ["y"], overload="o")])),
    "segment": model(graph(initializer=[TensorProto(segment=TensorProto.Segment(begin=0, end=1))])),
    "chance": model(graph([helper.make_node("RandomUniform", [], ["y"], shape=[1])])),
    "chance deep down": model(nested(graph([helper.make_node("Bernoulli", ["x"], ["y"])]), 3)),
    "too deep": model(nested(graph(), MOST_DEPTH + 1)),
}
