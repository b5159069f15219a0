"""Whether a process grows: its resident memory over time, and the rule that tells a leak from a warm-up.

Method: the first tenth of the run is warm-up, of which nothing is judged. Of the rest, the median of its first ninth is
compared with the median of its last ninth (six minutes each, of an hour), and the slope of a straight line through all
of it (Theil and Sen: the median of the slopes between any two samples, which single peaks do not move) is taken over
the whole of it. A process is flat where neither exceeds 5 % of the first median.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import numpy as np

WARM_UP = 0.1
WINDOW = 1 / 9
TOLERANCE = 0.05
LEAST_SAMPLES = 18  # two a window

Sample = tuple[float, int]
"""Seconds since the load began, and resident bytes."""


@dataclass(frozen=True)
class Verdict:
    """How one process fared: medians (bytes) of the first and of the last window, and what the slope adds up to."""

    first: float
    last: float
    drift: float

    @property
    def growth(self) -> float:
        """As a share of the first window; below zero where it shrank."""
        return self.last / self.first - 1

    @property
    def slope(self) -> float:
        """What the straight line rises by from the warm-up to the end, as a share of the first window."""
        return self.drift / self.first

    @property
    def flat(self) -> bool:
        return max(self.growth, self.slope) <= TOLERANCE


def judge(samples: Sequence[Sample], seconds: float) -> Verdict | None:
    """The verdict on a process that was there all through a run of so many seconds; None on one that was not."""
    warm = [(at, size) for at, size in samples if WARM_UP * seconds <= at <= seconds]
    window = (1 - WARM_UP) * seconds * WINDOW
    first = [size for at, size in warm if at <= WARM_UP * seconds + window]
    last = [size for at, size in warm if at >= seconds - window]
    if len(warm) < LEAST_SAMPLES or not first or not last:
        return None
    return Verdict(median(first), median(last), _slope(warm) * (1 - WARM_UP) * seconds)


def _slope(samples: Sequence[Sample]) -> float:
    """Bytes a second, by Theil and Sen."""
    at, size = np.array(samples).T
    one, other = np.triu_indices(len(samples), 1)
    return float(np.median((size[other] - size[one]) / (at[other] - at[one])))


def resident(pid: int) -> int:
    """Bytes of a process that are in memory. Raises OSError where it has ended."""
    status = Path(f"/proc/{pid}/status").read_text()
    lines = [line for line in status.splitlines() if line.startswith("VmRSS:")]
    if not lines:  # it has ended, and nobody has asked how
        raise ProcessLookupError(pid)
    return int(lines[0].split()[1]) * 1024


@dataclass
class Watch:
    """Samples of processes, by what they are and their ids."""

    samples: dict[tuple[str, int], list[Sample]] = field(default_factory=dict)

    def take(self, at: float, processes: Mapping[str, Sequence[int]]) -> None:
        """Note what each of them takes now; one that has ended takes nothing."""
        for name, pids in processes.items():
            for pid in pids:
                with suppress(OSError):
                    self.samples.setdefault((name, pid), []).append((at, resident(pid)))

    def verdicts(self, seconds: float) -> dict[tuple[str, int], Verdict]:
        """Of the processes that were there all through."""
        found = {who: judge(samples, seconds) for who, samples in self.samples.items()}
        return {who: verdict for who, verdict in found.items() if verdict is not None}


@contextmanager
def watching(processes: Callable[[], Mapping[str, Sequence[int]]], every: float) -> Iterator[Watch]:
    """Sample whatever processes there are, so many seconds apart, for the length of a block."""
    watch, over, started = Watch(), threading.Event(), time.monotonic()

    def sample() -> None:
        while not over.wait(every):
            watch.take(time.monotonic() - started, processes())

    thread = threading.Thread(target=sample, name="soak memory")
    thread.start()
    try:
        yield watch
    finally:
        over.set()
        thread.join()
