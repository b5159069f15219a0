"""From raw scores to answers: links, probabilities, and the class that the library itself would name.

Each function mirrors one ``predict``/``predict_proba`` pair, ties included; the library's own
expression is named where it matters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from perennial.export.graph import Graph


@dataclass(frozen=True)
class Answer:
    """Names in the graph: for classes, ``index`` int64 [N] and ``probabilities`` float64 [N, k]; else ``value`` [N]."""

    index: str = ""
    probabilities: str = ""
    value: str = ""


def binary(graph: Graph, raw: str, *, ties_positive: bool = False, factor: float = 1.0) -> Answer:
    """Two classes from one score [N, 1]: p = sigmoid(factor x score); positive above zero (or at zero too)."""
    comparison = "GreaterOrEqual" if ties_positive else "Greater"
    positive = graph.op(comparison, raw, graph.constant(0.0))
    scaled = raw if factor == 1.0 else graph.op("Mul", raw, graph.constant(factor))
    return Answer(index=vector(graph, graph.cast(positive, "int64")), probabilities=pair(graph, scaled))


def softmax(graph: Graph, raw: str) -> Answer:
    """Several classes from one score each [N, k]; the first of the highest scores wins."""
    return Answer(index=first_highest(graph, raw), probabilities=graph.op("Softmax", raw, axis=1))


def one_versus_rest(graph: Graph, raw: str) -> Answer:
    """Several classes, each with a logistic score of its own [N, k], normalised; uniform where all are zero.

    Written out, since the operator Sigmoid loses the digits of small values, which normalising brings back.
    """
    one = graph.constant(1.0)
    each = graph.op("Div", one, graph.op("Add", one, graph.op("Exp", graph.op("Neg", raw))))
    total = graph.op("ReduceSum", each, graph.constant([1], np.int64), keepdims=1)
    none = graph.op("Equal", total, graph.constant(0.0))
    count = graph.cast(graph.op("Gather", graph.op("Shape", raw), graph.constant([1], np.int64), axis=0), "float64")
    shares = graph.op("Div", each, graph.op("Where", none, count, total))
    uniform = graph.op("Div", graph.constant(1.0), count)
    return Answer(index=first_highest(graph, raw), probabilities=graph.op("Where", none, uniform, shares))


def distribution(graph: Graph, probabilities: str) -> Answer:
    """Probabilities [N, k] as they are; the first of the highest wins."""
    return Answer(index=first_highest(graph, probabilities), probabilities=probabilities)


def share(graph: Graph, positive: str) -> Answer:
    """Two classes from the positive one's probability [N, 1]; a tie goes to the negative."""
    index = graph.cast(graph.op("Greater", positive, graph.constant(0.5)), "int64")
    return Answer(index=vector(graph, index), probabilities=complement(graph, positive))


def regression(graph: Graph, raw: str, link: str = "identity") -> Answer:
    """One value from one score [N, 1], through the inverse of ``link``: identity, log or logit."""
    function = {"identity": "", "log": "Exp", "logit": "Sigmoid"}[link]
    return Answer(value=vector(graph, graph.op(function, raw) if function else raw))


def pair(graph: Graph, score: str) -> str:
    """Probabilities [N, 2] of the negative and the positive class from a logistic score [N, 1]."""
    return complement(graph, graph.op("Sigmoid", score))


def complement(graph: Graph, positive: str) -> str:
    """[N, 1] as [N, 2]: what is left of one, then itself."""
    return graph.op("Concat", graph.op("Sub", graph.constant(1.0), positive), positive, axis=1)


def first_highest(graph: Graph, values: str) -> str:
    """Index [N] of the highest of [N, k], the first of equals, as numpy's argmax."""
    return graph.op("ArgMax", values, axis=1, keepdims=0)


def vector(graph: Graph, value: str) -> str:
    """[N, 1] as [N]."""
    return graph.op("Squeeze", value, graph.constant([1], np.int64))


def spread(graph: Graph, answer: Answer, present: Sequence[int], classes: int) -> Answer:
    """An answer over the ``present`` class indices as one over all ``classes``; absent ones have probability 0."""
    if list(present) == list(range(classes)):
        return answer
    places = [list(present).index(each) if each in present else len(present) for each in range(classes)]
    padded = graph.op("Pad", answer.probabilities, graph.constant([0, 0, 0, 1], np.int64))
    return Answer(
        index=graph.op("Gather", graph.constant(list(present), np.int64), answer.index, axis=0),
        probabilities=graph.op("Gather", padded, graph.constant(places, np.int64), axis=1),
    )
