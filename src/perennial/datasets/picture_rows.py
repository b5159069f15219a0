"""Rows of a listing against the spec: each picture is read, measured and given its fingerprint, or refused.

Whatever a listing says of a picture but its label and group is measured anew from the bytes that are stored.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from perennial.datasets.ahead import in_order
from perennial.datasets.arrow import arrow_schema
from perennial.datasets.cells import FINE, Checked, check_label
from perennial.datasets.listing import reason_column
from perennial.datasets.pictures import READERS, read_picture
from perennial.datasets.reading import RawFile
from perennial.datasets.text import holds_single_values, text_of
from perennial.datasets.validate import Refusal, Validated, missing_column, text_or_none
from perennial.errors import IntegrityError, InvalidPicture
from perennial.images.budget import in_the_works
from perennial.images.decode import decode
from perennial.images.describe import Descriptors, describe
from perennial.images.fingerprint import fingerprint
from perennial.spec import ModelSpec
from perennial.store import Store

_DIGEST = re.compile(r"[0-9a-f]{64}")
_TELL_EVERY = 500
Progress = Callable[[str], None]


@dataclass(frozen=True)
class _Measured:
    descriptors: Descriptors
    fingerprint: bytes


def validate_pictures(
    store: Store,
    spec: ModelSpec,
    raw: RawFile,
    *,
    only: NDArray[np.bool_] | None = None,
    progress: Progress | None = None,
) -> Validated:
    """Check every row of a listing, or ``only`` some of them, and read their pictures.

    Raises:
        DataError: the column ``image`` or the target is missing.
    """
    target = spec.target.column.strip()
    for column in ("image", target):
        if column not in raw.header.names:
            raise missing_column(raw.name, raw.header, column, "the target" if column != "image" else "of pictures")
    places = np.arange(len(raw.rows)) if only is None else np.flatnonzero(only)
    taken = {name: cells.take(pa.array(places)) for name, cells in raw.columns.items() if holds_single_values(cells)}
    cells = RawFile(raw.name, raw.header, taken, raw.rows[places])
    labels = check_label(_column(cells, target), spec.target.classes)
    images = _texts(cells, "image")
    reasons = [
        _named_badly(image, told) or _unlabelled(target, labels, place)
        for place, (image, told) in enumerate(zip(images, _texts(cells, reason_column(spec)), strict=True))
    ]
    measured = _measure(store, spec, images, reasons, progress)
    rows = [place for place, one in enumerate(measured) if isinstance(one, _Measured)]
    table = _table(spec, cells, labels, images, measured, rows)
    why = [(place, one) for place, one in enumerate(measured) if not isinstance(one, _Measured)]
    refused = _refused(raw, cells, why) if only is None else ()
    return Validated(table, cells.rows[rows], refused)


def group_of(spec: ModelSpec, file: str | None, group: str | None) -> str | None:
    """What a picture belongs to: as its listing says, else what the spec's pattern finds in the file's name."""
    assert spec.image is not None
    if group is not None or spec.image.group_pattern is None or file is None:
        return group
    path = unquote(urlsplit(file).path) if "://" in file else file
    found = re.search(spec.image.group_pattern, PurePosixPath(path).name)
    if found is None:
        return None
    return (found[1] if found.re.groups else found[0]) or None


def _measure(
    store: Store,
    spec: ModelSpec,
    images: list[str | None],
    reasons: list[tuple[str, str] | None],
    progress: Progress | None,
) -> list[_Measured | tuple[str, str]]:
    """Of each row what its picture measures, or the column and reason it is refused for; equal pictures are read once.

    ``reasons`` are those known already.
    """

    def read(digest: str) -> _Measured | str:
        try:
            data = read_picture(store, spec.name, digest)
            with in_the_works(data):
                picture = decode(data)
                return _Measured(describe(picture), fingerprint(picture))
        except IntegrityError as error:
            return f"has no picture: {error.message}"
        except InvalidPicture as error:
            return f"has a picture that {error.reason}"

    wanted = [image for image, reason in zip(images, reasons, strict=True) if image is not None and reason is None]
    distinct = list(dict.fromkeys(wanted))
    found: dict[str, _Measured | str] = {}
    for digest, result in zip(distinct, in_order(read, distinct, READERS), strict=True):
        found[digest] = result
        if progress is not None and len(found) % _TELL_EVERY == 0:
            progress(f"{len(found):,} of {len(distinct):,} pictures measured")
    outcome: list[_Measured | tuple[str, str]] = []
    for image, reason in zip(images, reasons, strict=True):
        if reason is not None:
            outcome.append(reason)
            continue
        one = found[image or ""]
        outcome.append(("image", one) if isinstance(one, str) else one)
    return outcome


def _table(
    spec: ModelSpec,
    cells: RawFile,
    labels: Checked,
    images: list[str | None],
    measured: list[_Measured | tuple[str, str]],
    rows: list[int],
) -> pa.Table:
    found = [one for one in measured if isinstance(one, _Measured)]
    files, groups = _texts(cells, "file"), _texts(cells, "group")
    columns: dict[str, object] = {
        name: [float(getattr(one.descriptors, name)) for one in found] for name in Descriptors._fields
    }
    columns[spec.target.column] = [labels.values[row].as_py() for row in rows]
    columns["image"] = [images[row] for row in rows]
    columns["fingerprint"] = [one.fingerprint for one in found]
    columns["group"] = [group_of(spec, files[row], groups[row]) for row in rows]
    columns["file"] = [files[row] for row in rows]
    schema = arrow_schema(spec)
    return pa.Table.from_arrays([pa.array(columns[field.name], field.type) for field in schema], schema=schema)


def _named_badly(image: str | None, told: str | None) -> tuple[str, str] | None:
    if told is not None:
        return "file", told
    if image is None:
        return "image", "is missing"
    return None if _DIGEST.fullmatch(image) else ("image", "is not the SHA-256 of a picture")


def _unlabelled(target: str, labels: Checked, place: int) -> tuple[str, str] | None:
    code = int(labels.reason[place])
    return None if code == FINE else (target, labels.reasons[code - 1])


def _refused(raw: RawFile, cells: RawFile, why: list[tuple[int, tuple[str, str]]]) -> tuple[Refusal, ...]:
    """Refused and malformed rows together, by row number."""
    texts = {name: text_or_none(column) for name, column in cells.columns.items()} if why else {}
    found = [
        Refusal(
            int(cells.rows[place]),
            column,
            reason,
            values={name: texts[name][place] for name in texts},
        )
        for place, (column, reason) in why
    ]
    found += [Refusal(bad.row, bad.column, bad.why(len(raw.header.names)), text=bad.text) for bad in raw.malformed]
    return tuple(sorted(found, key=lambda one: one.row))


def _column(cells: RawFile, name: str) -> pa.Array:
    found = cells.columns.get(name)
    return pa.nulls(len(cells.rows), pa.string()) if found is None else found


def _texts(cells: RawFile, name: str) -> list[str | None]:
    """A column as text, None where a cell is empty; of one that is not there, nothing."""
    return [text or None for text in text_of(_column(cells, name)).to_pylist()]
