"""The comparison window: the newest of the rows that a version's parent lacks, kept from its training.

What came since the champion was trained is what tells whether the world has moved, which the holdout, drawn once,
cannot. Rows of a window are therefore left out of one version's training, and taken into the next one's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from perennial.datasets.arrow import numbers
from perennial.datasets.manifest import Split
from perennial.datasets.prepare import Prepared
from perennial.datasets.rowkeys import KnownRows, RowKeys
from perennial.datasets.split import draw_by_rank, draw_by_time
from perennial.keys import LandingKind
from perennial.spec import ModelSpec

FEWEST_ROWS = 20

Masks = list[NDArray[np.bool_]]
"""One mask for each source, in their order."""


@dataclass(frozen=True)
class Learnt:
    """Rows that earlier versions left to training: their keys, and their classes (none for a regression)."""

    keys: Sequence[RowKeys]
    classes: frozenset[str]


def draw_window(
    spec: ModelSpec, split: Split, sources: Sequence[Prepared], free: Masks, fresh: Masks, learnt: Learnt
) -> Masks:
    """The window of what is new; masks without a row where there is none.

    With a time column: the last share by time of what is new and landed by its owner or by label files, else of
    feedback. Without one: a share of what was collected from predictions; what an owner lands of a model without
    time is no newer than what landed before.

    Args:
        free: of each source, the rows that are neither in the holdout nor copies of it.
        fresh: those of them that are new: the parent has them in no form.
    """
    pools: tuple[tuple[LandingKind, ...], ...] = (("feedback", "labels"),)
    if spec.time is not None:
        pools = (("landed", "labels"), ("feedback",))
    for kinds in pools:
        pool = [mask & (one.kind in kinds) for one, mask in zip(sources, fresh, strict=True)]
        if _rows(pool) < FEWEST_ROWS:
            continue
        found = settle_window(spec, sources, free, _share(spec, split, sources, pool), learnt)
        if _rows(found):
            return found
    return [np.zeros_like(mask) for mask in free]


def settle_window(spec: ModelSpec, sources: Sequence[Prepared], free: Masks, drawn: Masks, learnt: Learnt) -> Masks:
    """What may stay of a window that was drawn; nothing where that is fewer than ``FEWEST_ROWS``.

    A row equal to one in training would be known by heart, and one of a class that training lacks could not be
    answered: both go to training.
    """
    known, classes = KnownRows.of(learnt.keys), set(learnt.classes)
    window = [mask & inside for mask, inside in zip(free, drawn, strict=True)]
    moved = [mask & ~inside for mask, inside in zip(free, window, strict=True)]
    while any(mask.any() for mask in moved):
        for one, mask in zip(sources, moved, strict=True):
            known.add(one.keys, mask)
            classes |= labels_of(spec, [one.table.filter(pa.array(mask))])
        moved = [
            mask & (known.holds(one.keys) | _of_other_class(spec, one.table, classes))
            for one, mask in zip(sources, window, strict=True)
        ]
        window = [mask & ~out for mask, out in zip(window, moved, strict=True)]
    return window if _rows(window) >= FEWEST_ROWS else [np.zeros_like(mask) for mask in window]


def labels_of(spec: ModelSpec, tables: Sequence[pa.Table]) -> frozenset[str]:
    """The classes that occur; none for a regression."""
    if spec.task == "regression":
        return frozenset()
    return frozenset(name for table in tables for name in pc.unique(table.column(spec.target.column)).to_pylist())


def times_of(spec: ModelSpec, table: pa.Table) -> NDArray[np.int64 | np.float64]:
    """The time column of validated rows: microseconds since 1970, or the number that counts them."""
    assert spec.time is not None
    column = table.column(spec.time)
    return column.cast(pa.int64()).to_numpy() if pa.types.is_timestamp(column.type) else numbers(column)


def over_all(masks: Masks, draw: Callable[[NDArray[np.int64]], NDArray[np.bool_]]) -> Masks:
    """Draw among the rows of the masks taken together: ``draw`` gets their places in one row of all sources."""
    whole = np.concatenate(masks)
    places = np.flatnonzero(whole)
    found = np.zeros(len(whole), np.bool_)
    found[places] = draw(places)
    return np.split(found, np.cumsum([len(mask) for mask in masks])[:-1])


def _share(spec: ModelSpec, split: Split, sources: Sequence[Prepared], pool: Masks) -> Masks:
    table = pa.concat_tables([one.table for one in sources])
    if spec.time is not None:
        times = times_of(spec, table)
        return over_all(pool, lambda places: _newest(split, times[places]))
    identity = [key for one in sources for key in one.keys.identity]
    strata = table.column(spec.target.column).to_pylist() if split.kind == "stratified" else [""] * len(identity)
    return over_all(pool, lambda at: draw_by_rank(split, [identity[i] for i in at], [strata[i] for i in at]))


def _newest(split: Split, times: NDArray[np.int64 | np.float64]) -> NDArray[np.bool_]:
    """The last share, or nothing where all is of one moment."""
    return draw_by_time(split, times) if len(np.unique(times)) > 1 else np.zeros(len(times), np.bool_)


def _of_other_class(spec: ModelSpec, table: pa.Table, classes: set[str]) -> NDArray[np.bool_]:
    if spec.task == "regression":
        return np.zeros(table.num_rows, np.bool_)
    known = pc.is_in(table.column(spec.target.column), value_set=pa.array(sorted(classes), pa.string()))
    return ~np.asarray(known.to_numpy(zero_copy_only=False) if isinstance(known, pa.Array) else known.to_numpy())


def _rows(masks: Masks) -> int:
    return sum(int(mask.sum()) for mask in masks)
