"""Ground truth as it lies in the bucket: labels given through the API, and files of labels."""

from __future__ import annotations

import io
import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from perennial import keys
from perennial.errors import IntegrityError
from perennial.monitoring.captures import Span, fetch, is_dated, listed
from perennial.serving.ids import day_of, moment_of
from perennial.serving.labels import Label
from perennial.spec import ModelSpec, label
from perennial.store import Store

Truth = str | float
"""A class label, or the value of a regression."""
_CONTRADICTED = ".contradicted.json"
_LABEL = ".json"


@dataclass
class Truths:
    """What is said of predictions of a span.

    ``by_prediction`` and ``by_id`` come from files, the newest word on each. ``given`` are the predictions that have a
    label by the API, which is read only once its prediction was found. ``disputed`` were told different truths.
    """

    by_prediction: dict[str, Truth] = field(default_factory=dict)
    by_id: dict[str, Truth] = field(default_factory=dict)
    given: set[str] = field(default_factory=set)
    disputed: set[str] = field(default_factory=set)
    disputed_ids: set[str] = field(default_factory=set)

    def in_file(self, prediction_id: str, record_id: str | None) -> Truth | None:
        """What files say of a prediction. One that names it goes before one that names its record."""
        found = self.by_prediction.get(prediction_id)
        return self.by_id.get(record_id) if found is None and record_id is not None else found


def read_truths(store: Store, spec: ModelSpec, span: Span, known: Collection[str]) -> Truths:
    """All that is said of predictions of a span, less the ``known`` ones.

    Raises:
        IntegrityError: a label file is damaged.
    """
    found = Truths()
    for key in listed(store, span, keys.feedback(spec.name)):
        name = key.rsplit("/", 1)[-1]
        identifier = name.removesuffix(_CONTRADICTED).removesuffix(_LABEL)
        if is_dated(identifier) and identifier not in known and span.holds(moment_of(identifier)):
            (found.disputed if name.endswith(_CONTRADICTED) else found.given).add(identifier)
    for key, blob in fetch(store, _files(store, spec.name, span)):
        if blob is not None:
            _add(found, _read_file(key, blob.data), spec, span, known)
    return found


def read_given(store: Store, spec: ModelSpec, wanted: Iterable[str], until: datetime | None) -> Mapping[str, Truth]:
    """What the API was told of some predictions before ``until``.

    Raises:
        IntegrityError: a label is malformed.
    """
    found: dict[str, Truth] = {}
    for key, blob in fetch(store, (keys.label(spec.name, day_of(one), one) for one in sorted(wanted))):
        if blob is None:
            continue
        try:
            given = Label.model_validate_json(blob.data)
        except ValidationError as error:
            raise IntegrityError(f"{key} is malformed.", remedy="Remove it.") from error
        truth = canonical_truth(given.truth, spec)
        if truth is not None and (until is None or given.at < until):
            found[given.prediction_id] = truth
    return found


def canonical_truth(value: object, spec: ModelSpec) -> Truth | None:
    """A truth as the spec's task spells it, so that two can be compared; None for what is none."""
    if value is None:
        return None
    if spec.task != "regression":
        return label(value)
    try:
        number = float(str(value))
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _files(store: Store, m: str, span: Span) -> list[str]:
    """Label files, the oldest first. What landed before the span began cannot speak of its predictions."""
    entries = sorted(store.list(keys.label_files(m)), key=lambda entry: (entry.modified, entry.key))
    return [entry.key for entry in entries if span.since is None or entry.modified >= span.since]


def _read_file(key: str, data: bytes) -> Iterator[tuple[str, str, object]]:
    """Each row: the key, what it is a key of, and the truth."""
    try:
        table = pq.read_table(io.BytesIO(data), columns=["key", "by", "truth"])
        columns = [table.column(name).to_pylist() for name in ("key", "by", "truth")]
    except (pa.ArrowInvalid, OSError, KeyError) as error:
        raise IntegrityError(f"{key} is damaged.", remedy="Remove it and land the labels again.") from error
    return zip(*columns, strict=True)


def _add(
    found: Truths, rows: Iterable[tuple[str, str, object]], spec: ModelSpec, span: Span, known: Collection[str]
) -> None:
    for key, by, value in rows:
        truth = canonical_truth(value, spec)
        if truth is None:
            continue
        if by == "id":
            if found.by_id.get(label(key), truth) != truth:
                found.disputed_ids.add(label(key))
            found.by_id[label(key)] = truth
        elif is_dated(key) and key not in known and span.holds(moment_of(key)):
            if found.by_prediction.get(key, truth) != truth:
                found.disputed.add(key)
            found.by_prediction[key] = truth
