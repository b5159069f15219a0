"""A deployment in memory with a clock that is set: what a replay plays in.

Nothing here is a second implementation. Data lands, cycles run, predictions are answered and captured, labels land,
and monitoring looks, by the code that does it in production; only the bucket is in this process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from hashlib import blake2b
from itertools import groupby
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel

from perennial.datasets.collected import PREDICTION_ID
from perennial.datasets.labels import land_labels
from perennial.datasets.landing import land
from perennial.errors import InvalidRecord
from perennial.jobs.replay.arrivals import Arrival
from perennial.jobs.replay.scores import Truth
from perennial.jobs.workspace import Cause, Workspace
from perennial.serving.batches import batches
from perennial.serving.capture import Capture, Occasion
from perennial.serving.ids import uuid7
from perennial.serving.predictor import Prediction, Predictor
from perennial.serving.refresh import ModelCache, Snapshot
from perennial.serving.requests import MAX_INSTANCES
from perennial.spec import ModelSpec
from perennial.store import memory_store

CODE = "replay"

Answered = tuple[Arrival, Prediction]


class World:
    """One model's bucket, its server, and the time.

    Args:
        folder: where files stand while they land.
        tell: told of each step of a cycle, a line at a time.
    """

    def __init__(self, spec: ModelSpec, folder: Path, start: datetime, tell: Callable[[str], None]) -> None:
        self.spec, self.store, self.now = spec, memory_store(), start
        self._folder, self._tell = folder, tell
        self._models = ModelCache(self.store, refresh_seconds=0.0, clock=lambda: self.now.timestamp())
        self._capture = Capture("replay")
        self._pending: list[tuple[datetime, str, Truth]] = []

    def workspace(self, run: str, cause: Cause = "manual", because: str = "") -> Workspace:
        """A run of this model, now."""
        return Workspace(
            spec=self.spec, store=self.store, run=run, code=CODE, api_url=None, progress=self._tell,
            now=lambda: self.now, cause=cause, because=because,
        )  # fmt: skip

    def land(self, name: str, rows: pa.Table) -> None:
        """Land rows as they were read. Raises DataError."""
        path = self._folder / f"{name}.parquet"
        pq.write_table(rows, path)
        land(self.store, self.spec, path)
        path.unlink()

    def serving(self) -> Snapshot:
        """The version that serves now. Raises NotFoundError where none was promoted."""
        return self._models.get(self.spec.name)

    def serve(self, arrivals: Sequence[Arrival]) -> list[Answered]:
        """Answer and capture what arrives, by the version that serves now; what does not fit the spec is left out."""
        snapshot, found, lines = self.serving(), list[Answered](), list[str]()
        for moment, request in _requests(arrivals):
            asked = _answered(snapshot.predictor, request)
            occasion = Occasion(moment.isoformat(), f"row-{request[0].row}")
            ids = [_prediction_id(arrival) for arrival, _, _ in asked]
            captured = self._capture.lines(
                snapshot, occasion, [record for _, record, _ in asked], [given for _, _, given in asked], ids
            )
            lines += captured.text.splitlines()
            found += [(arrival, given) for arrival, _, given in asked]
            self._pending += [
                (moment, identifier, arrival.truth)
                for identifier, (arrival, _, _) in zip(ids, asked, strict=True)
                if arrival.truth is not None
            ]
        for batch in batches(lines):
            self.store.put_new(batch.key, batch.data)
        return found

    def deliver(self, delay: timedelta) -> int:
        """Land as a label file what has turned out true since the last time; how many labels it holds.

        A truth is there once more than ``delay`` has passed. One of a class that no version knows yet cannot be landed
        as a label, and is kept back.
        """
        classes = self.serving().predictor.manifest.classes
        due = [one for one in self._pending if self.now - one[0] > delay and (not classes or one[2] in classes)]
        if due:
            done = {identifier for _, identifier, _ in due}
            self._pending = [one for one in self._pending if one[1] not in done]
            table = pa.table({PREDICTION_ID: [one[1] for one in due], self.spec.target.column: [one[2] for one in due]})
            path = self._folder / "labels.parquet"
            pq.write_table(table, path)
            land_labels(self.store, self.spec, path)
            path.unlink()
        return len(due)


def answer(predictor: Predictor, arrivals: Sequence[Arrival]) -> list[Prediction | None]:
    """What a version answers to each arrival, without a trace; None where it does not take the record."""
    found: list[Prediction | None] = []
    for _, request in _requests(arrivals):
        given = {arrival.row: prediction for arrival, _, prediction in _answered(predictor, request)}
        found += [given.get(arrival.row) for arrival in request]
    return found


def _requests(arrivals: Sequence[Arrival]) -> Iterator[tuple[datetime, list[Arrival]]]:
    """What arrives at one moment is one request, up to what the API takes."""
    for moment, group in groupby(arrivals, lambda arrival: arrival.moment):
        together = list(group)
        for start in range(0, len(together), MAX_INSTANCES):
            yield moment, together[start : start + MAX_INSTANCES]


def _answered(predictor: Predictor, request: Sequence[Arrival]) -> list[tuple[Arrival, BaseModel, Prediction]]:
    """The arrivals that a version takes, each with its record and answer."""
    taken: list[tuple[Arrival, BaseModel]] = []
    for arrival in request:
        try:
            if arrival.record is not None:
                taken.append((arrival, predictor.schema.validate(arrival.record)))
        except InvalidRecord:
            continue
    try:
        given = predictor.predict([record for _, record in taken]) if taken else []
    except InvalidRecord:  # it overflows on one of them
        return [one for arrival in request for one in _answered(predictor, [arrival])] if len(request) > 1 else []
    return [(arrival, record, one) for (arrival, record), one in zip(taken, given, strict=True)]


def _prediction_id(arrival: Arrival) -> str:
    random = blake2b(str(arrival.row).encode(), digest_size=10).digest()
    return uuid7(arrival.moment.timestamp(), random)
