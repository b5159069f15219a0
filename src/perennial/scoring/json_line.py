"""One line of JSON Lines -> its values, or why it has none, by the parser that reads requests to the endpoint."""

from __future__ import annotations

import json
import re
from collections import Counter

from pydantic_core import from_json

from perennial.scoring.results import Encoding

MAX_DEPTH = 200
"""Objects and arrays within one another beyond this are no JSON to that parser."""
BLANK = b" \t\r\n"
NAN = "is NaN, which JSON has no word for; write null where there is no value"

_BOM = b"\xef\xbb\xbf"
_PLACE = re.compile(r" at line \d+ column (\d+)$")
_NESTED = {list: "an array", dict: "an object"}


class Unreadable(Exception):
    """A line that is no record. ``column`` is the one to blame, where it is one."""

    def __init__(self, reason: str, column: str | None = None) -> None:
        super().__init__(reason)
        self.reason, self.column = reason, column


def text_of_line(line: bytes, encoding: Encoding | None) -> str:
    """A line as text, without a byte-order mark. Raises Unreadable."""
    try:
        return line.removeprefix(_BOM).decode("cp1252" if encoding == "cp1252" else "utf-8")
    except UnicodeDecodeError as error:
        called = "Windows-1252" if encoding == "cp1252" else "UTF-8"
        raise Unreadable(f"is not {called} (byte 0x{error.object[error.start]:02x})") from None


def record_of(text: str) -> dict[str, object]:
    """The object that a line holds; of a name given twice the last value. Raises Unreadable."""
    try:
        value = from_json(text)
    except ValueError as error:
        raise Unreadable("is not JSON ({})".format(_PLACE.sub(r" at character \1", str(error)))) from None
    if not isinstance(value, dict):
        raise Unreadable("is JSON, but no object")
    return value


def cells_of(text: str, wanted: frozenset[str], shown: frozenset[str]) -> dict[str, object]:
    """The values that a line has for the ``wanted`` names: each a number, a text, a truth value or None.

    Of the names in ``shown``, which nothing is computed from, anything else is given as JSON text.

    Raises:
        Unreadable: it is no JSON object, or a wanted name stands there twice, or its value is nested or NaN.
    """
    record = record_of(text)
    if text.count(":") != len(record):  # each name has one, so where there are no more, none is repeated
        _refuse_repeated(text, wanted)
    cells = {name: value for name, value in record.items() if name in wanted}
    for name, value in cells.items():
        if value != value:
            raise Unreadable(NAN, name)
        if isinstance(value, (list, dict)):
            if name not in shown:
                raise Unreadable(f"holds {_NESTED[type(value)]}, not a single value", name)
            cells[name] = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return cells


def _refuse_repeated(text: str, wanted: frozenset[str]) -> None:
    pairs: list[tuple[str, object]] = json.loads(text, object_pairs_hook=list, parse_int=float)
    for name, times in Counter(name for name, _ in pairs).items():
        if times > 1 and name in wanted:
            raise Unreadable("is given more than once", name)
