"""The walk through a graph's bytes against one by the onnx library: hostile graphs, real ones, and any bytes at all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from hypothesis import example, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from perennial.errors import IntegrityError
from perennial.serving.onnx_walk import CHANCE, DOMAINS, MOST_DEPTH, check_graph
from tests.support.models import build, make_spec

ALLOWED = {domain.decode() for domain in DOMAINS}
BY_CHANCE = {name.decode() for name in CHANCE}


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


def refused(data: bytes) -> bool:
    try:
        check_graph(data)
    except IntegrityError as error:
        assert "\n" not in str(error)
        return True
    return False


def by_library(whole: Any) -> bool:
    """Whether a graph would be refused by what the library reads of it."""
    return bool(
        whole.functions or whole.training_info or any(one.domain not in ALLOWED for one in whole.opset_import)
    ) or any(bad for bad in _faults(whole.graph))


def _faults(made: Any) -> Iterator[bool]:
    yield bool(made.sparse_initializer)
    for one in made.initializer:
        yield _is_outside(one)
    for node in made.node:
        yield node.domain not in ALLOWED or node.op_type in BY_CHANCE
        for attribute in node.attribute:
            yield attribute.HasField("sparse_tensor") or bool(attribute.sparse_tensors)
            for one in (attribute.t, *attribute.tensors):
                yield _is_outside(one)
            for inner in (attribute.g, *attribute.graphs):
                yield from _faults(inner)


def _is_outside(one: Any) -> bool:
    return bool(one.external_data) or one.data_location != TensorProto.DEFAULT


@pytest.mark.parametrize("name", HOSTILE)
def test_refuses_what_reaches_beyond_the_file(name: str) -> None:
    assert refused(HOSTILE[name].SerializeToString())


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_lets_real_graphs_through(task: str) -> None:
    built = build(make_spec("m", task))
    check_graph(built.onnx)
    assert not by_library(onnx.load_from_string(built.onnx))


def test_lets_graphs_within_graphs_through() -> None:
    check_graph(model(nested(with_attribute(t=tensor(), tensors=[tensor()]), MOST_DEPTH)).SerializeToString())


def test_passes_over_a_million_numbers_without_looking_at_each() -> None:
    node = helper.make_node("TreeEnsemble", ["x"], ["y"], domain="ai.onnx.ml", nodes_featureids=[-1, *range(300_000)],
                            nodes_values=[0.5] * 300_000)  # fmt: skip
    check_graph(model(graph([node])).SerializeToString())
    assert refused(model(graph([node], initializer=[OUTSIDE])).SerializeToString())


def test_refuses_the_format_of_onnxruntime_itself_though_it_is_one_of_onnx_too() -> None:
    both = b"\x32\x7e\x00\x00" + b"ORTM" + b"\0" * 120  # a doc_string
    assert onnx.ModelProto.FromString(both).doc_string
    assert refused(both)


@pytest.mark.parametrize(
    "data", [b"\x3b", b"\x3c", b"\x3a\x05ab", b"\x3a" + b"\xff" * 10 + b"\x01", b"\x00", b"\xfa\x07\x00", b"\x38\x01"]
)
def test_refuses_what_is_no_onnx(data: bytes) -> None:
    assert refused(data)


def test_names_the_domain_and_the_version() -> None:
    with pytest.raises(IntegrityError, match=r"The graph of m 01 is refused: .* domain 'com\.microsoft'"):
        check_graph(HOSTILE["other domain"].SerializeToString(), "The graph of m 01")


def test_knows_every_operator_of_chance() -> None:
    """All that draw numbers have a seed, and so has one that does so only where it is trained."""
    drawing = {schema.name for schema in onnx.defs.get_all_schemas_with_history() if "seed" in schema.attributes}
    assert drawing == BY_CHANCE | {"Dropout"}


def test_lets_real_networks_through() -> None:
    folder = Path(onnx.__file__).parent / "backend/test/data/light"
    files = sorted(folder.glob("*.onnx"))
    assert files, "the onnx package brings real networks"
    for file in files:
        check_graph(file.read_bytes())


PIECES = st.sampled_from([
    graph(initializer=[tensor()]), graph(initializer=[OUTSIDE]), with_attribute(t=tensor()), with_attribute(t=OUTSIDE),
    graph([helper.make_node("Relu", ["x"], ["y"])]), HOSTILE["other domain"].graph, HOSTILE["sparse attribute"].graph,
    graph([helper.make_node("Scaler", ["x"], ["y"], domain="ai.onnx.ml", scale=[1.0, 2.0])]),
])  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.lists(PIECES, max_size=4), st.integers(0, 4), st.booleans())
def test_agrees_with_a_walk_by_the_library(pieces: list[Any], depth: int, several: bool) -> None:
    whole = graph()
    for piece in pieces:
        whole.MergeFrom(piece)
    made = model(nested(whole, depth, several=several))
    assert refused(made.SerializeToString()) == by_library(made)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(sorted(HOSTILE)), st.integers(0, 10**6), st.integers(0, 255))
@example("overload", 0, 0)
def test_never_lets_through_what_the_library_finds_in_altered_bytes(name: str, at: int, value: int) -> None:
    data = bytearray(HOSTILE[name].SerializeToString())
    data[at % len(data)] = value
    if refused(bytes(data)):
        return
    try:
        whole = onnx.ModelProto.FromString(bytes(data))
    except DecodeError:  # within what holds no operators and no tensors, and so was not looked at
        return
    assert not by_library(whole)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_walked_or_refused(data: bytes) -> None:
    refused(data)
