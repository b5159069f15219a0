"""What a file for a model of pictures is: a zip of them, one, or a listing. Told from its bytes."""

from __future__ import annotations

from collections.abc import Callable

from perennial.errors import DataError
from perennial.images.kinds import READ, begins_as_picture, is_markup
from perennial.scoring.pictures.archive import look_through
from perennial.scoring.pictures.listing import listing_of
from perennial.scoring.results import Dialect
from perennial.scoring.source import Source
from perennial.spec import ModelSpec

ZIPPED = (b"PK\x03\x04", b"PK\x05\x06")
_HEAD = 512
_TEXT_MARKS = (b"\x1f\x8b", b"\xff\xfe", b"\xfe\xff", b"PAR1", b"PARE")
"""How gzip, UTF-16 and Parquet begin, which hold NUL bytes and may hold a listing."""


def sniff_pictures(source: Source, spec: ModelSpec, as_table: Callable[[], Dialect]) -> Dialect:
    """What a file for a model of pictures is; ``as_table`` finds out how a listing is written.

    Raises:
        DataError: it is an archive that is refused, a table without the places of pictures, or nothing of the kind.
    """
    head = source.read(0, _HEAD)
    if head.startswith(ZIPPED):
        passed = look_through(source).passed
        warning = f"Passed over what systems put there for themselves, such as __MACOSX: {passed:,} of its entries."
        return Dialect(format="zip", warnings=(warning,) if passed else ())
    if begins_as_picture(head):
        return Dialect(format="picture")
    if is_markup(head) or (b"\x00" in head and not head.startswith(_TEXT_MARKS)):
        raise DataError(
            f"is none of {READ}, nor a zip or a listing of pictures.",
            file=source.name,
            remedy="Save the picture as JPEG or PNG.",
        )
    return listing_of(source.name, as_table(), spec)
