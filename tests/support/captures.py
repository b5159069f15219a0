"""Captured predictions for tests: lines as a server writes them, put where the capture function puts them."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from perennial import keys
from perennial.serving.batches import batches
from perennial.serving.captured import CapturedPrediction
from perennial.serving.ids import day_of, uuid7
from perennial.serving.labels import Label
from perennial.spec import canonical
from perennial.store import Store

VERSION = "0123456789abcdef"


def prediction_id(moment: datetime, number: int) -> str:
    return uuid7(moment.timestamp(), number.to_bytes(10, "big"))


def line(
    model: str,
    moment: datetime,
    number: int,
    record: dict[str, Any],
    prediction: str | float,
    *,
    probabilities: dict[str, float] | None = None,
    instance: str = "one",
    served: int | None = None,
    version: str = VERSION,
) -> CapturedPrediction:
    """One prediction; ``number`` also makes its id."""
    return CapturedPrediction(
        prediction_id=prediction_id(moment, number),
        model=model,
        version=version,
        generation=1,
        time=moment,
        instance=instance,
        number=number,
        served=served or number,
        request_id=f"request-{number}",
        record=record,
        prediction=prediction,
        probabilities=probabilities,
    )


def capture(store: Store, lines: Sequence[CapturedPrediction], *, batch: int = 1000) -> None:
    """Put lines into the bucket by the code of the capture function, so many a delivery."""
    for start in range(0, len(lines), batch):
        texts = [each.model_dump_json() for each in lines[start : start + batch]]
        for made in batches(texts):
            store.put_new(made.key, made.data)


def give(store: Store, model: str, identifier: str, truth: str | float, at: datetime) -> None:
    """A label as the API stores it."""
    label = Label(model=model, prediction_id=identifier, truth=truth, at=at)
    store.put_new(keys.label(model, day_of(identifier), identifier), canonical(label.model_dump(mode="json")))


def contradict(store: Store, model: str, identifier: str, truth: str | float, at: datetime) -> None:
    """A label that came after another one and said something else."""
    label = Label(model=model, prediction_id=identifier, truth=truth, at=at)
    store.put_new(keys.contradiction(model, day_of(identifier), identifier), canonical(label.model_dump(mode="json")))


def land_label_file(store: Store, model: str, name: str, rows: Iterable[tuple[str, str, str | float]]) -> None:
    """A normalised label file of rows (key, what it is a key of, truth)."""
    named, by, truth = zip(*rows, strict=True)
    sink = io.BytesIO()
    pq.write_table(pa.table({"key": named, "by": by, "truth": truth}), sink)
    store.put_new(keys.label_file(model, name), sink.getvalue())


def each_minute(start: datetime, count: int, minutes: float = 1) -> list[datetime]:
    return [start + timedelta(minutes=minutes * i) for i in range(count)]
