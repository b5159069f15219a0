"""``perennial init``: draft a model's spec from a data file. A draft is for its owner to read and correct."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from perennial.datasets.cells import check_time
from perennial.datasets.draft_text import Plan, render
from perennial.datasets.leaks import suspects
from perennial.datasets.profile import Profile, profile
from perennial.datasets.reading import RawFile, read_file, read_header
from perennial.datasets.target import TargetProfile, profile_target
from perennial.datasets.unpack import read_local
from perennial.datasets.validate import missing_column
from perennial.errors import DataError, SpecError
from perennial.spec import NAME
from perennial.spec_source import parse_spec

LONGEST_NAME = 150
_NAME_ANOTHER = "Name another column for one of them."


@dataclass(frozen=True)
class Draft:
    """``text``: the YAML of a valid spec, commented. ``warnings``: what its owner should look at, a sentence each."""

    text: str
    warnings: tuple[str, ...]


def draft_spec(
    path: Path, target: str, id_column: str | None = None, time_column: str | None = None, name: str = "model"
) -> Draft:
    """Infer a spec from a CSV, gzipped CSV or Parquet file.

    Numbers get ranges, categories their values, dates are recognised; identifiers, free text and columns that
    never vary are left out. Signs of a leak are warned about, and the column stays in: only its owner can know.

    Raises:
        DataError: the file cannot be used, or lacks a named column, or nothing is left to learn from.
        SpecError: ``name`` is no name for a model.
    """
    if not NAME.match(name) or len(name) > 40:
        raise SpecError(
            f"{name!r} cannot name a model.", key="name", remedy="Use lower-case letters, digits and single hyphens."
        )
    file, data = str(path), read_local(path)
    header = read_header(file, data)
    for column, role in ((target, "the target"), (id_column, "the id"), (time_column, "the time")):
        if column is not None and column not in header.names:
            raise missing_column(file, header, column, role)
    raw = read_file(file, data)
    if not len(raw.rows):
        raise DataError(
            f"has no row with as many fields as its header ({len(raw.header.names)}).",
            file=file,
            remedy="Check its header.",
        )
    for column, role in ((id_column, "id"), (time_column, "time")):
        if column == target and column is not None:
            raise DataError(
                f"cannot be both the target and the {role}.", file=file, column=column, remedy=_NAME_ANOTHER
            )
    if id_column is not None and id_column == time_column:
        raise DataError("cannot be both the id and the time.", file=file, column=id_column, remedy=_NAME_ANOTHER)
    order = None if time_column is None else _time_order(file, time_column, raw.columns[time_column])
    judged = profile_target(file, target, raw.columns[target])
    reserved = {target, id_column, time_column}
    profiles = [_profile(name, column, order) for name, column in raw.columns.items() if name not in reserved]
    return _assemble(path.name, raw, judged, profiles, (target, id_column, time_column, name))


def _assemble(
    file: str,
    raw: RawFile,
    judged: TargetProfile,
    profiles: list[Profile],
    names: tuple[str, str | None, str | None, str],
) -> Draft:
    target, id_column, time_column, model = names
    kept = [one for one in profiles if one.feature is not None]
    if not kept:
        raise DataError("holds no column to learn from.", file=raw.name, remedy=f"Left out: {_why(profiles)}.")
    scores = {one.name: one.scores for one in kept if one.scores is not None}
    leaks = suspects(judged.task, target, judged.y, scores)
    plan = Plan(
        model=model, file=file, rows=len(raw.rows), target=target, id=id_column, time=time_column,
        judged=judged, profiles=tuple(profiles), leaks=leaks,
    )  # fmt: skip
    text = render(plan)
    parse_spec(text, f"draft of {file}")
    return Draft(text, (*_warnings(raw, judged, profiles, leaks), *_without_time(plan)))


def _warnings(raw: RawFile, judged: TargetProfile, profiles: list[Profile], leaks: dict[str, str]) -> tuple[str, ...]:
    found = list(judged.warnings)
    if raw.malformed:
        first = raw.malformed[0].row
        found.append(
            f"{len(raw.malformed):,} rows do not have the header's {len(raw.header.names)} fields and will be refused, "
            f"the first is row {first}."
        )
    found += [f"'{name}' is a likely leak: {why}." for name, why in leaks.items()]
    for one in profiles:
        if one.doubtful:
            found.append(f"'{one.name}'{' is left out' if one.feature is None else ''}: {one.note}.")
    return tuple(found)


def _without_time(plan: Plan) -> tuple[str, ...]:
    if not plan.dates:
        return ()
    return (
        f"'{plan.dates[0]}' is a date: where the world moves, give `--time COLUMN` with the one that tells when a row "
        "happened, so that the newest rows judge a new version; without one the first holdout does for ever.",
    )


def _why(profiles: list[Profile]) -> str:
    shown = "; ".join(f"'{one.name}' ({one.note})" for one in profiles[:5])
    return shown or "nothing, there is no column but those you named"


def _profile(name: str, column: pa.Array, order: NDArray[np.intp] | None) -> Profile:
    if len(name) > LONGEST_NAME:
        return Profile(name, None, f"its name is longer than {LONGEST_NAME} characters", doubtful=True)
    return profile(name, column, order)


def _time_order(file: str, name: str, column: pa.Array) -> NDArray[np.intp]:
    """Places of the rows by time, those without one first."""
    checked = check_time(column)
    refused = int((checked.reason > 0).sum())
    if refused > len(column) / 2:
        raise DataError(
            f"is no time: {refused:,} of {len(column):,} cells are neither ISO 8601 dates nor numbers.",
            file=file, column=name, remedy="Name another time column, or none.",
        )  # fmt: skip
    times = checked.values.cast(pa.int64()).fill_null(np.iinfo(np.int64).min)
    return np.argsort(times.to_numpy(zero_copy_only=False), kind="stable")
