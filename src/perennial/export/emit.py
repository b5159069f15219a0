"""A Forest as a TreeEnsemble node.

The operator's leaves add to one output each, so a tree whose leaves hold a distribution becomes one
tree a class. Subtrees that say the same everywhere collapse first, which for many classes is most
of them; addition is in the order of the trees, as the library's own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from perennial.export.deciding import deciding
from perennial.export.features import Matrix
from perennial.export.folding import MEMBER, Forest
from perennial.export.graph import INPUT, Graph
from perennial.export.grouping import grouped_input
from perennial.export.trees import Arithmetic, Bools, Ints

LARGE = 20_000  # splits from which one operator an output loads and runs in half the time; below, one call costs less


def emit_forest(graph: Graph, forest: Forest, start: Matrix) -> str:
    """Add the forest to the graph; returns the name of its sums [N, outputs].

    ``start`` [outputs] is what each sum starts from, where a tree adds to one output only. The sums
    are float32 where the forest's arithmetic is, else float64.
    """
    graph.sort_columns = deciding(forest)
    value = grouped_input(graph, INPUT, forest.groupings)
    if forest.arithmetic is not Arithmetic.DOUBLE:
        value = graph.cast(value, "float32")
    if forest.arithmetic is Arithmetic.ROUNDED:
        value = graph.cast(value, "float64")
    dtype = np.float32 if forest.arithmetic is Arithmetic.SINGLE else np.float64
    if forest.target is None:
        return _shared(graph, value, forest, dtype)
    parts = [_constants(start, forest.comparison)] if start.any() else []
    parts.append(_part(forest, forest.value[:, 0], forest.target))
    return _operator(graph, value, parts, forest.outputs, dtype)


def _shared(graph: Graph, value: str, forest: Forest, dtype: type) -> str:
    """Trees whose leaves add to all outputs, once for each output: in one operator, or in one each where large."""
    targets = [np.full(len(forest.roots), output) for output in range(forest.outputs)]
    parts = [_part(forest, forest.value[:, output], target) for output, target in enumerate(targets)]
    if sum(len(part.column) for part in parts) < LARGE:
        return _operator(graph, value, parts, forest.outputs, dtype)
    alone = [replace(part, leaf_target=np.zeros_like(part.leaf_target)) for part in parts]
    return graph.op("Concat", *(_operator(graph, value, [part], 1, dtype) for part in alone), axis=1)


@dataclass(frozen=True)
class _Part:
    """Splits and leaves of some trees; children index into this part's own splits or leaves."""

    roots: Ints
    column: Ints
    mode: Ints
    split: Matrix
    missing_true: Ints
    true: Ints
    true_leaf: Bools
    false: Ints
    false_leaf: Bools
    leaf_target: Ints
    leaf_weight: Matrix
    members: Matrix


def _constants(start: Matrix, mode: int) -> _Part:
    """One tree without a split for each output: the start of its sum."""
    count = len(start)
    index, zeros, leaf = np.arange(count), np.zeros(count, dtype=np.int64), np.ones(count, dtype=bool)
    return _Part(
        index, zeros, np.full(count, mode), np.zeros(count), zeros, index, leaf, index, leaf, index, start, np.zeros(0)
    )


def _part(forest: Forest, weight: Matrix, targets: Ints) -> _Part:
    true, false, value, kept, tree = _collapse(forest, weight)
    inner, leaves = np.flatnonzero(kept & (true >= 0)), np.flatnonzero(kept & (true < 0))
    place = np.full(len(kept), -1, dtype=np.int64)
    place[inner], place[leaves] = np.arange(len(inner)), np.arange(len(leaves))
    bare = np.flatnonzero(true[forest.roots] < 0)  # trees that are one leaf still need a split to hang it on
    roots = place[forest.roots].copy()
    roots[bare] = len(inner) + np.arange(len(bare))
    hung = place[forest.roots[bare]]
    pad = np.zeros(len(bare), dtype=np.int64)
    return _Part(
        roots=roots,
        column=np.concatenate([forest.column[inner], pad]),
        mode=np.concatenate([forest.mode[inner].astype(np.int64), pad + forest.comparison]),
        split=np.concatenate([forest.split[inner], pad.astype(np.float64)]),
        missing_true=np.concatenate([forest.missing_true[inner].astype(np.int64), pad]),
        true=np.concatenate([place[true[inner]], hung]),
        true_leaf=np.concatenate([true[true[inner]] < 0, pad == 0]),
        false=np.concatenate([place[false[inner]], hung]),
        false_leaf=np.concatenate([true[false[inner]] < 0, pad == 0]),
        leaf_target=targets[tree[leaves]],
        leaf_weight=value[leaves],
        members=_members(forest, inner),
    )


def _collapse(forest: Forest, weight: Matrix) -> tuple[Ints, Ints, Matrix, Bools, Ints]:
    """Children and values with equal-valued subtrees made leaves, which nodes remain, and each one's tree."""
    true, false = forest.true.copy(), forest.false.copy()
    levels = [forest.roots]
    tree = np.full(len(true), -1, dtype=np.int64)
    tree[forest.roots] = np.arange(len(forest.roots))
    while len(levels[-1]):
        inner = levels[-1][true[levels[-1]] >= 0]
        tree[true[inner]] = tree[false[inner]] = tree[inner]
        levels.append(np.concatenate([true[inner], false[inner]]))
    value = weight.copy()
    for level in reversed(levels):
        inner = level[true[level] >= 0]
        on, off = true[inner], false[inner]
        same = (true[on] < 0) & (true[off] < 0) & (value[on] == value[off])
        value[inner[same]] = value[on[same]]
        true[inner[same]] = false[inner[same]] = -1
    kept = np.zeros(len(true), dtype=bool)
    level = forest.roots
    while len(level):
        kept[level] = True
        inner = level[true[level] >= 0]
        level = np.concatenate([true[inner], false[inner]])
    return true, false, value, kept, tree


def _members(forest: Forest, inner: Ints) -> Matrix:
    """Members of the set nodes, in their order, each list ended by NaN; the first column of a set is code -1."""
    rows = forest.set_index[inner[forest.mode[inner] == MEMBER]]
    if not len(rows):
        return np.zeros(0)
    row, code = np.nonzero(forest.sets[rows])
    ends = np.flatnonzero(np.diff(np.append(row, len(rows))))
    return np.insert((code - 1).astype(np.float64), ends + 1, np.nan)


def _operator(graph: Graph, value: str, parts: list[_Part], outputs: int, dtype: type) -> str:
    splits = np.cumsum([0, *(len(part.column) for part in parts)])
    leaves = np.cumsum([0, *(len(part.leaf_weight) for part in parts)])

    def children(side: str) -> Ints:
        found = []
        for part, split, leaf in zip(parts, splits, leaves, strict=False):
            found.append(getattr(part, side) + np.where(getattr(part, f"{side}_leaf"), leaf, split))
        return np.concatenate(found)

    def joined(field: str, kind: type) -> np.ndarray:
        return np.concatenate([getattr(part, field) for part in parts]).astype(kind)

    integers = {
        "tree_roots": np.concatenate([part.roots + split for part, split in zip(parts, splits, strict=False)]),
        "nodes_featureids": joined("column", np.int64),
        "nodes_missing_value_tracks_true": joined("missing_true", np.int64),
        "nodes_truenodeids": children("true"),
        "nodes_trueleafs": joined("true_leaf", np.int64),
        "nodes_falsenodeids": children("false"),
        "nodes_falseleafs": joined("false_leaf", np.int64),
        "leaf_targetids": joined("leaf_target", np.int64),
    }
    tensors = {
        "nodes_modes": joined("mode", np.uint8),
        "nodes_splits": joined("split", dtype),
        "leaf_weights": joined("leaf_weight", dtype),
    }
    members = joined("members", dtype)
    if len(members):
        tensors["membership_values"] = members
    return graph.trees(value, integers, tensors, outputs)
