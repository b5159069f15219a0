"""Snapshot: what has landed becomes an immutable dataset version. Repeatable: same landing and spec, same id.

Blobs are written first and the manifest last, all by put-new, so a process may die anywhere and any number
may run at once. A version descends from the one the champion was trained on, or else from the largest earlier
one, whose sources are all still there: its holdout is taken over row for row, whatever has become of the schema.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import pyarrow as pa

from perennial import keys
from perennial.datasets.arrow import arrow_schema
from perennial.datasets.classes import checked_classes, refuse_empty_columns
from perennial.datasets.history import parent_of, read_manifests, same_version
from perennial.datasets.landing import LandedFile, list_landed
from perennial.datasets.manifest import DatasetManifest, Part, Split, SplitName, Window, schema_digest
from perennial.datasets.parts import get_part, put_blob, put_part
from perennial.datasets.prepare import Prepared, prepare
from perennial.datasets.rowindex import RowIndex, read_index
from perennial.datasets.rowkeys import row_keys
from perennial.datasets.sides import Divided, Inherited, divide, draw_holdout
from perennial.datasets.told import Told, read_told
from perennial.errors import DataError
from perennial.registry.registry import Registry
from perennial.spec import ModelSpec
from perennial.store import Store

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Snapshot:
    """A dataset version; ``new`` is False where it existed before."""

    manifest: DatasetManifest
    new: bool


def snapshot(store: Store, spec: ModelSpec, progress: Progress | None = None) -> Snapshot:
    """Make (or find) the version of all that has landed.

    Raises:
        DataError: nothing has landed, a file cannot be used, or the rows cannot make a training and a holdout set.
        IntegrityError: a stored manifest or blob was altered.
    """
    tell = progress or (lambda line: None)
    landed = {one.digest: one for one in _by_trust(list_landed(store, spec), spec)}
    if not spec.retrain.feedback:
        landed = {digest: one for digest, one in landed.items() if not _is_feedback(one, spec)}
    if not landed:
        raise DataError(
            f"Nothing has landed under {keys.landing(spec.name)}.", remedy="Bring data with `perennial land`."
        )
    sources, schema, split = frozenset(landed), schema_digest(spec), Split.of(spec)
    history = read_manifests(store, spec.name)
    known = same_version(history, sources, schema, split)
    if known is not None:
        return Snapshot(known, new=False)
    parent = parent_of(history, sources, schema, split, _learnt_by_champion(store, spec.name))
    manifest = _build(store, spec, landed, parent, tell)
    store.put_new(keys.dataset_manifest(spec.name, manifest.id), manifest.to_bytes())
    return Snapshot(manifest, new=True)


def _learnt_by_champion(store: Store, model: str) -> str | None:
    """The dataset version that the champion was trained on; None before the first promotion."""
    registry = Registry(store)
    head = registry.head(model)
    return registry.manifest(model, head.version).dataset if head else None


def _by_trust(files: tuple[LandedFile, ...], spec: ModelSpec) -> list[LandedFile]:
    """The files by key from the last to the first, feedback before all: of equal ones the last counts."""
    return sorted(files, key=lambda one: (_is_feedback(one, spec), one.key), reverse=True)


def _is_feedback(one: LandedFile, spec: ModelSpec) -> bool:
    return keys.landing_kind(spec.name, one.key) == "feedback"


def _build(
    store: Store, spec: ModelSpec, landed: dict[str, LandedFile], parent: DatasetManifest | None, tell: Progress
) -> DatasetManifest:
    taken = parent if parent is not None and parent.schema_digest == schema_digest(spec) else None
    told = read_told(store, spec, landed, parent)
    split = Split.of(spec)
    frozen = read_index(store, spec.name, parent.holdout) if parent else None
    inherited, prepared = _at_hand(store, spec, landed, taken, frozen, told, tell)
    anew = {one.digest for one in prepared}
    sources = [source for source in (taken.sources if taken else ()) if source.digest not in anew]
    holdout = frozen or draw_holdout(split, spec, prepared)
    before = read_index(store, spec.name, parent.window.index) if parent and parent.window else None
    divided = divide(spec, prepared, inherited, holdout, parent, before, told)
    classes = _checked(spec, inherited, divided)
    return DatasetManifest(
        model=spec.name,
        schema_digest=schema_digest(spec),
        parent=parent.id if parent else None,
        split=split,
        holdout=put_blob(store, spec.name, holdout.to_bytes()),
        classes=classes,
        sources=tuple(sorted([*sources, *(one.source for one in divided.sides)], key=lambda source: source.digest)),
        parts=_put_parts(store, spec, inherited, divided),
        duplicates=_duplicates(inherited, divided),
        window=_put_window(store, spec, divided),
    )


def _at_hand(
    store: Store,
    spec: ModelSpec,
    landed: dict[str, LandedFile],
    taken: DatasetManifest | None,
    holdout: RowIndex | None,
    told: Told,
    tell: Progress,
) -> tuple[list[Inherited], list[Prepared]]:
    """The parts that are taken over, and the sources that are read: new ones, and those of which to judge again.

    Pictures that were held back still tie others to the holdout, and what is new may tie to it what was learnt from.
    """

    def read(digests: Iterable[str]) -> list[Prepared]:
        return [_prepare(store, spec, landed[digest], tell) for digest in sorted(digests)]

    pictures = spec.input == "image"
    old = {one.digest for one in (taken.sources if taken else ()) if not (pictures and one.held_back)} - told.stale
    inherited = [_inherit(store, spec, part) for part in (taken.parts if taken else ()) if part.source in old]
    prepared = read(set(landed) - old)
    if not pictures:
        return inherited, prepared
    from perennial.datasets.relate import relate, tied_to_holdout  # Pillow is imported where there are pictures

    inherited, prepared = relate(spec, inherited, prepared)
    if holdout is None or not (tied := tied_to_holdout(inherited, prepared, holdout)):
        return inherited, prepared
    rest = [one for one in inherited if one.part.source not in tied]
    return relate(spec, rest, sorted([*prepared, *read(tied)], key=lambda one: one.digest))


def _prepare(store: Store, spec: ModelSpec, landed: LandedFile, tell: Progress) -> Prepared:
    one = prepare(store, spec, landed, tell)
    tell(f"{one.name}: {one.table.num_rows:,} rows accepted, {one.refused:,} refused")
    return one


def _inherit(store: Store, spec: ModelSpec, part: Part) -> Inherited:
    table = get_part(store, spec.name, part, arrow_schema(spec))
    return Inherited.of(part, table, row_keys(table, spec))


def _checked(spec: ModelSpec, inherited: list[Inherited], divided: Divided) -> tuple[str, ...]:
    """The classes of the rows that will be trained on. Raises DataError where they are not enough."""

    def tables(*splits: SplitName) -> list[pa.Table]:
        own = [one.tables[name] for one in divided.sides for name in splits]
        return [*(one.table for one in inherited if one.part.split in splits), *own]

    refuse_empty_columns(spec, tables("holdout", "train", "window"))
    return checked_classes(spec, tables("train"), tables("holdout"))


def _put_parts(store: Store, spec: ModelSpec, inherited: list[Inherited], divided: Divided) -> tuple[Part, ...]:
    own = [
        put_part(store, spec.name, one.source.digest, name, table)
        for one in divided.sides
        for name, table in sorted(one.tables.items())
        if table.num_rows
    ]
    parts = [*(one.part for one in inherited), *own]
    return tuple(sorted(parts, key=lambda part: (part.source, part.split, part.digest)))


def _put_window(store: Store, spec: ModelSpec, divided: Divided) -> Window | None:
    if divided.window is None:
        return None
    kinds = {one.source.kind for one in divided.sides if one.tables["window"].num_rows}
    return Window(index=put_blob(store, spec.name, divided.window.to_bytes()), trusted="feedback" not in kinds)


def _duplicates(inherited: list[Inherited], divided: Divided) -> int:
    """Rows of the parts that equal another."""
    content = [key for one in inherited for key in one.keys.content]
    content += [key for one in divided.sides for key in one.content]
    return len(content) - len(set(content))
