"""From a file to the bytes of its CSV or Parquet, or a plain word on why it is neither."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from perennial.errors import DataError

MAX_BYTES = 2_000_000_000
PIECE_BYTES = 4 << 20
_GZIP = 31  # zlib's name for a window of 2^15 bytes and a gzip header


def read_local(path: Path) -> bytes:
    """Read a file of this machine. Raises DataError when it is missing, a folder, unreadable or too large."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise DataError(f"is larger than {MAX_BYTES:,} bytes.", file=str(path), remedy="Split it into several.")
        return path.read_bytes()
    except OSError as error:
        reason = (error.strerror or "unreadable").lower()
        raise DataError(f"cannot be read ({reason}).", file=str(path), remedy="Check the path.") from error


def unpacked(name: str, data: bytes) -> bytes:
    """The file behind any gzip. An empty file or a zip archive ends here."""
    if is_gzip(data):
        pieces: list[bytes] = []
        size = 0
        for piece in inflated(name, [data]):
            pieces.append(piece)
            size += len(piece)
            if size > MAX_BYTES:
                raise DataError(f"unpacks to over {MAX_BYTES:,} bytes.", file=name, remedy="Split it into several.")
        data = b"".join(pieces)
    if not data.strip():
        raise DataError("is empty.", file=name, remedy="Give a CSV with a header and rows, or a Parquet file.")
    if data[:4] == b"PK\x03\x04":
        raise DataError("is a zip archive or an Excel workbook.", file=name, remedy="Save it as CSV in UTF-8.")
    return data


def is_gzip(data: bytes) -> bool:
    return data[:2] == b"\x1f\x8b"


def inflated(name: str, packed: Iterable[bytes]) -> Iterator[bytes]:
    """What gzip holds, a piece of at most PIECE_BYTES at a time; several gzips one behind the other are one.

    Raises:
        DataError: it is damaged or ends too early, or something else follows.
    """
    member = zlib.decompressobj(_GZIP)
    begun = False
    for data in packed:
        while data:
            if not begun and not (data := data.lstrip(b"\x00")):  # which pads what was written to a tape
                break
            begun = True
            try:
                piece = member.decompress(data, PIECE_BYTES)
            except zlib.error as error:
                raise _damaged(name) from error
            if piece:
                yield piece
            data = member.unconsumed_tail
            if member.eof:
                data, member, begun = member.unused_data, zlib.decompressobj(_GZIP), False
    if begun:
        raise _damaged(name)


def _damaged(name: str) -> DataError:
    return DataError("is damaged gzip.", file=name, remedy="Compress or transfer it again.")


def is_parquet(data: bytes) -> bool:
    return data[:4] == b"PAR1"


def csv_text(name: str, data: bytes) -> bytes:
    """CSV bytes proven to be UTF-8, without byte-order mark and leading blank lines."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise DataError("is UTF-16 text.", file=name, remedy="Save it as UTF-8.")
    data = data.removeprefix(b"\xef\xbb\xbf")
    try:
        data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"is not UTF-8 text (byte 0x{data[error.start]:02x} on line {line}).",
            file=name,
            remedy="Save it as UTF-8, for example with `iconv -f WINDOWS-1252 -t UTF-8`.",
        ) from error
    if b"\x00" in data:
        raise DataError("holds NUL bytes: it is no text file.", file=name, remedy="Give CSV or Parquet.")
    return data.lstrip(b"\r\n")
