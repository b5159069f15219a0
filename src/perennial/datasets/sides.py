"""Dividing the rows of a version: to the frozen holdout, to the comparison window, to training, or nowhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from perennial.datasets.manifest import DatasetManifest, Part, Source, Split, SplitName
from perennial.datasets.prepare import Prepared
from perennial.datasets.rowindex import RowIndex
from perennial.datasets.rowkeys import KnownRows, RowKeys
from perennial.datasets.split import draw_by_rank, draw_by_time
from perennial.datasets.told import Told
from perennial.datasets.window import Learnt, Masks, draw_window, labels_of, over_all, settle_window, times_of
from perennial.errors import DataError
from perennial.spec import ModelSpec


@dataclass(frozen=True)
class Inherited:
    """A part that the parent left, with its rows and their keys; what was a window is training now."""

    part: Part
    table: pa.Table
    keys: RowKeys

    @classmethod
    def of(cls, part: Part, table: pa.Table, keys: RowKeys) -> Inherited:
        """Take a part over."""
        split: SplitName = "train" if part.split == "window" else part.split
        return cls(part.model_copy(update={"split": split}), table, keys)


@dataclass(frozen=True)
class Sides:
    """One source divided: its rows by side, and the content keys of them all."""

    source: Source
    tables: dict[SplitName, pa.Table]
    content: list[bytes]


@dataclass(frozen=True)
class Divided:
    """All sources divided, and which rows of them are the window; that is None where there is none."""

    sides: tuple[Sides, ...]
    window: RowIndex | None


def draw_holdout(split: Split, spec: ModelSpec, prepared: Sequence[Prepared]) -> RowIndex:
    """A first holdout over all that its owner landed; what was collected from predictions is in none.

    Raises:
        DataError: he landed nothing, or all of it is of one time.
    """
    sources = [one for one in prepared if one.kind == "landed"]
    if not sources:
        raise DataError("No row is left for the holdout: none was landed.", remedy="Bring data with `perennial land`.")
    table = pa.concat_tables([one.table for one in sources])
    if split.kind == "chronological":
        mask = draw_by_time(split, times_of(spec, table))
    else:
        strata = table.column(spec.target.column).to_pylist() if split.kind == "stratified" else [""] * len(table)
        mask = draw_by_rank(split, [key for one in sources for key in one.keys.identity], strata)
    drawn = over_all([np.ones(len(one.rows), np.bool_) for one in sources], lambda places: mask[places])
    return _index(sources, drawn)


def divide(
    spec: ModelSpec,
    prepared: Sequence[Prepared],
    inherited: Sequence[Inherited],
    holdout: RowIndex,
    parent: DatasetManifest | None,
    parent_window: RowIndex | None,
    told: Told,
) -> Divided:
    """Each source's rows: those of the index to the holdout, copies of any of these nowhere, the rest divided.

    Args:
        parent_window: the parent's window, which stays the window where no source is new.
    """
    held = [holdout.mask(one.digest, one.rows) for one in prepared]
    frozen = KnownRows.of(one.keys for one in inherited if one.part.split == "holdout")
    for one, mask in zip(prepared, held, strict=True):
        frozen.add(one.keys, mask)
    gone = [told.superseded(one) for one in prepared]
    copies = [frozen.holds(one.keys) & ~mask & ~out for one, mask, out in zip(prepared, held, gone, strict=True)]
    free = [~mask & ~copy & ~out for mask, copy, out in zip(held, copies, gone, strict=True)]
    window = _window(spec, prepared, inherited, free, parent, parent_window, told)
    sides = []
    for one, inside, copy, out, rest, newest in zip(prepared, held, copies, gone, free, window, strict=True):
        tables: dict[SplitName, pa.Table] = {
            "holdout": one.table.filter(pa.array(inside)),
            "train": one.table.filter(pa.array(rest & ~newest)),
            "window": one.table.filter(pa.array(newest)),
        }
        content = [one.keys.content[place] for place in np.flatnonzero(inside | rest)]
        sides.append(Sides(_source(one, int(copy.sum()), int(out.sum())), tables, content))
    return Divided(tuple(sides), _index(prepared, window) if any(mask.any() for mask in window) else None)


def _window(
    spec: ModelSpec,
    prepared: Sequence[Prepared],
    inherited: Sequence[Inherited],
    free: Masks,
    parent: DatasetManifest | None,
    parent_window: RowIndex | None,
    told: Told,
) -> Masks:
    nothing = [np.zeros_like(mask) for mask in free]
    if parent is None:
        return nothing
    earlier = frozenset(source.digest for source in parent.sources)
    trained = [one for one in inherited if one.part.split == "train"]
    learnt = Learnt([one.keys for one in trained], labels_of(spec, [one.table for one in trained]))
    if all(one.digest in earlier for one in prepared):
        if parent_window is None:
            return nothing
        same = [parent_window.mask(one.digest, one.rows) for one in prepared]
        return settle_window(spec, prepared, free, same, learnt)
    fresh = [mask & (one.digest not in earlier) & ~told.learnt(one) for one, mask in zip(prepared, free, strict=True)]
    return draw_window(spec, parent.split, prepared, free, fresh, learnt)


def _source(one: Prepared, held_back: int, superseded: int) -> Source:
    accepted = len(one.rows)
    return Source(
        digest=one.digest,
        rows=accepted + one.refused,
        accepted=accepted,
        refused=one.refused,
        duplicates=accepted - len(set(one.keys.content)),
        held_back=held_back,
        kind=one.kind,
        superseded=superseded,
    )


def _index(sources: Sequence[Prepared], masks: Masks) -> RowIndex:
    return RowIndex({one.digest: one.rows[mask] for one, mask in zip(sources, masks, strict=True)})
