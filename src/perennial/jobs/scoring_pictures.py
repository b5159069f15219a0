"""Loose pictures under a source become one file to score: a listing, which is put once and pins each of them.

A listing claims its pictures: it is created under the next number or not at all, so two runs at once never list the
same picture. Until its result is noted it is read by every run, which leaves its pictures alone; from then on each of
them has its own receipt, as any file has.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Literal

from perennial import keys
from perennial.errors import AlreadyExistsError
from perennial.jobs.results import StepResult
from perennial.jobs.scoring_policy import MOST_FILES
from perennial.jobs.scoring_results import ScoringFile
from perennial.jobs.scoring_source import Found, Place, find, note_end
from perennial.jobs.side_by_side import side_by_side
from perennial.jobs.workspace import Workspace
from perennial.serving.batch_job import BatchInput, BatchResult

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"})
"""Of names that are taken for pictures here; what they hold is looked at when they are scored."""
_LISTING = "listing-"
_S3 = "s3://"
End = Literal["done", "failed"]


class ListedPicture(StepResult):
    """A line of a listing: where a picture lies, pinned, and how a listing of S3 tells this version of it."""

    file: str
    version: str | None
    etag: str
    size: int
    mark: str

    @classmethod
    def of(cls, picture: ScoringFile) -> ListedPicture:
        found = picture.input
        place = f"{_S3}{found.bucket}/{found.key}"
        return cls(file=place, version=found.version, etag=found.etag, size=found.size, mark=picture.mark)

    def picture(self) -> ScoringFile:
        """The picture as a file of its own."""
        bucket, _, key = self.file.removeprefix(_S3).partition("/")
        pinned = BatchInput(bucket=bucket, key=key, version=self.version, etag=self.etag, size=self.size)
        return ScoringFile(name=key, mark=self.mark, input=pinned)


@dataclass(frozen=True)
class Listing:
    """A listing whose result is not noted yet: the file that it is, and the marks of its pictures."""

    file: ScoringFile
    marks: frozenset[str]


def find_pictures(w: Workspace, place: Place, most: int = MOST_FILES) -> Found:
    """As :func:`perennial.jobs.scoring_source.find`, with all new pictures in one listing, which is put here.

    Listings of earlier runs that have no result yet are among what is new.
    """
    while True:
        listings, last = _open_listings(w)
        claimed = frozenset[str]().union(*(listing.marks for listing in listings))
        found = find(w, place, most, listed=claimed)
        loose = [file for file in found.new if is_picture_name(file.name)]
        others = [file for file in found.new if not is_picture_name(file.name)]
        waiting = [listing.file for listing in listings if not _settled(w, listing.file)]
        if not loose:
            return replace(found, new=(*waiting, *others))
        with suppress(AlreadyExistsError):  # by another run, whose pictures are left to it
            new = _put(w, last + 1, loose)
            w.progress(f"{len(loose):,} new pictures are listed in {new.name}")
            return replace(found, new=(*waiting, new, *others))


def note_ends(w: Workspace, file: ScoringFile, end: End) -> None:
    """Keep how a file came out, and of a listing first each of its pictures."""
    if file.mark.startswith(_LISTING):
        side_by_side(lambda picture: note_end(w, picture, end), _pictures(w, file.input.key))
    note_end(w, file, end)


def is_picture_name(name: str) -> bool:
    """Whether a file is called as pictures are."""
    return PurePosixPath(name).suffix.lower() in SUFFIXES


def _open_listings(w: Workspace) -> tuple[list[Listing], int]:
    """Those whose end is not noted, and the number of the last one there is."""
    m = w.spec.name
    told = {entry.key for entry in w.store.list(keys.batch_receipts(m))}
    prefix = keys.batch_listings(m)
    numbers = [int(PurePosixPath(entry.key).stem) for entry in w.store.list(prefix)]
    ends: tuple[End, End] = ("done", "failed")
    still = [
        number
        for number in numbers
        if not any(keys.batch_receipt(m, f"{_LISTING}{number:08d}", end) in told for end in ends)
    ]
    return side_by_side(lambda number: _listing(w, number), still), max(numbers, default=0)


def _listing(w: Workspace, number: int) -> Listing:
    file = _file(w, number)
    return Listing(file, frozenset(picture.mark for picture in _pictures(w, file.input.key)))


def _file(w: Workspace, number: int) -> ScoringFile:
    assert w.settings is not None  # its place was looked up by them
    key = keys.batch_listing(w.spec.name, number)
    head = w.store.head(key)
    pinned = BatchInput(bucket=w.settings.bucket, key=key, version=head.version, etag=head.etag, size=head.size)
    return ScoringFile(name=f"pictures-{number:08d}.jsonl", mark=f"{_LISTING}{number:08d}", input=pinned)


def _put(w: Workspace, number: int, pictures: Sequence[ScoringFile]) -> ScoringFile:
    """Raises AlreadyExistsError where the number is taken by another listing."""
    lines = "".join(ListedPicture.of(one).model_dump_json() + "\n" for one in pictures)
    w.store.put_new(keys.batch_listing(w.spec.name, number), lines.encode())
    return _file(w, number)


def _pictures(w: Workspace, key: str) -> list[ScoringFile]:
    """The pictures of a listing, as files of their own."""
    return [ListedPicture.model_validate_json(line).picture() for line in w.store.get(key).data.splitlines()]


def _settled(w: Workspace, file: ScoringFile) -> bool:
    """Whether a listing has its result; its end is noted then."""
    key = keys.batch_result(w.spec.name, file.input.work)
    found = w.store.find(key)
    if found is not None:
        note_ends(w, file, BatchResult.from_bytes(found.data, key).state)
    return found is not None
