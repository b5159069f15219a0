"""Files of this machine as results: each is written beside its place, and put there when it is whole."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from perennial.errors import SettingsError
from perennial.serving.batch_job import OutputFormat

FORMATS: dict[str, OutputFormat] = {".csv": "csv", ".parquet": "parquet", ".pq": "parquet"}
BUFFER = 1 << 20


@dataclass(frozen=True)
class Draft:
    """A file that is not whole yet: ``sink`` takes its bytes, :meth:`keep` puts it in its place."""

    place: Path
    sink: BinaryIO

    def keep(self) -> None:
        """Whatever stood in the place before is replaced, in one step."""
        self.sink.close()
        Path(self.sink.name).replace(self.place)


@contextmanager
def draft(place: Path) -> Iterator[Draft]:
    """A file beside ``place``, removed when the block is left unless it was kept.

    Raises:
        SettingsError: it cannot be written there.
    """
    beside = place.with_name(f".{place.name}.{secrets.token_hex(4)}.part")
    try:
        sink = beside.open("xb", buffering=BUFFER)
    except OSError as error:
        raise _unwritable(place, (error.strerror or "refused").lower()) from error
    try:
        yield Draft(place, sink)
    finally:
        try:
            sink.close()
        finally:
            beside.unlink(missing_ok=True)


def format_of(place: Path, asked: OutputFormat | None = None) -> OutputFormat:
    """How a file is to be written: as asked, else as its name says.

    Raises:
        SettingsError: the name says nothing that can be written.
    """
    found = asked or FORMATS.get(place.suffix.lower())
    if found is None:
        raise SettingsError(
            f"{place}: the name does not say CSV or Parquet.",
            remedy="End it in .csv or .parquet, or give --format (a result is never gzipped; Parquet is compressed).",
        )
    return found


def writable(place: Path, *others: Path) -> Path:
    """A place for a file, looked at before time is spent; ``others`` are files it must not replace.

    Raises:
        SettingsError: it is a folder, its folder is missing or closed to us, or it is one of the others.
    """
    if place.is_dir():
        raise _unwritable(place, "it is a folder")
    if not place.parent.is_dir():
        raise _unwritable(place, f"there is no folder {place.parent}")
    if not os.access(place.parent, os.W_OK | os.X_OK):
        raise _unwritable(place, "permission denied")
    for other in others:
        if place.resolve() == other.resolve() or (place.exists() and other.exists() and place.samefile(other)):
            raise SettingsError(f"{place} would replace {other}.", remedy="Name another file.")
    return place


def _unwritable(place: Path, reason: str) -> SettingsError:
    return SettingsError(f"{place} cannot be written ({reason}).", remedy="Name a file in a folder that is there.")
