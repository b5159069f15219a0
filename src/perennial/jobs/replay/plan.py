"""How a file is played."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from perennial.errors import SettingsError


@dataclass(frozen=True)
class Plan:
    """A step of a replay, and how long after a row its truth is known.

    ``initial`` is what is there at first: a share of the rows, or a span from the first one. ``shuffle`` is the seed of
    a permutation of all columns but time and id; ``static`` whether the first version is also played alone.

    Raises:
        SettingsError: no time passes from step to step, or the initial part is no part.
    """

    every: timedelta
    label_delay: timedelta
    initial: float | timedelta = 0.2
    shuffle: int | None = None
    static: bool = True

    def __post_init__(self) -> None:
        if self.every <= timedelta(0):
            raise SettingsError("--every is no time at all.", remedy="Give a step such as 7d, 1d or 12h.")
        share = self.initial
        if not (share > timedelta(0) if isinstance(share, timedelta) else 0 < share < 1):
            remedy = "Give a share such as 0.2, or a span such as 90d."
            raise SettingsError("--initial is no part of the file.", remedy=remedy)


def duration_text(span: timedelta) -> str:
    """A span as it is given: in the largest unit that leaves a whole number."""
    seconds = int(span.total_seconds())
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds and seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"
