"""The header of a CSV text, and the delimiter that makes the most of it."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.csv as pa_csv

from perennial.errors import DataError
from perennial.scoring.records import CsvRecords
from perennial.scoring.results import Encoding
from perennial.spec import ModelSpec

DELIMITERS = (",", ";", "\t", "|")
_ADVICE = re.compile(rb'"?sep=.?"?(\r\n|\r|\n)', re.IGNORECASE)
"""A first line that tells Excel which delimiter to take."""


@dataclass(frozen=True)
class CsvHeader:
    """``names`` are trimmed; ``end`` is the byte behind the header's line."""

    delimiter: str
    names: tuple[str, ...]
    end: int


def best_header(name: str, head: bytes, spec: ModelSpec, encoding: Encoding | None, *, whole: bool) -> CsvHeader:
    """The first line of ``head`` that is not blank, split by the delimiter that shows the most of the spec's columns.

    A line such as ``sep=;`` before it, which is there for Excel, is passed over.
    ``head`` is the beginning of the text, or all of it where ``whole``.

    Raises:
        DataError: it holds NUL bytes, does not end, or cannot be decoded.
    """
    wanted = {column.strip() for column in (*spec.features, spec.id or "", spec.time or "")} - {""}
    found = [_header(name, head, delimiter, encoding, whole=whole) for delimiter in DELIMITERS]
    return max(found, key=lambda header: (len(wanted.intersection(header.names)), len(header.names)))


def _header(name: str, head: bytes, delimiter: str, encoding: Encoding | None, *, whole: bool) -> CsvHeader:
    rule = CsvRecords(delimiter)
    before = len(head) - len(head.lstrip(b"\r\n"))
    if advice := _ADVICE.match(head, before):
        before = advice.end()
    text = head[before:]
    end = int(rule.ends(text)[0])
    line = text[:end]
    if b"\x00" in line:
        raise DataError("holds NUL bytes: it is no text.", file=name, remedy="Give CSV, JSON Lines or Parquet.")
    if rule.is_open(line):
        raise DataError("has a quote in its header that never closes.", file=name, remedy="Close or double it.")
    if end == len(text) and not whole and not line.endswith((b"\r", b"\n")):
        raise DataError(f"has a header of over {len(head):,} bytes.", file=name, remedy="Is it a table at all?")
    return CsvHeader(delimiter, _names(name, line, delimiter, encoding), before + end)


def _names(name: str, line: bytes, delimiter: str, encoding: Encoding | None) -> tuple[str, ...]:
    """As the parser of the rows reads them."""
    try:
        if encoding == "cp1252":
            line = line.decode("cp1252").encode()
        line.decode()
    except UnicodeDecodeError as error:
        raise DataError("has a header that cannot be decoded.", file=name, remedy="Save it as UTF-8.") from error
    line += b"\n"  # the parser wants one, and a blank line more is none
    table = pa_csv.read_csv(
        pa.py_buffer(line),
        read_options=pa_csv.ReadOptions(use_threads=False, block_size=len(line) + 1),
        parse_options=pa_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
    )
    return tuple(column.strip() for column in table.column_names)
