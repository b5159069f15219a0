"""Whether Arrow's parser of JSON takes some lines for what they are: it knows of no lines, and of more than JSON."""

from __future__ import annotations

import re

import numpy as np

from perennial.scoring.encoding import is_utf8
from perennial.scoring.json_line import BLANK, MAX_DEPTH

_CONSTANT = re.compile(rb"[:,\[]\s*-?(NaN|Inf)")
_OPEN, _CLOSE, _NEWLINE, _RETURN = b"{[", b"}]", 0x0A, 0x0D


def plain_lines(data: bytes) -> int:
    """How many lines there are that are not blank, 0 where one of them may be more to Arrow, or less, than it is.

    Where Arrow finds as many objects as this, each line is one.
    """
    rows = _objects(data)
    return 0 if not rows or not is_utf8(data) or _has_constants(data) or _may_be_deep(data, rows) else rows


def _objects(data: bytes) -> int:
    """How many lines there are, where each that is not blank begins with a brace and ends with one; else 0.

    Two objects in one line, or one in two, are then seen by their number: Arrow knows of no lines.
    """
    if not data or b"\x00" in data:
        return 0
    text = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(text == _NEWLINE)
    if not len(ends) or ends[-1] != len(data) - 1:
        ends = np.append(ends, len(data))
    starts = np.concatenate([[0], ends[:-1] + 1])
    lasts = ends - 1
    lasts = np.where((lasts > starts) & (text[lasts] == _RETURN), lasts - 1, lasts)
    fine = (lasts > starts) & (text[np.minimum(starts, len(data) - 1)] == _OPEN[0]) & (text[lasts] == _CLOSE[0])
    rows = len(starts)
    for place in np.flatnonzero(~fine).tolist():
        line = data[starts[place] : ends[place]].strip(BLANK)
        if not line:
            rows -= 1
        elif not (line.startswith(b"{") and line.endswith(b"}") and len(line) > 1):
            return 0
    return rows


def _has_constants(data: bytes) -> bool:
    """Whether a number may be one that JSON does not know, of which Arrow reads more than others do."""
    return (b"NaN" in data or b"Inf" in data) and _CONSTANT.search(data) is not None


def _may_be_deep(data: bytes, rows: int) -> bool:
    """Whether a line may be nested too deeply: brackets within texts count here, too."""
    if data.count(b"{") + data.count(b"[") <= rows + MAX_DEPTH:
        return False
    text = np.frombuffer(data, np.uint8)
    steps = np.isin(text, np.frombuffer(_OPEN, np.uint8)).astype(np.int32) - np.isin(
        text, np.frombuffer(_CLOSE, np.uint8)
    )
    depth = np.cumsum(steps)
    return bool(depth.max() - depth.min() > MAX_DEPTH)
