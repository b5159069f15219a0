"""What a file's columns are to a model, and which columns its rows come back with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from perennial.datasets.reading import Header
from perennial.datasets.validate import missing_column
from perennial.errors import DataError
from perennial.registry.manifest import ModelManifest
from perennial.scoring.results import FILE
from perennial.spec import ModelSpec, NumberFeature

ROW, PREDICTION, VERSION = "row", "prediction", "model_version"
PROBABILITY = "probability_"
SHOWN = 5


@dataclass(frozen=True)
class Layout:
    """``schema`` of the rows that come back; ``copied`` names the input's column behind each output column it fills.

    ``warnings`` are sentences for people about columns that are ignored or taken for missing.
    """

    schema: pa.Schema
    copied: Mapping[str, str]
    warnings: tuple[str, ...]


def layout(manifest: ModelManifest, names: Sequence[str], keep: bool | Sequence[str], file: str = "The file") -> Layout:
    """Lay the columns ``names`` of a file against the spec. ``keep`` as in :class:`perennial.spec.Batch`.

    Raises:
        DataError: a column the model needs, or one that is to be kept, is missing or stands there twice.
    """
    spec = manifest.spec
    kept = _kept(names, keep, spec, file)
    warnings = [*_absent(names, spec, file), *([] if spec.input == "image" else _ignored(names, kept, spec))]
    times = Counter(names)
    for name in (*spec.features, *([spec.id] if spec.id else []), *([] if keep is True else kept)):
        if times[name] > 1:
            raise DataError("appears more than once.", file=file, column=name, remedy="Rename or drop the copies.")
    twice = [name for name, count in times.items() if count > 1 and name]
    if twice:
        warnings.append(f"{_listed(twice)} more than once in the file; all but one of them are ignored.")
    ours = [PREDICTION, *(PROBABILITY + name for name in manifest.classes), VERSION]
    copied: dict[str, str] = {}
    fields = [pa.field(ROW, pa.int64())]
    for name in [*(name for name in dict.fromkeys(names) if name == _identity(spec)), *kept]:
        shown = _apart(name, {ROW, *ours, *copied, *(other for other in kept if other != name)})
        copied[shown] = name
        number = isinstance(spec.features.get(name), NumberFeature)
        fields.append(pa.field(shown, pa.float64() if number else pa.string()))
    regression = spec.task == "regression"
    types = [pa.float64() if regression else pa.string(), *[pa.float64()] * len(manifest.classes), pa.string()]
    fields += [pa.field(name, kind, nullable=False) for name, kind in zip(ours, types, strict=True)]
    return Layout(pa.schema(fields), copied, tuple(warnings))


def _kept(names: Sequence[str], keep: bool | Sequence[str], spec: ModelSpec, file: str) -> list[str]:
    """The columns to copy beside the id, in the order of the file, or in that in which they were asked for."""
    wanted = list(dict.fromkeys(names)) if keep is True else list(dict.fromkeys(keep or ()))
    for name in wanted:
        if name not in names:
            raise _not_there(name, names, "to be kept", file)
    return [name for name in wanted if name and name != _identity(spec)]


def _identity(spec: ModelSpec) -> str | None:
    """The column that tells rows apart, and always comes back: of pictures the place where each was found."""
    return FILE if spec.input == "image" else spec.id


def _absent(names: Sequence[str], spec: ModelSpec, file: str) -> list[str]:
    absent = [name for name in spec.features if name not in names]
    for name in absent:
        if not spec.features[name].missing or name == spec.time:
            raise _not_there(name, names, "in the spec", file, taken=(*spec.features, spec.id or "", spec.time or ""))
    return [f"{_listed(absent)} not in the file, and scored as missing."] if absent else []


def _ignored(names: Sequence[str], kept: Sequence[str], spec: ModelSpec) -> list[str]:
    known = {*spec.features, *kept, spec.target.column, spec.id, spec.time, ""}
    ignored = [name for name in dict.fromkeys(names) if name not in known]
    return [f"{_listed(ignored)} no part of the model, and ignored."] if ignored else []


def _not_there(name: str, names: Sequence[str], role: str, file: str, *, taken: Sequence[str] = ()) -> DataError:
    return missing_column(file, Header(tuple(name for name in names if name)), name, role, taken=taken)


def _listed(names: Sequence[str]) -> str:
    """``Column 'a' is``, ``Columns 'a', 'b' are``."""
    shown = ", ".join(repr(name) for name in names[:SHOWN])
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"Columns {shown}{more} are" if len(names) > 1 else f"Column {shown} is"


def _apart(name: str, taken: set[str]) -> str:
    """A name of its own for a column of the input."""
    while name in taken:
        name = f"input.{name}"
    return name
