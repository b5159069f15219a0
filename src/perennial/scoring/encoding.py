"""Which encoding a text is in, told from its bytes."""

from __future__ import annotations

import pyarrow as pa

from perennial.scoring.results import Encoding

WINDOWS_WARNING = "It is not UTF-8 and was read as Windows-1252; check letters with accents."


def encoding_of(data: bytes) -> Encoding | None:
    """UTF-8 or Windows-1252, whichever most bytes beyond ASCII speak for; None where there are none.

    A few broken rows of UTF-8 do not make it another encoding. ``data`` ends between two characters.
    """
    if data.isascii():
        return None
    characters = data.decode("utf-8", "replace")
    broken = characters.count("\ufffd")
    fine = len(characters) - len(characters.encode("ascii", "ignore")) - broken
    return "utf-8" if fine >= broken else "cp1252"


def is_utf8(data: bytes) -> bool:
    """Whether bytes are UTF-8, without making a text of them."""
    if data.isascii():
        return True
    bounds = pa.py_buffer(len(data).to_bytes(8, "little").rjust(16, b"\x00"))
    try:
        pa.LargeStringArray.from_buffers(1, bounds, pa.py_buffer(data)).validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True
