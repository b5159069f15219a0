"""Values as YAML that reads back as exactly the same, whatever a column or a category is called."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

_PLAIN = re.compile(r"^[A-Za-z_][A-Za-z0-9_ ()/+.%'&-]*$")
_WHOLE = re.compile(r"^(0|-?[1-9][0-9]{0,14})$")
_SPECIAL = frozenset(["y", "n", "yes", "no", "true", "false", "on", "off", "null", "none"])
_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")
WIDTH = 118


def text(value: str) -> str:
    """A string as a YAML scalar: bare where nothing could be misread, else in double quotes."""
    if _PLAIN.match(value) and value == value.strip() and value.lower() not in _SPECIAL:
        return value
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(value, ensure_ascii=False))


def label_text(value: str) -> str:
    """A class or category: as :func:`text`, but a whole number stands bare, since the spec reads 1 as "1"."""
    return value if _WHOLE.match(value) else text(value)


def comment(value: str) -> str:
    """Words for a comment: one line, nothing unprintable."""
    return text(value) if _UNPRINTABLE.search(value) or not value.isprintable() else value


def number(value: float) -> str:
    """A finite number, whole ones without a point."""
    if value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    mantissa, _, exponent = repr(value).partition("e")
    if not exponent:
        return mantissa
    return f"{mantissa if '.' in mantissa else mantissa + '.0'}e{int(exponent):+03d}"


def flow_list(labels: Iterable[str], start: int, indent: int = 4) -> str:
    """``[a, b]`` as it stands after ``start`` characters of a line, broken into lines of at most 118 characters."""
    lines = ["["]
    used = start + 1
    for piece in map(label_text, labels):
        if lines[-1] and used + len(piece) + 2 > WIDTH:
            lines[-1] = lines[-1].rstrip()
            lines.append("")
            used = indent
        lines[-1] += f"{piece}, "
        used += len(piece) + 2
    return ("\n" + " " * indent).join(lines).removesuffix(", ") + "]"
