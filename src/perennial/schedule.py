"""When something is to happen: a preset such as ``@daily``, or cron's five fields. No mistake reaches a scheduler."""

from __future__ import annotations

import re

PRESETS = ("@once", "@hourly", "@daily", "@weekly", "@monthly", "@quarterly", "@yearly")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
# name of the field, least and greatest value, names for values from the least on
_FIELDS: tuple[tuple[str, int, int, tuple[str, ...]], ...] = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of the month", 1, 31, ()),
    ("month", 1, 12, _MONTHS),
    ("day of the week", 0, 7, _DAYS),
)
_ITEM = re.compile(r"(?:\*|(?P<first>\w+)(?:-(?P<last>\w+))?)(?:/(?P<step>[1-9]\d*))?")


def schedule(text: str) -> str:
    """Check a schedule and return it. Raises ValueError naming the field at fault."""
    if text in PRESETS:
        return text
    fields = text.split()
    if text.startswith("@") or len(fields) != len(_FIELDS):
        raise ValueError(f"is no schedule; use one of {', '.join(PRESETS)}, or cron's five fields such as '0 6 * * 1'")
    for field, (name, least, greatest, names) in zip(fields, _FIELDS, strict=True):
        for item in field.split(","):
            if not _valid(item, least, greatest, names):
                raise ValueError(
                    f"{item!r} is no {name}, which is {least} to {greatest}, * or a list, range or step of these"
                )
    return text


def _valid(item: str, least: int, greatest: int, names: tuple[str, ...]) -> bool:
    match = _ITEM.fullmatch(item)
    if match is None or int(match["step"] or 1) > greatest:
        return False
    ends = [_number(end, least, names) for end in (match["first"], match["last"]) if end is not None]
    known = [end for end in ends if end is not None and least <= end <= greatest]
    return len(known) == len(ends) and known == sorted(known)


def _number(text: str, least: int, names: tuple[str, ...]) -> int | None:
    if text.lower() in names:
        return names.index(text.lower()) + least
    return int(text) if text.isascii() and text.isdigit() else None
