"""Files of this machine as results: each is written beside its place, and put there when it is whole."""

from __future__ import annotations

import io
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from perennial.errors import SettingsError
from perennial.serving.batch_job import OutputFormat

if TYPE_CHECKING:
    from typing_extensions import Buffer

FORMATS: dict[str, OutputFormat] = {".csv": "csv", ".parquet": "parquet", ".pq": "parquet"}
BUFFER = 1 << 20


@dataclass(frozen=True)
class Draft:
    """A file that is not whole yet: ``sink`` takes its bytes, :meth:`keep` puts it in its place.

    Writing raises SettingsError where the disk is full, or gone.
    """

    place: Path
    beside: Path
    sink: BinaryIO

    def keep(self) -> None:
        """Whatever stood in the place before is replaced, in one step. Raises SettingsError where it cannot be."""
        self.sink.close()
        try:
            self.beside.replace(self.place)
        except OSError as error:
            raise _unwritten(self.place, error) from error


class _File(io.FileIO):
    """A new file whose errors name the place it is for."""

    def __init__(self, path: Path, place: Path) -> None:
        super().__init__(path, "xb")
        self._place = place

    def write(self, data: Buffer, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            raise _unwritten(self._place, error) from error


@contextmanager
def draft(place: Path) -> Iterator[Draft]:
    """A file beside ``place``, or beside what that links to; removed when the block is left unless it was kept.

    Raises:
        SettingsError: it cannot be written there.
    """
    real = place.resolve()
    beside = real.with_name(f".{real.name}.{secrets.token_hex(4)}.part")
    try:
        sink = io.BufferedWriter(_File(beside, place), BUFFER)
    except OSError as error:
        raise _unwritable(place, _reason(error)) from error
    try:
        yield Draft(real, beside, sink)
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
        SettingsError: it is a folder or a device, its folder is missing or closed to us, or it is one of the others.
    """
    try:
        _check(place)
    except OSError as error:
        raise _unwritable(place, _reason(error)) from error
    for other in others:
        if place.resolve() == other.resolve() or (place.exists() and other.exists() and place.samefile(other)):
            raise SettingsError(f"{place} would replace {other}.", remedy="Name another file.")
    return place


def _check(place: Path) -> None:
    folder = place.resolve().parent
    if place.is_dir():
        raise _unwritable(place, "it is a folder")
    if place.exists() and not place.is_file():  # renaming would put a file in the place of the device itself
        raise _unwritable(place, "it is a device or a pipe")
    if not folder.is_dir():
        raise _unwritable(place, f"there is no folder {folder if place.is_symlink() else place.parent}")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise _unwritable(place, "permission denied")


def _unwritten(place: Path, error: OSError) -> SettingsError:
    return SettingsError(f"{place} could not be written ({_reason(error)}).", remedy="Look at the disk.")


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def _unwritable(place: Path, reason: str) -> SettingsError:
    return SettingsError(f"{place} cannot be written ({reason}).", remedy="Name a file in a folder that is there.")
