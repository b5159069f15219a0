"""Snapshot: what has landed becomes an immutable dataset version. Repeatable: same landing and spec, same id.

Blobs are written first and the manifest last, all by put-new, so a process may die anywhere and any number
may run at once. A version descends from the largest earlier one whose sources are all still there: its
holdout is taken over row for row, whatever has become of the schema.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from perennial import keys
from perennial.datasets.arrow import arrow_schema, numbers
from perennial.datasets.classes import checked_classes, refuse_empty_columns
from perennial.datasets.history import parent_of, read_manifests, same_version
from perennial.datasets.holdout import HoldoutIndex, read_index
from perennial.datasets.landing import LandedFile, list_landed
from perennial.datasets.manifest import DatasetManifest, Part, Source, Split, SplitName, schema_digest
from perennial.datasets.parts import get_part, put_blob, put_part
from perennial.datasets.prepare import Prepared, prepare
from perennial.datasets.rowkeys import RowKeys, row_keys
from perennial.datasets.split import draw_by_rank, draw_by_time
from perennial.errors import DataError
from perennial.spec import ModelSpec
from perennial.store import Store

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Snapshot:
    """A dataset version; ``new`` is False where it existed before."""

    manifest: DatasetManifest
    new: bool


@dataclass(frozen=True)
class _Sides:
    """One source divided: ``train`` and ``holdout`` rows as tables, and how many copies were held back."""

    source: Source
    tables: dict[SplitName, pa.Table]


def snapshot(store: Store, spec: ModelSpec, progress: Progress | None = None) -> Snapshot:
    """Make (or find) the version of all that has landed.

    Raises:
        DataError: nothing has landed, a file cannot be used, or the rows cannot make a training and a holdout set.
        IntegrityError: a stored manifest or blob was altered.
    """
    tell = progress or (lambda line: None)
    landed = {one.digest: one for one in reversed(list_landed(store, spec))}
    if not landed:
        raise DataError(
            f"Nothing has landed under {keys.landing(spec.name)}.", remedy="Bring data with `perennial land`."
        )
    sources, schema, split = frozenset(landed), schema_digest(spec), Split.of(spec)
    history = read_manifests(store, spec.name)
    known = same_version(history, sources, schema, split)
    if known is not None:
        return Snapshot(known, new=False)
    parent = parent_of(history, sources, schema, split)
    manifest = _build(store, spec, landed, parent, tell)
    store.put_new(keys.dataset_manifest(spec.name, manifest.id), manifest.to_bytes())
    return Snapshot(manifest, new=True)


def _build(
    store: Store, spec: ModelSpec, landed: dict[str, LandedFile], parent: DatasetManifest | None, tell: Progress
) -> DatasetManifest:
    taken = parent if parent is not None and parent.schema_digest == schema_digest(spec) else None
    old = {source.digest for source in taken.sources} if taken else set()
    fresh: list[Prepared] = []
    for digest in sorted(set(landed) - old):
        one = prepare(store, spec, landed[digest])
        tell(f"{one.name}: {one.table.num_rows:,} rows accepted, {one.refused:,} refused")
        fresh.append(one)
    inherited = {part.digest: get_part(store, spec.name, part, arrow_schema(spec)) for part in _parts(taken)}
    split = Split.of(spec)
    index = read_index(store, spec.name, parent.holdout) if parent else _draw(split, spec, fresh)
    frozen = [inherited[part.digest] for part in _parts(taken) if part.split == "holdout"]
    sides = _divide(spec, fresh, index, frozen)
    tables = [*inherited.values(), *(table for one in sides for table in one.tables.values())]
    refuse_empty_columns(spec, tables)
    train = [inherited[part.digest] for part in _parts(taken) if part.split == "train"]
    held = [one.tables["holdout"] for one in sides]
    classes = checked_classes(spec, [*train, *(one.tables["train"] for one in sides)], [*frozen, *held])
    holdout = put_blob(store, spec.name, index.to_bytes())
    parts = [*_parts(taken), *_put_parts(store, spec, sides)]
    return DatasetManifest(
        model=spec.name,
        schema_digest=schema_digest(spec),
        parent=parent.id if parent else None,
        split=split,
        holdout=holdout,
        classes=classes,
        sources=tuple(sorted([*(taken.sources if taken else ()), *(s.source for s in sides)], key=lambda s: s.digest)),
        parts=tuple(sorted(parts, key=lambda part: (part.source, part.split))),
        duplicates=_duplicates(spec, tables),
    )


def _parts(manifest: DatasetManifest | None) -> tuple[Part, ...]:
    return manifest.parts if manifest else ()


def _draw(split: Split, spec: ModelSpec, fresh: list[Prepared]) -> HoldoutIndex:
    """A first holdout over all rows at hand."""
    table = pa.concat_tables([one.table for one in fresh])
    if split.kind == "chronological":
        mask = draw_by_time(split, _times(table, spec))
    else:
        strata = table.column(spec.target.column).to_pylist() if split.kind == "stratified" else [""] * len(table)
        mask = draw_by_rank(split, [key for one in fresh for key in one.keys.identity], strata)
    ends = np.cumsum([len(one.rows) for one in fresh])[:-1]
    return HoldoutIndex({one.digest: one.rows[part] for one, part in zip(fresh, np.split(mask, ends), strict=True)})


def _times(table: pa.Table, spec: ModelSpec) -> NDArray[np.int64 | np.float64]:
    assert spec.time is not None
    column = table.column(spec.time)
    return column.cast(pa.int64()).to_numpy() if pa.types.is_timestamp(column.type) else numbers(column)


def _divide(spec: ModelSpec, fresh: list[Prepared], index: HoldoutIndex, frozen: list[pa.Table]) -> list[_Sides]:
    """Each source's rows: those of the index to the holdout, copies of any of these nowhere, the rest to training."""
    masks = [index.mask(one.digest, one.rows) for one in fresh]
    known: list[RowKeys] = [row_keys(table, spec) for table in frozen]
    content = {key for keys_ in known for key in keys_.content}
    identity = {key for keys_ in known for key in keys_.identity}
    for one, mask in zip(fresh, masks, strict=True):
        content.update(one.keys.content[i] for i in np.flatnonzero(mask))
        identity.update(one.keys.identity[i] for i in np.flatnonzero(mask))
    divided = []
    for one, mask in zip(fresh, masks, strict=True):
        pairs = zip(one.keys.content, one.keys.identity, strict=True)
        copies = np.fromiter((c in content or i in identity for c, i in pairs), np.bool_, len(mask)) & ~mask
        accepted = len(one.rows)
        source = Source(
            digest=one.digest,
            rows=accepted + one.refused,
            accepted=accepted,
            refused=one.refused,
            duplicates=accepted - len(set(one.keys.content)),
            held_back=int(copies.sum()),
        )
        tables: dict[SplitName, pa.Table] = {
            "holdout": one.table.filter(pa.array(mask)),
            "train": one.table.filter(pa.array(~mask & ~copies)),
        }
        divided.append(_Sides(source, tables))
    return divided


def _put_parts(store: Store, spec: ModelSpec, sides: list[_Sides]) -> list[Part]:
    return [
        put_part(store, spec.name, one.source.digest, name, table)
        for one in sides
        for name, table in sorted(one.tables.items())
        if table.num_rows
    ]


def _duplicates(spec: ModelSpec, tables: list[pa.Table]) -> int:
    """Rows of the parts that equal another."""
    content = [key for table in tables if table.num_rows for key in row_keys(table, spec).content]
    return len(content) - len(set(content))
