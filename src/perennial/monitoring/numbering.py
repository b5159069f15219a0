"""What the running numbers of the servers tell: how much was served, and what was lost on the way."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field

import numpy as np

from perennial.serving.captured import CapturedPrediction


@dataclass
class _Instance:
    numbers: array[int] = field(default_factory=lambda: array("q"))
    inside: array[int] = field(default_factory=lambda: array("q"))
    served: array[int] = field(default_factory=lambda: array("q"))


class Numbering:
    """The running numbers seen of each server process, of whatever version it answered with."""

    def __init__(self) -> None:
        self._instances: dict[str, _Instance] = {}

    def add(self, line: CapturedPrediction, *, inside: bool) -> None:
        """A line seen. One from outside the window closes no gap but its own."""
        of = self._instances.setdefault(line.instance, _Instance())
        of.numbers.append(line.number)
        if inside:
            of.inside.append(line.number)
            of.served.append(line.served)

    @property
    def lost(self) -> int:
        """Numbers missing between the first and the last of each process in the window: its edges are no loss."""
        return sum(_missing(of) for of in self._instances.values())

    @property
    def served(self) -> int:
        """Predictions made, captured or not, from the first to the last captured one of each process."""
        spans = (np.frombuffer(of.served, np.int64) for of in self._instances.values() if of.served)
        return sum(int(served.max() - served.min()) + 1 for served in spans)


def _missing(of: _Instance) -> int:
    if not of.inside:
        return 0
    inside, seen = np.frombuffer(of.inside, np.int64), np.unique(np.frombuffer(of.numbers, np.int64))
    first, last = inside.min(), inside.max()
    return int(last - first) + 1 - int(((seen >= first) & (seen <= last)).sum())
