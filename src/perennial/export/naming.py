"""Names of values in graphs, those in subgraphs included: so that two graphs can become one."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import onnx


def graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """A graph and all that its nodes hold, such as the branches of an If, at any depth."""
    yield graph
    for node in graph.node:
        for inner in subgraphs(node):
            yield from graphs(inner)


def subgraphs(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    """Graphs that one node holds."""
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.GRAPH:
            yield attribute.g
        elif attribute.type == onnx.AttributeProto.GRAPHS:
            yield from attribute.graphs


def put_prefix(graph: onnx.GraphProto, prefix: str) -> None:
    """Put a prefix before every name of a value, at any depth: what a subgraph sees of its surroundings stays seen."""
    rename(graph, lambda name: prefix + name)
    for each in graphs(graph):
        for place, node in enumerate(each.node):
            node.name = f"{prefix}{place}"


def rename(graph: onnx.GraphProto, named: Callable[[str], str]) -> None:
    """Give values other names, at any depth; what is optional and left out has no name."""
    for each in graphs(graph):
        for tensor in each.initializer:
            tensor.name = named(tensor.name)
        for value in (*each.input, *each.output, *each.value_info):
            value.name = named(value.name)
        for node in each.node:
            node.input[:] = [named(name) if name else "" for name in node.input]
            node.output[:] = [named(name) if name else "" for name in node.output]
