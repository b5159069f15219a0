"""A block with rows that are no text: those are taken out, so that the others can be read."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from perennial.datasets.csv_table import Malformed, csv_table
from perennial.scoring.records import CsvRecords
from perennial.scoring.results import Encoding

NUL = "holds a NUL byte"
SHOWN = 1000


def salvage(
    data: bytes, encoding: Encoding | None, delimiter: str, names: Sequence[str]
) -> tuple[bytes, tuple[Malformed, ...]]:
    """The rows of a block that can be read, as UTF-8, and those that cannot, numbered as all of them are.

    A row cannot be read where it holds a NUL byte or bytes its encoding has no character for.
    """
    codec = "cp1252" if encoding == "cp1252" else "utf-8"
    kept: list[bytes] = []
    bad: list[Malformed] = []
    row = start = 0
    for end in CsvRecords(delimiter).ends(data).tolist():
        record, start = data[start:end], end
        if not record.strip(b"\r\n"):
            continue
        row += 1
        try:
            text = record.decode(codec)
        except UnicodeDecodeError as error:
            bad.append(_undecodable(row, record, codec, error))
            continue
        if "\x00" in text:
            bad.append(Malformed(row, 0, text.rstrip("\r\n")[:SHOWN], NUL, _column(text, delimiter, names)))
        else:
            kept.append(text.encode())
    return b"".join(kept), tuple(bad)


def _undecodable(row: int, record: bytes, codec: str, error: UnicodeDecodeError) -> Malformed:
    called = "Windows-1252" if codec == "cp1252" else "UTF-8"
    shown = record.decode(codec, "replace").rstrip("\r\n")[:SHOWN]
    return Malformed(row, 0, shown, f"is not {called} (byte 0x{record[error.start]:02x})")


def _column(record: str, delimiter: str, names: Sequence[str]) -> str | None:
    """The first column that holds a NUL byte, where the row has one cell a column."""
    cells = csv_table(record.encode(), [pa.string()] * len(names), delimiter=delimiter).table.to_pylist()
    return next((name for row in cells for name, cell in zip(names, row.values(), strict=True) if "\x00" in cell), None)
