"""Rows led to the splits of a forest, then varied around each split's threshold.

A witness of a node is a row that reaches it. It is made from its parent's witness by changing, if
need be, the one column on which the parent splits, to a value that also honours the splits above:
for a number the edge of the threshold, which lies within every interval that training left open;
for a category one that all sets above allow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from perennial.export.features import Matrix
from perennial.export.folding import LT, MEMBER, NEQ, Forest
from perennial.export.trees import Arithmetic, Bools, Ints
from perennial.records import Column

ROUNDS = 8
MAX_NODES = 20_000
MAX_NUMBERS = 20_000_000
"""What the witnesses of all nodes together may hold: 160 MB. Of trees over wide rows, fewer are sampled."""
MAX_CODES = 64


def split_rows(
    forest: Forest,
    columns: Sequence[Column],
    base: Matrix,
    fills: Mapping[int, float],
    limit: int,
    rng: np.random.Generator,
) -> Matrix:
    """At most ``limit`` rows that sit on either side of the splits of a forest, or of a sample of them.

    Each split is visited by up to ``ROUNDS`` different rows, each led on to some leaf below it, because
    what follows may agree on both sides for one row and differ for another.
    """
    forest = _sampled(forest, min(MAX_NODES, max(1, MAX_NUMBERS // max(1, len(columns)))))
    inner = np.flatnonzero(forest.true >= 0)
    rows = [np.zeros((0, len(columns)))]
    for _ in range(ROUNDS):
        witnesses = _witnesses(forest, columns, base[rng.integers(len(base), size=len(forest.roots))], fills)
        leaves = _leaves_below(forest, rng)
        for node in rng.permutation(inner).tolist():
            column = _source(forest, node)
            values = _around(forest, node, columns[column], fills.get(column, 0.0))
            if limit < len(values):
                return np.concatenate(rows)
            limit -= len(values)
            varied = np.repeat(witnesses[leaves[node], None], len(values), axis=0)
            varied[:, column] = values
            rows.append(varied)
    return np.concatenate(rows)


def passes(forest: Forest, nodes: Ints, values: Matrix) -> Bools:
    """Whether each of ``values`` [nodes, m], in the split's own matrix column, takes each node's true branch."""
    with np.errstate(over="ignore"):
        value = values if forest.arithmetic is Arithmetic.DOUBLE else values.astype(np.float32).astype(np.float64)
    for place, grouping in enumerate(forest.groupings):
        at = forest.column[nodes] == forest.width + place
        codes = np.where(np.isnan(value[at]), -1, value[at]).astype(np.int64)
        value[at] = np.asarray([*grouping.groups, -1], dtype=np.float64)[codes]
    mode, split = forest.mode[nodes][:, None], forest.split[nodes][:, None]
    found = np.where(mode == LT, value < split, value <= split)
    found = np.where(mode == NEQ, value != split, found)
    member = (forest.mode[nodes] == MEMBER).nonzero()[0]
    if len(member):
        code = np.where(np.isnan(value[member]), -1, value[member]).astype(np.int64) + 1
        found[member] = forest.sets[forest.set_index[nodes[member]][:, None], code]
    return np.where(np.isnan(value), forest.missing_true[nodes][:, None], found)


def _source(forest: Forest, node: int) -> int:
    column = int(forest.column[node])
    return column if column < forest.width else forest.groupings[column - forest.width].column


def _sources(forest: Forest, nodes: Ints) -> Ints:
    table = np.asarray([*range(forest.width), *(grouping.column for grouping in forest.groupings)], dtype=np.int64)
    return table[forest.column[nodes]]


def _sampled(forest: Forest, most: int) -> Forest:
    """The forest, or every so many of its trees where it has more than ``most`` nodes."""
    ends = np.append(forest.roots[1:], len(forest.true))
    sizes = ends - forest.roots
    share = min(1.0, most / len(forest.true))
    if share == 1.0:
        return forest
    kept = np.unique(np.linspace(0, len(sizes) - 1, max(1, int(share * len(sizes)))).astype(np.int64))
    nodes = np.concatenate([np.arange(forest.roots[tree], ends[tree]) for tree in kept])
    starts = np.cumsum([0, *sizes[kept]])[:-1]
    shift = np.repeat(starts - forest.roots[kept], sizes[kept])
    true, false = (np.where(side[nodes] < 0, -1, side[nodes] + shift) for side in (forest.true, forest.false))
    return replace(
        forest, column=forest.column[nodes], mode=forest.mode[nodes], split=forest.split[nodes],
        missing_true=forest.missing_true[nodes], true=true, false=false, value=forest.value[nodes],
        set_index=forest.set_index[nodes], roots=starts,
        target=None if forest.target is None else forest.target[kept],
    )  # fmt: skip


def _leaves_below(forest: Forest, rng: np.random.Generator) -> Ints:
    """For each node, one of the leaves below it."""
    found = np.arange(len(forest.true))
    while len(inner := np.flatnonzero(forest.true[found] >= 0)):
        node = found[inner]
        found[inner] = np.where(rng.random(len(node)) < 0.5, forest.true[node], forest.false[node])
    return found


def _witnesses(forest: Forest, columns: Sequence[Column], bases: Matrix, fills: Mapping[int, float]) -> Matrix:
    """A witness [nodes, columns] of each node; the roots' are ``bases``."""
    rows = np.full((len(forest.true), len(columns)), np.nan)
    rows[forest.roots] = bases
    allowed = {
        index: np.ones((len(forest.true), len(column.values) + 2), dtype=bool)
        for index, column in enumerate(columns)
        if column.kind == "category"
    }
    fill = np.asarray([fills.get(index, 0.0) for index in range(len(columns))])
    level = forest.roots
    while len(level):
        parents = level[forest.true[level] >= 0]
        sources = _sources(forest, parents)
        for children, side in ((forest.true[parents], True), (forest.false[parents], False)):
            rows[children] = rows[parents]
            for index, sets in allowed.items():
                sets[children] = sets[parents]
                at = sources == index
                _lead_category(forest, rows, sets, index, parents[at], children[at], side)
            at = ~np.isin(sources, list(allowed))
            _lead_number(forest, rows, sources[at], fill, parents[at], children[at], side)
        level = np.concatenate([forest.true[parents], forest.false[parents]])
    return rows


def _lead_category(
    forest: Forest, rows: Matrix, sets: Bools, index: int, parents: Ints, children: Ints, side: bool
) -> None:
    """Keep the category where it takes the side, else the first that all splits above allow too."""
    codes = np.concatenate([[-1.0], np.arange(sets.shape[1] - 2), [np.nan]])
    through = passes(forest, parents, np.repeat(codes[None, :], len(parents), axis=0)) == side
    sets[children] &= through
    own = rows[parents, index]
    place = np.where(np.isnan(own), len(codes) - 1, own + 1).astype(np.int64)
    keep = sets[children, place]
    rows[children, index] = np.where(keep, own, codes[sets[children].argmax(axis=1)])


def _lead_number(
    forest: Forest, rows: Matrix, sources: Ints, fill: Matrix, parents: Ints, children: Ints, side: bool
) -> None:
    """Keep the number where it takes the side, else the edge of the threshold on that side."""
    own = rows[parents, sources]
    keep = passes(forest, parents, own[:, None])[:, 0] == side
    below, above = edges(forest, parents)
    edge = np.where(np.isinf(forest.split[parents]), fill[sources] if side else np.nan, below if side else above)
    rows[children, sources] = np.where(keep, own, edge)


def edges(forest: Forest, nodes: Ints) -> tuple[Matrix, Matrix]:
    """The largest number that takes each node's true branch, and the smallest that does not."""
    split = forest.split[nodes]
    if forest.arithmetic is Arithmetic.DOUBLE:
        return split, np.nextafter(split, np.inf)
    single = split.astype(np.float32)
    down, up = np.nextafter(single, np.float32(-np.inf)), np.nextafter(single, np.float32(np.inf))
    if forest.arithmetic is Arithmetic.SINGLE:
        return down.astype(np.float64), single.astype(np.float64)
    over = single.astype(np.float64) > split
    return np.where(over, down, single).astype(np.float64), np.where(over, single, up).astype(np.float64)


def _around(forest: Forest, node: int, column: Column, fill: float) -> Matrix:
    """Values to try at one split: either side of it as closely as its arithmetic tells apart, and missing."""
    nodes = np.asarray([node])
    if column.kind == "category":
        return _categories(forest, nodes, column)
    if np.isinf(forest.split[node]):
        return np.asarray([np.nan, fill])
    low, high = (float(side[0]) for side in edges(forest, nodes))
    if forest.arithmetic is Arithmetic.DOUBLE:
        return np.asarray([np.nan, np.nextafter(low, -np.inf), low, high])
    split = float(forest.split[node])
    middle = low + (high - low) / 2  # where rounding to float32 turns from one to the other
    near = [value for point in (split, middle) for value in (np.nextafter(point, -np.inf), point,
                                                             np.nextafter(point, np.inf))]  # fmt: skip
    return np.asarray([np.nan, low, high, *near])


def _categories(forest: Forest, nodes: Ints, column: Column) -> Matrix:
    codes = np.concatenate([np.arange(len(column.values), dtype=np.float64), [-1.0, np.nan]])
    if forest.mode[nodes[0]] == MEMBER and len(codes) <= MAX_CODES:
        return codes
    through = passes(forest, nodes, codes[None, :-2])[0]
    ends = [np.flatnonzero(side)[[0, -1]] for side in (through, ~through) if side.any()]
    chosen: Matrix = codes[np.unique(np.concatenate([*ends, [len(codes) - 2, len(codes) - 1]]))]
    return chosen
