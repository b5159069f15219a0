"""The walk through a graph's bytes against one by the onnx library: hostile graphs, real ones, and any bytes at all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx
import pytest
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from hypothesis import example, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from perennial.errors import IntegrityError
from perennial.serving.onnx_walk import CHANCE, DOMAINS, MOST_DEPTH, MOST_MESSAGES, check_graph
from tests.support.hostile_graphs import HOSTILE, OUTSIDE, graph, model, nested, tensor, with_attribute
from tests.support.models import build, make_spec

ALLOWED = {domain.decode() for domain in DOMAINS}
BY_CHANCE = {name.decode() for name in CHANCE}


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


def test_counts_operators() -> None:
    crowd = graph([helper.make_node("Neg", [], [])] * MOST_MESSAGES)
    assert refused(model(crowd).SerializeToString())
    crowd.node.pop()
    del crowd.node[:2]  # the model, the graph and the opset count too
    check_graph(model(crowd).SerializeToString())


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
