"""The captured predictions of a span of time, read from the bucket as a stream.

Objects are named by the moments of their first and last prediction, so that those outside the span are not read; they
are fetched by several threads at once, since the time of a request is spent waiting.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import deque
from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice

from perennial import keys
from perennial.serving.captured import CapturedPrediction, parse
from perennial.serving.ids import is_prediction_id, moment_of
from perennial.store import Store
from perennial.store_objects import Blob

READERS = 24
AHEAD = 3 * READERS
_BATCH = re.compile(r"(\d{4}-\d\d-\d\d)/(\d{9})-(\d{9})-[^/]*\.jsonl$")
_ID = re.compile(rb'"prediction_id"\s*:\s*"([0-9a-f-]{36})"')


@dataclass(frozen=True)
class Span:
    """The moments from ``since`` to just before ``until`` (UTC); None is without bound."""

    since: datetime | None
    until: datetime | None

    def holds(self, moment: datetime) -> bool:
        return self.meets(moment, moment)

    def meets(self, first: datetime, last: datetime) -> bool:
        """Whether any moment from ``first`` to ``last``, both included, lies within."""
        return (self.since is None or last >= self.since) and (self.until is None or first < self.until)

    def days(self, found: Iterable[str]) -> list[str]:
        """Those of some UTC days, as ``2026-11-21``, that it meets."""
        first = "" if self.since is None else f"{self.since.astimezone(UTC):%Y-%m-%d}"
        last = "9" if self.until is None else f"{self.until.astimezone(UTC):%Y-%m-%d}"
        return sorted(day for day in found if first <= day <= last)


def listed(store: Store, span: Span, prefix: str) -> list[str]:
    """Every key under a prefix that has a folder for each day, as far as the days meet the span."""
    days = span.days(store.folders(prefix))
    with ThreadPoolExecutor(READERS) as pool:
        found = pool.map(lambda day: [entry.key for entry in store.list(f"{prefix}{day}/")], days)
        return [key for each in found for key in each]


def batches(store: Store, m: str, span: Span, moments: Collection[datetime] | None = None) -> list[str]:
    """Keys of the batches that may hold a prediction of the span; with ``moments``, of one of these moments."""
    wanted = None if moments is None else sorted(moments)
    found = []
    for key in listed(store, span, keys.predictions(m)):
        ends = _ends(key)
        if ends is None or (span.meets(*ends) and (wanted is None or _within(wanted, *ends))):
            found.append(key)
    return found


def fetch(store: Store, wanted: Iterable[str]) -> Iterator[tuple[str, Blob | None]]:
    """Objects in the order of their keys given, a few of them ahead; None for one that is gone."""
    waiting: deque[tuple[str, Future[Blob | None]]] = deque()
    rest = iter(wanted)
    with ThreadPoolExecutor(READERS) as pool:
        try:
            while True:
                for key in islice(rest, AHEAD - len(waiting)):
                    waiting.append((key, pool.submit(store.find, key)))
                if not waiting:
                    return
                key, future = waiting.popleft()
                yield key, future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def captured(
    store: Store, m: str, batch_keys: Iterable[str], only: Collection[str] | None = None, *, shadows: bool = False
) -> Iterator[CapturedPrediction]:
    """The captured lines of some batches; with ``only``, those of the predictions named. Other text is passed over.

    So is the word of a version that did not answer, which is about a prediction that has its own line; with
    ``shadows`` it comes too.
    """
    wanted = None if only is None else {identifier.encode() for identifier in only}
    for _, blob in fetch(store, batch_keys):
        for line in blob.data.splitlines() if blob else ():
            if wanted is not None and wanted.isdisjoint(_ID.findall(line)):
                continue
            found = parse(line)
            if found is None or found.model != m or not is_dated(found.prediction_id):
                continue
            if found.role == "shadow" and not shadows:
                continue
            if only is None or found.prediction_id in only:
                yield found


def is_dated(identifier: str) -> bool:
    """Whether a text is the id of a prediction, of a moment that the calendar has."""
    try:
        return is_prediction_id(identifier) and bool(moment_of(identifier))
    except (ValueError, OverflowError, OSError):
        return False


def in_span(line: CapturedPrediction, span: Span) -> bool:
    """Whether a prediction was made within the span: by its id, as its batch is named."""
    return span.holds(moment_of(line.prediction_id))


def _ends(key: str) -> tuple[datetime, datetime] | None:
    """The moments of a batch's first and last prediction; None for a name that does not tell them."""
    found = _BATCH.search(key)
    if found is None:
        return None
    try:
        day = datetime.strptime(found[1], "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        return None
    return day + _clock(found[2]), day + _clock(found[3])


def _clock(text: str) -> timedelta:
    hours, minutes, seconds, thousandths = int(text[:2]), int(text[2:4]), int(text[4:6]), int(text[6:])
    return timedelta(hours=hours, minutes=minutes, seconds=seconds, milliseconds=thousandths)


def _within(moments: list[datetime], first: datetime, last: datetime) -> bool:
    place = bisect_left(moments, first)
    return place < len(moments) and moments[place] <= last
