"""Two lines over time as an SVG of text: no library, no script, the same bytes for the same numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape

WIDTH, HEIGHT = 960, 380
LEFT, RIGHT, TOP, BOTTOM = 64, 48, 36, 56
TICKS = 5


@dataclass(frozen=True)
class Line:
    """A named series; None is a gap. ``style`` names its class in the page's stylesheet."""

    name: str
    style: str
    values: Sequence[float | None]


def line_chart(title: str, times: Sequence[datetime], lines: Sequence[Line], marks: Iterable[int]) -> str:
    """Lines over ``times``, one value for each, with a mark on the axis at some of them (by position).

    Returns:
        An SVG element whose colours come from the page it stands in.
    """
    values = [value for line in lines for value in line.values if value is not None]
    ticks = nice_ticks(min(values, default=0.0), max(values, default=1.0))
    low, high = ticks[0], ticks[-1]
    wide, tall = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    begin, span = times[0], max((times[-1] - times[0]).total_seconds(), 1.0)

    def x(time: datetime) -> str:
        return f"{LEFT + wide * (time - begin).total_seconds() / span:.1f}"

    def y(value: float) -> str:
        return f"{TOP + tall * (high - value) / (high - low):.1f}"

    parts = [f"<title>{escape(title)}</title>"]
    for tick in ticks:
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(tick)}" y2="{y(tick)}"/>')
        parts.append(f'<text class="end" x="{LEFT - 8}" y="{y(tick)}" dy=".32em">{tick:g}</text>')
    for time in _spread(times):
        parts.append(f'<text class="mid" x="{x(time)}" y="{HEIGHT - BOTTOM + 32}">{time:%Y-%m-%d}</text>')
    base = HEIGHT - BOTTOM
    for place in marks:
        parts.append(f'<line class="mark" x1="{x(times[place])}" x2="{x(times[place])}" y1="{base}" y2="{base + 10}"/>')
    for line in lines:
        points = [
            None if value is None else f"{x(at)},{y(value)}" for at, value in zip(times, line.values, strict=True)
        ]
        parts.append(f'<path class="{line.style}" d="{_path(points)}"/>')
    parts += _legend(lines)
    described = escape(f"{title}: {' and '.join(line.name for line in lines)}, {len(times)} periods", quote=True)
    box = f"0 0 {WIDTH} {HEIGHT}"
    return f'<svg viewBox="{box}" role="img" aria-label="{described}">{"".join(parts)}</svg>'


def nice_ticks(low: float, high: float) -> list[float]:
    """About five round numbers that reach from ``low`` to ``high``, which may be the same."""
    span = (high - low) or abs(high) or 1.0
    raw = span / (TICKS - 1)
    size = 10.0 ** math.floor(math.log10(raw))
    step = next(size * factor for factor in (1, 2, 2.5, 5, 10) if size * factor >= raw * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(place * step, 12) for place in range(first, max(last, first + 1) + 1)]


def _path(points: Sequence[str | None]) -> str:
    """Lines between neighbours; a point without neighbours is drawn as a dot, by a line of no length."""
    found, drawing = [], False
    for place, point in enumerate(points):
        if point is not None:
            found.append(f"{'L' if drawing else 'M'}{point}")
            if not drawing and (place + 1 == len(points) or points[place + 1] is None):
                found.append(f"L{point}")
        drawing = point is not None
    return "".join(found)


def _legend(lines: Sequence[Line]) -> list[str]:
    parts, at = [], LEFT
    for line in lines:
        parts.append(f'<path class="{line.style}" d="M{at},{TOP - 20}h28"/>')
        parts.append(f'<text x="{at + 36}" y="{TOP - 20}" dy=".32em">{escape(line.name)}</text>')
        at += 70 + 8 * len(line.name)
    return parts


def _spread(times: Sequence[datetime]) -> list[datetime]:
    """Up to six times, evenly chosen, the first and last among them."""
    count = min(6, len(times))
    places = {round(place * (len(times) - 1) / max(count - 1, 1)) for place in range(count)}
    return [times[place] for place in sorted(places)]
