"""A listing that people or other tools make: paths or addresses of pictures, each with its label."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from perennial.datasets.addresses import shown
from perennial.datasets.class_folders import Place
from perennial.datasets.listing import Failure
from perennial.datasets.reading import RawFile, read_file
from perennial.datasets.text import holds_single_values, is_missing_mark
from perennial.datasets.unpack import csv_text, unpacked
from perennial.datasets.validate import missing_column, nested_column, text_or_none
from perennial.errors import DataError
from perennial.images.kinds import begins_as_picture
from perennial.spec import ModelSpec
from perennial.spec_features import label
from perennial.spec_images import LISTING_COLUMNS

SUFFIXES = (".csv", ".tsv", ".parquet", ".csv.gz", ".tsv.gz")
_ADDRESS = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*://")
_READ = ("http://", "https://", "s3://")
Locate = Callable[[str], Path | str]
"""Where a path of a listing is read. Raises DataError where it may not be."""


def is_listing_name(name: str) -> bool:
    """Whether a file's name says that it lists pictures."""
    return name.lower().endswith(SUFFIXES)


def listed_places(name: str, data: bytes, spec: ModelSpec, locate: Locate) -> tuple[list[Place], list[Failure]]:
    """The pictures that a CSV, TSV or Parquet listing names, row by row, and the rows that name none.

    Raises:
        DataError: the file cannot be read, or lacks the column of the pictures, the target or the group.
    """
    assert spec.image is not None
    if begins_as_picture(data):
        raise DataError(
            "is a picture.", file=name, remedy="Name a folder with a folder for each class, or a listing of pictures."
        )
    raw = read_file(name, _with_commas(name, data))
    column = _place_column(raw, spec)
    paths, labels = _texts(raw, column), _texts(raw, spec.target.column, spec.target.classes or ())
    groups = [None] * len(paths) if spec.image.group is None else _texts(raw, spec.image.group)
    places: list[Place] = []
    failures = [
        Failure(file=bad.text[:200], reason=bad.why(len(raw.header.names)), row=bad.row) for bad in raw.malformed
    ]
    for row, path, named, group in zip(raw.rows.tolist(), paths, labels, groups, strict=True):
        try:
            if path is None:
                raise DataError("names no picture")
            places.append(Place(shown(path), _where(path, locate), named, group, row))
        except DataError as error:
            failures.append(Failure(file=shown(path or ""), reason=error.message, row=row))
    return places, failures


def _where(path: str, locate: Locate) -> Path | str:
    if not _ADDRESS.match(path):
        return locate(path)
    scheme = path[: path.index("://") + 3].lower()
    if scheme not in _READ:
        raise DataError("is no address of http, https or s3")
    return scheme + path[len(scheme) :]


def _place_column(raw: RawFile, spec: ModelSpec) -> str:
    """The column of paths or addresses: as the spec names it, else the first of the usual names."""
    assert spec.image is not None
    wanted = [spec.image.column] if spec.image.column else list(LISTING_COLUMNS)
    for name in (*wanted, spec.target.column, spec.image.group):
        if name is not None and name in raw.columns and not holds_single_values(raw.columns[name]):
            raise nested_column(raw.name, name, raw.columns[name].type)
    found = next((name for name in wanted if name in raw.header.names), None)
    if found is None:
        raise missing_column(raw.name, raw.header, wanted[0], "of pictures")
    for name, role in ((spec.target.column, "the target"), (spec.image.group, "the group")):
        if name is not None and name.strip() not in raw.header.names:
            raise missing_column(raw.name, raw.header, name, role)
    return found


def _texts(raw: RawFile, column: str, kept: Sequence[str] = ()) -> list[str | None]:
    """Cells as trimmed text, None where one is missing; what is ``kept`` is no mark of that."""
    cells = [None if cell is None else cell.strip() for cell in text_or_none(raw.columns[column.strip()])]
    return [None if cell is None or (is_missing_mark(cell) and label(cell) not in kept) else cell for cell in cells]


def _with_commas(name: str, data: bytes) -> bytes:
    """A listing separated by tabs, as its name says, with commas instead."""
    if not name.lower().removesuffix(".gz").endswith(".tsv"):
        return data
    text = csv_text(name, unpacked(name, data)).decode()
    sink = io.StringIO(newline="")
    try:
        csv.writer(sink, lineterminator="\n").writerows(csv.reader(io.StringIO(text, newline=""), delimiter="\t"))
    except csv.Error as error:
        raise DataError(f"cannot be read as TSV ({error}).", file=name, remedy="Check its quotes.") from error
    return sink.getvalue().encode()
