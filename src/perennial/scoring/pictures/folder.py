"""A folder of this machine as a listing of its files."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from pathlib import Path

from perennial.errors import DataError
from perennial.scoring.pictures.archive import is_clutter
from perennial.scoring.pictures.listing import listing_bytes
from perennial.scoring.pictures.zip_directory import MAX_ENTRIES
from perennial.scoring.source import BytesSource


def folder_source(folder: Path, leave_out: Collection[Path] = ()) -> BytesSource:
    """The files in a folder, those in folders within it too, by their paths, in order.

    Hidden ones are passed over, and links that lead out of it; so are those to ``leave_out``.

    Raises:
        DataError: there are more than are scored at once.
    """
    root = folder.resolve()
    out = {path.resolve() for path in leave_out}
    names = sorted(path.relative_to(folder).as_posix() for path in _files(folder) if _belongs(path, root, out))
    if len(names) > MAX_ENTRIES:
        raise DataError(
            f"holds {len(names):,} files, of at most {MAX_ENTRIES:,}.", file=str(folder), remedy="Score it in parts."
        )
    return BytesSource(str(folder), listing_bytes(names))


def _files(folder: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not is_clutter(name)]
        yield from (Path(place) / name for name in files if not is_clutter(name))


def _belongs(path: Path, root: Path, out: Collection[Path]) -> bool:
    real = path.resolve()
    return real.is_relative_to(root) and real not in out
