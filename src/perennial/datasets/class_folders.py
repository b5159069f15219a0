"""A folder of class folders: which pictures lie in it, and what each is called by the folder it is in."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from perennial.datasets.listing import Failure
from perennial.errors import DataError


@dataclass(frozen=True)
class Place:
    """Where one picture is to be had, and what is known of it.

    ``file`` is what it is called: a path relative to its folder, or an address. ``where`` is what is read: a file of
    this machine, a key of the bucket, or the address. ``row`` is that of the listing which names it.
    """

    file: str
    where: Path | str
    label: str | None
    group: str | None = None
    row: int | None = None


def pictures_in(folder: Path, classes: Sequence[str] = ()) -> tuple[list[Place], list[Failure]]:
    """Every file below a folder, by its path, with its class; hidden files and folders are passed over.

    Folders below a class folder belong to it. Where ``classes`` are declared, the innermost folder of such a name
    counts, so that ``train/cat/1.png`` is a cat. Names that look alike in Unicode are one class: systems write them in
    different ways. Links to folders and links that leave ``folder`` are not followed.

    Raises:
        DataError: the folder cannot be read.
    """
    places: list[Place] = []
    failures: list[Failure] = []
    inside = folder.resolve()
    for path in _walk(folder):
        name = _text(path.relative_to(folder))
        problem = _unfit(path, inside)
        label = class_of(PurePosixPath(name).parts[:-1], classes)
        if problem is None and not _is_text(path.relative_to(folder).parent):
            problem = "lies in a folder whose name is no UTF-8"
        if problem is None and label is None:
            problem = "lies in no class folder"
        if problem is not None:
            failures.append(Failure(file=name, reason=problem))
        else:
            places.append(Place(name, path, label))
    return sorted(places, key=lambda place: place.file), sorted(failures, key=lambda one: one.file)


def class_of(folders: Sequence[str], classes: Sequence[str] = ()) -> str | None:
    """The class by the folders that a picture lies in, outermost first; None where it lies in none."""
    spelled = {unicodedata.normalize("NFC", name): name for name in classes}
    found = [unicodedata.normalize("NFC", name) for name in folders]
    declared = [spelled[name] for name in found if name in spelled]
    if declared:
        return declared[-1]
    return found[0] if found else None


def _walk(folder: Path) -> Iterator[Path]:
    def fail(error: OSError) -> None:
        reason = (error.strerror or "unreadable").lower()
        raise DataError(f"cannot be read ({reason}).", file=str(error.filename), remedy="Check the path.") from error

    for at, folders, files in os.walk(folder, onerror=fail):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(at, name) for name in folders if Path(at, name).is_symlink())
        yield from (Path(at, name) for name in files if not name.startswith("."))


def _unfit(path: Path, inside: Path) -> str | None:
    """Why a path is not read; None for a plain file."""
    if path.is_symlink():
        try:
            goal = path.resolve(strict=True)
        except (OSError, RuntimeError):
            return "is a link that leads nowhere"
        if not goal.is_relative_to(inside):
            return "is a link that leaves the folder"
        if goal.is_dir():
            return "is a link to a folder, which is not followed"
    return None if path.is_file() else "is no plain file"


def _is_text(path: Path) -> bool:
    try:
        path.as_posix().encode()
    except UnicodeEncodeError:  # its bytes are kept as surrogates
        return False
    return True


def _text(path: Path) -> str:
    """A path as text; what is no UTF-8 in it shows as replaced."""
    return os.fsencode(path.as_posix()).decode("utf-8", "replace")
