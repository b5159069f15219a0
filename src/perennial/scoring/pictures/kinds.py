"""Whether a file is a zip of pictures or a picture, told from its first bytes."""

from __future__ import annotations

from perennial.errors import DataError
from perennial.images.kinds import READ, is_markup, kind_of
from perennial.scoring.pictures.archive import look_through
from perennial.scoring.results import Dialect
from perennial.scoring.source import Source

ZIPPED = (b"PK\x03\x04", b"PK\x05\x06")
_HEAD = 512
_TEXT_MARKS = (b"\x1f\x8b", b"\xff\xfe", b"\xfe\xff", b"PAR1", b"PARE")
"""How gzip, UTF-16 and Parquet begin, which hold NUL bytes and may hold a listing."""


def picture_dialect(source: Source) -> Dialect | None:
    """What a file for a model of pictures is; None for what may be a listing.

    Raises:
        DataError: it is an archive that is refused, or nothing that holds pictures.
    """
    head = source.read(0, _HEAD)
    if head.startswith(ZIPPED):
        found = look_through(source)
        passed = f"Passed over {found.passed:,} entries that systems put there for themselves, such as __MACOSX."
        return Dialect(format="zip", warnings=(passed,) if found.passed else ())
    if is_picture(head):
        return Dialect(format="picture")
    if is_markup(head) or (b"\x00" in head and not head.startswith(_TEXT_MARKS)):
        raise DataError(
            f"is none of {READ}, nor a zip or a listing of pictures.",
            file=source.name,
            remedy="Save the picture as JPEG or PNG.",
        )
    return None


def is_picture(head: bytes) -> bool:
    """Whether bytes begin as a picture does, and no text: ``BM`` may begin both."""
    kind = kind_of(head)
    return kind is not None and (kind.format != "BMP" or b"\x00" in head[:64])
