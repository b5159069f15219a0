"""Columns that stand in the place of a file instead of in it: ``dt=2026-01-01/part-0.parquet``, as Hive has it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import unquote

from perennial.spec import ModelSpec

NULL = "__HIVE_DEFAULT_PARTITION__"


def partition_values(place: str) -> Mapping[str, str | None]:
    """The values in the folders of a path or key, by name; None is null."""
    found: dict[str, str | None] = {}
    for folder in place.split("/")[:-1]:
        name, is_partition, value = folder.partition("=")
        if name and is_partition:
            found[unquote(name).strip()] = None if value == NULL else unquote(value)
    return found


def partition_columns(place: str, names: Sequence[str], spec: ModelSpec) -> Mapping[str, str | None]:
    """Those of the values that a spec has a use for, and that a file with columns ``names`` lacks."""
    kept = spec.batch.keep if isinstance(spec.batch.keep, tuple) else ()
    wanted = {*spec.features, spec.id, *kept} - {*names}
    return {name: value for name, value in partition_values(place).items() if name in wanted}
