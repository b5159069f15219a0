"""Schedules of specs as EventBridge Scheduler writes them: six fields, days of the week from 1, and never both days."""

from __future__ import annotations

from collections.abc import Iterator

PRESETS = {
    "@once": (),
    "@hourly": ("cron(0 * * * ? *)",),
    "@daily": ("cron(0 0 * * ? *)",),
    "@weekly": ("cron(0 0 ? * SUN *)",),
    "@monthly": ("cron(0 0 1 * ? *)",),
    "@quarterly": ("cron(0 0 1 1,4,7,10 ? *)",),
    "@yearly": ("cron(0 0 1 1 ? *)",),
}
_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")


def expressions(schedule: str) -> tuple[str, ...]:
    """What means the same as a schedule that :func:`perennial.schedule.schedule` has checked, in UTC.

    There are two where it names days of the month and of the week, of which cron takes either; none for ``@once``.
    """
    if schedule in PRESETS:
        return PRESETS[schedule]
    minute, hour, day, month, weekday = schedule.split()
    at = f"{_numbers(minute, 0, 59)} {_numbers(hour, 0, 23)}"
    months = _numbers(month, 1, 12, _MONTHS)
    days = _numbers(day, 1, 31)
    weekdays = sorted({number % 7 for number in _values(weekday, 0, 7, _DAYS)})
    by_week = f"cron({at} ? {months} {','.join(_DAYS[number] for number in weekdays)} *)"
    by_month = f"cron({at} {days} {months} ? *)"
    if len(weekdays) == len(_DAYS):
        return (by_month,)
    return (by_week,) if days == "*" else (by_month, by_week)


def _numbers(field: str, least: int, greatest: int, names: tuple[str, ...] = ()) -> str:
    """A field as a list of numbers, or a star for all of them."""
    found = sorted(set(_values(field, least, greatest, names)))
    return "*" if len(found) == greatest - least + 1 else ",".join(map(str, found))


def _values(field: str, least: int, greatest: int, names: tuple[str, ...] = ()) -> Iterator[int]:
    for item in field.split(","):
        span, _, step = item.partition("/")
        first, _, last = span.partition("-")
        if span == "*":
            begin, end = least, greatest
        else:
            begin = _number(first, least, names)
            end = _number(last, least, names) if last else greatest if step else begin
        yield from range(begin, end + 1, int(step or 1))


def _number(text: str, least: int, names: tuple[str, ...]) -> int:
    return names.index(text.upper()) + least if text.upper() in names else int(text)
