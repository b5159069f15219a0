"""What arrives in a replay: each row as a client would send it, and what turns out true of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import pyarrow as pa
from pydantic import JsonValue

from perennial.datasets.cells import check_id, check_label, check_number
from perennial.datasets.validate import validate
from perennial.jobs.replay.file import Timeline
from perennial.jobs.replay.scores import Truth
from perennial.spec import ModelSpec, NumberFeature


@dataclass(frozen=True)
class Arrival:
    """A row (from 0) at its moment. ``record`` is None where it does not fit the spec, ``truth`` where it has none."""

    row: int
    moment: datetime
    record: dict[str, JsonValue] | None
    truth: Truth | None


def read_arrivals(timeline: Timeline, spec: ModelSpec, classes: Sequence[str]) -> tuple[Arrival, ...]:
    """Every row of a file.

    Args:
        classes: those the first version knows. A truth of another is none where the spec declares its classes, or
            where there can be only two; empty for a regression.

    Raises:
        DataError: a column the spec names is missing, or is nested.
    """
    places = np.arange(timeline.rows, dtype=np.int64)
    checked = validate(replace(timeline.raw, rows=places, malformed=()), spec, labelled=False)
    records: list[dict[str, JsonValue] | None] = [None] * timeline.rows
    ids = _ids(timeline, spec)
    for place, record in zip(checked.rows.tolist(), checked.table.to_pylist(), strict=True):
        sent = {name: value.isoformat() if isinstance(value, datetime) else value for name, value in record.items()}
        if spec.id is not None and spec.id not in sent and ids[place] is not None:
            sent[spec.id] = ids[place]
        if spec.time is not None and spec.time not in sent:
            sent[spec.time] = timeline.moment(place).replace(tzinfo=None).isoformat()
        records[place] = sent
    truths = _truths(timeline, spec, classes)
    return tuple(Arrival(row, timeline.moment(row), records[row], truths[row]) for row in range(timeline.rows))


def _ids(timeline: Timeline, spec: ModelSpec) -> list[str | None]:
    if spec.id is None:
        return [None] * timeline.rows
    found: list[str | None] = check_id(timeline.raw.columns[spec.id.strip()]).values.to_pylist()
    return found


def _truths(timeline: Timeline, spec: ModelSpec, classes: Sequence[str]) -> list[Truth | None]:
    cells: pa.Array = timeline.raw.columns[spec.target.column.strip()]
    if spec.task == "regression":
        values: list[Truth | None] = check_number(cells, NumberFeature(type="number")).values.to_pylist()
        return values
    closed = spec.task == "binary" or spec.target.classes is not None
    labels: list[Truth | None] = check_label(cells, tuple(classes) if closed else None).values.to_pylist()
    return labels
