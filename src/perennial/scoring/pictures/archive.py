"""A zip of pictures as rows: which entries count, what they are called, and what makes the whole of it refused."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

from perennial.errors import DataError
from perennial.scoring.pictures.rows import Fetch, Unusable
from perennial.scoring.pictures.zip_directory import Directory, entries_of, find_directory
from perennial.scoring.pictures.zip_entry import ZipEntry, unpacked
from perennial.scoring.source import Source

MAX_UNPACKED_BYTES = 40_000_000_000
MAX_RATIO = 100
FREE_BYTES = 100_000_000
"""From here on more than MAX_RATIO bytes for each packed one mean that the archive is there to do harm."""
LONGEST_NAME = 1000
SHOWN_NAME = 100
_CLUTTER = frozenset({"__MACOSX", "Thumbs.db", "desktop.ini"})
_OFFICE = "[Content_Types].xml"
_UNSEEN = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True)
class Looked:
    """What there is in an archive: so many ``rows``, and ``passed`` over what systems put there for themselves."""

    rows: int
    passed: int


@dataclass
class Window:
    """A stretch of a source that is fetched at once, when the first byte of it is asked for."""

    source: Source
    start: int
    end: int
    _data: bytes | None = field(default=None, repr=False)

    def read(self, start: int, end: int) -> bytes:
        """Bytes of the source; those that lie elsewhere too."""
        if start < self.start or end > self.end:
            return self.source.read(start, end)
        if self._data is None:
            self._data = self.source.read(self.start, self.end)
        return self._data[start - self.start : end - self.start]


def look_through(source: Source) -> Looked:
    """Read the whole directory of an archive, and nothing else.

    Raises:
        DataError: it is damaged, encrypted, a document, has too many entries, or unpacks to too much.
    """
    directory = find_directory(source)
    rows = passed = packed = size = encrypted = 0
    for entry in entries_of(source, directory):
        packed, size = packed + entry.packed, size + entry.size
        name = name_of(entry)
        if name == _OFFICE:
            raise DataError("is a document of an office program.", file=source.name, remedy="Zip the pictures alone.")
        if is_row(name):
            rows, encrypted = rows + 1, encrypted + entry.is_encrypted
        else:
            passed += not name.endswith("/")
    if packed > source.size:
        raise DataError(
            "has entries that overlap, as a zip bomb does.", file=source.name, remedy="Pack the pictures again."
        )
    if size > MAX_UNPACKED_BYTES:
        raise DataError(f"unpacks to over {MAX_UNPACKED_BYTES:,} bytes.", file=source.name, remedy="Split it.")
    if size > FREE_BYTES and size > source.size * MAX_RATIO:
        raise DataError(
            f"unpacks to over {MAX_RATIO} times its size, as a zip bomb does.",
            file=source.name,
            remedy="Save the pictures as JPEG or PNG.",
        )
    if rows and encrypted == rows:
        raise DataError("is encrypted.", file=source.name, remedy="Pack it without a password.")
    return Looked(rows, passed)


def rows_of(source: Source, directory: Directory | None = None) -> Iterator[ZipEntry]:
    """The entries that are rows, in the order of the directory. Raises DataError where that is damaged."""
    found = entries_of(source, directory or find_directory(source))
    return (entry for entry in found if is_row(name_of(entry)))


def fetching(entry: ZipEntry, window: Window) -> Fetch:
    """How the bytes of an entry are got."""
    if len(name_of(entry)) > LONGEST_NAME:
        return partial(_refuse, f"has a name of over {LONGEST_NAME:,} characters")
    return partial(unpacked, entry, window.read)


def name_of(entry: ZipEntry) -> str:
    """The name of an entry: UTF-8, or what DOS had before. It is shown, and never becomes a path."""
    name = entry.name.partition(b"\x00")[0]
    try:
        text = name.decode()
    except UnicodeDecodeError:
        text = name.decode("utf-8", "replace") if entry.is_unicode else name.decode("cp437")
    return _UNSEEN.sub("\ufffd", text)


def shown_name(entry: ZipEntry) -> str:
    """The same, cut where it is longer than any honest one."""
    name = name_of(entry)
    return name if len(name) <= LONGEST_NAME else name[: SHOWN_NAME - 1] + "…"


def is_row(name: str) -> bool:
    """Whether an entry is one: no folder, nor what systems put into folders for themselves."""
    return not name.endswith("/") and not any(is_clutter(part) for part in name.split("/"))


def is_clutter(part: str) -> bool:
    """Whether a file or folder of this name is none that its owner knows of."""
    return part in _CLUTTER or (part.startswith(".") and part not in (".", ".."))


def _refuse(reason: str) -> bytes:
    raise Unusable(reason)
