"""From a file to the bytes of its CSV or Parquet, or a plain word on why it is neither."""

from __future__ import annotations

import gzip
import io
import zlib
from pathlib import Path

from perennial.errors import DataError

MAX_BYTES = 2_000_000_000


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
    if data[:2] == b"\x1f\x8b":
        try:
            with gzip.open(io.BytesIO(data)) as stream:
                data = stream.read(MAX_BYTES + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise DataError("is damaged gzip.", file=name, remedy="Compress or transfer it again.") from error
        if len(data) > MAX_BYTES:
            raise DataError(f"unpacks to over {MAX_BYTES:,} bytes.", file=name, remedy="Split it into several.")
    if not data.strip():
        raise DataError("is empty.", file=name, remedy="Give a CSV with a header and rows, or a Parquet file.")
    if data[:4] == b"PK\x03\x04":
        raise DataError("is a zip archive or an Excel workbook.", file=name, remedy="Save it as CSV in UTF-8.")
    return data


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
