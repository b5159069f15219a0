"""Listings: the files by which pictures land. Each row names a picture that is stored by its digest, and its label.

A listing is put when all of its pictures are there, and so commits them. What was gathered from loose files besides
says where each row came from, and of what could not be read, why.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict

from perennial import keys
from perennial.datasets.parts import part_bytes
from perennial.errors import IntegrityError
from perennial.spec import ModelSpec
from perennial.store import Store

Shown = tuple[str | None, str | None, str | None]
"""A picture's digest, its label and its group."""
REASON = "reason"
ORIGIN = ("origin", "etag")
"""Columns of what was gathered: the object of landing that a row came from, and its ETag when it was read."""


class Failure(BaseModel):
    """A picture that did not land: its file or address, its row where a listing named it, and why."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: str
    reason: str
    row: int | None = None


@dataclass(frozen=True)
class Listed:
    """One row of a listing. ``image`` is the SHA-256 (hex) of the picture's bytes, None where ``reason`` says why."""

    file: str
    image: str | None
    label: str | None
    group: str | None
    reason: str | None = None
    origin: tuple[str, str] | None = None


@dataclass(frozen=True)
class GatheredSoFar:
    """What was gathered: ``objects`` of landing by their names below it and their ETags, the files that listings among
    them ``named``, and the number that the ``next`` listing takes.
    """

    objects: frozenset[tuple[str, str]]
    named: frozenset[str]
    next: int


def listing_bytes(spec: ModelSpec, rows: Sequence[Listed]) -> bytes:
    """Parquet of some rows; the same bytes from the same rows."""
    columns: dict[str, list[str | None]] = {
        "file": [row.file for row in rows],
        "image": [row.image for row in rows],
        spec.target.column: [row.label for row in rows],
        "group": [row.group for row in rows],
    }
    if any(row.origin is not None for row in rows):
        names = _names(spec)
        columns[names[REASON]] = [row.reason for row in rows]
        for place, name in enumerate(ORIGIN):
            columns[names[name]] = [row.origin[place] if row.origin else None for row in rows]
    return part_bytes(pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()}))


def reason_column(spec: ModelSpec) -> str:
    """Which column of a gathered listing says why a row has no picture."""
    return _names(spec)[REASON]


def known_pictures(store: Store, spec: ModelSpec) -> dict[Shown, str]:
    """Every picture that a listing holds, with its label and group, and the key of the first such listing.

    Raises:
        IntegrityError: a listing is damaged.
    """
    names = ("image", spec.target.column, "group")
    found: dict[Shown, str] = {}
    for entry in store.list(keys.landing(spec.name)):
        if keys.is_listing(spec.name, entry.key) and keys.landing_kind(spec.name, entry.key) == "landed":
            for image, label, group in zip(*_columns(store, entry.key, names), strict=True):
                found.setdefault((image, label, group), entry.key)
    return found


def gathered_so_far(store: Store, spec: ModelSpec) -> GatheredSoFar:
    """What the listings of loose files hold. Raises IntegrityError where one is damaged."""
    names = ["file", *(_names(spec)[name] for name in ORIGIN)]
    objects: set[tuple[str, str]] = set()
    named: set[str] = set()
    last = 0
    for entry in store.list(keys.gathered_files(spec.name)):
        if keys.is_gathered(spec.name, entry.key):
            for file, origin, etag in zip(*_columns(store, entry.key, names), strict=True):
                objects.add((origin or "", etag or ""))
                if file is not None and file != origin:
                    named.add(file)
            last = max(last, int(entry.key.removesuffix(".parquet")[-8:]))
    return GatheredSoFar(frozenset(objects), frozenset(named), last + 1)


def _columns(store: Store, key: str, names: Sequence[str]) -> Iterator[list[str | None]]:
    """Some columns of a listing; one that it lacks, as it was made under another spec, holds nothing."""
    try:
        file = pq.ParquetFile(pa.BufferReader(store.get(key).data))
        table = file.read(columns=[name for name in names if name in file.schema_arrow.names])
    except (pa.ArrowException, OSError) as error:
        raise IntegrityError(f"{key} is damaged.", remedy="Restore it from a backup, or remove it.") from error
    for name in names:
        yield table.column(name).to_pylist() if name in table.column_names else [None] * file.metadata.num_rows


def _names(spec: ModelSpec) -> Mapping[str, str]:
    """The columns of what was gathered, out of the way of a target of that name."""
    return {name: f"_{name}" if name == spec.target.column else name for name in (REASON, *ORIGIN)}
