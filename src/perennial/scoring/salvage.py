"""A block with rows that are no text: those are taken out, so that the others can be read."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

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
    with_nul: list[tuple[int, str]] = []
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
            with_nul.append((row, text))
        else:
            kept.append(text.encode())
    blamed = _blamed([text for _, text in with_nul], delimiter, names)
    for (row, text), column in zip(with_nul, blamed, strict=True):
        bad.append(Malformed(row, 0, text.rstrip("\r\n")[:SHOWN], NUL, column))
    return b"".join(kept), tuple(sorted(bad, key=lambda one: one.row))


def _undecodable(row: int, record: bytes, codec: str, error: UnicodeDecodeError) -> Malformed:
    called = "Windows-1252" if codec == "cp1252" else "UTF-8"
    shown = record.decode(codec, "replace").rstrip("\r\n")[:SHOWN]
    return Malformed(row, 0, shown, f"is not {called} (byte 0x{record[error.start]:02x})")


def _blamed(records: Sequence[str], delimiter: str, names: Sequence[str]) -> list[str | None]:
    """The first column of each record that holds a NUL byte; None where it has not one cell a column."""
    lines = "".join(text if text.endswith(("\r", "\n")) else text + "\n" for text in records).encode()
    found = csv_table(lines, [pa.string()] * len(names), delimiter=delimiter)
    blamed: list[str | None] = [None] * len(records)
    for name, cells in reversed(list(zip(names, found.table.columns, strict=True))):
        for row in found.numbers[pc.match_substring(cells, "\x00").to_numpy()].tolist():
            blamed[row - 1] = name
    return blamed
