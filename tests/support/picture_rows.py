"""Validated rows of pictures without a landing: what training is handed, made in place."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from PIL import Image

from perennial.datasets.arrow import arrow_schema
from perennial.datasets.load import Rows
from perennial.datasets.pictures import put_picture
from perennial.images.fingerprint import fingerprint
from perennial.images.record import read_record
from perennial.spec import ModelSpec
from perennial.store import Store
from perennial.training.candidate import train_candidate
from perennial.training.outcome import RefusedCandidate, TrainedCandidate

DIGITS = tuple(str(digit) for digit in range(10))


def picture_rows(
    store: Store,
    spec: ModelSpec,
    files: Sequence[bytes],
    labels: Sequence[str],
    classes: tuple[str, ...],
    groups: Sequence[str | None] | None = None,
) -> Rows:
    """Put pictures into the store, and return their rows."""
    records = [read_record(data) for data in files]
    for data in files:
        put_picture(store, spec.name, data)
    values: dict[str, Sequence[object]] = {
        "image": [record.image for record in records],
        **{name: [getattr(record, name) for record in records] for name in spec.features},
        "fingerprint": [fingerprint(record.picture) for record in records],
        "group": groups or [None] * len(records),
        "file": [f"{place}.png" for place in range(len(records))],
        spec.target.column: labels,
    }
    schema = arrow_schema(spec)
    table = pa.table({name: pa.array(values[name], schema.field(name).type) for name in schema.names}, schema=schema)
    return Rows.of(store, spec, table, classes)


def digit_files(start: int, end: int) -> tuple[list[bytes], list[str]]:
    """Some of scikit-learn's digits as PNG files of 8 × 8 pixels, and their labels."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    files = []
    for image in digits.images[start:end]:
        sink = io.BytesIO()
        Image.fromarray(np.round(image * (255 / 16)).astype(np.uint8)).save(sink, "PNG")
        files.append(sink.getvalue())
    return files, [str(label) for label in digits.target[start:end]]


def trained(spec: ModelSpec, name: str, rows: Rows, holdout: Rows, classes: tuple[str, ...],
            said: list[str] | None = None) -> TrainedCandidate | RefusedCandidate:  # fmt: skip
    """What becomes of one candidate; ``said`` takes its lines of progress."""
    lines = [] if said is None else said
    return train_candidate(spec, name, rows, holdout.x, classes, lines.append, holdout_pictures=holdout.pictures)
