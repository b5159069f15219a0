"""Ground truth that comes back from users: what it may say of a model, and how it is kept so that it counts once."""

from __future__ import annotations

import math
from contextlib import suppress
from datetime import datetime
from typing import Literal

from pydantic import ValidationError

from perennial import keys
from perennial.errors import AlreadyExistsError, IntegrityError, InvalidRecord
from perennial.records import MAX_TRUTH
from perennial.registry.manifest import ModelManifest
from perennial.serving.ids import day_of, moment_of
from perennial.serving.labels import Label
from perennial.spec_features import label
from perennial.store import Store

FIELD = "ground_truth"
MAX_LISTED = 20

Outcome = Literal["stored", "already_stored", "contradicts"]


def truth_of(manifest: ModelManifest, value: object) -> str | float:
    """Ground truth as it is stored: a class of the model in its canonical text, or for a regression a number.

    The number is finite as a float32 too. ``1``, ``1.0`` and ``"1"`` are the same class.

    Raises:
        InvalidRecord: it is neither.
    """
    if manifest.spec.task == "regression":
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            try:
                number = float(value)
            except OverflowError:
                number = math.inf
            if abs(number) <= MAX_TRUTH:
                return number
        raise InvalidRecord(((FIELD, "Input should be a finite number"),))
    found = label(value) if isinstance(value, (str, int, float)) else None
    if found in manifest.classes:
        return found
    classes = manifest.classes if len(manifest.classes) <= MAX_LISTED else ()
    listed = ", ".join(repr(one) for one in classes)
    raise InvalidRecord(((FIELD, f"Input should be one of the model's classes{': ' if listed else ''}{listed}"),))


def is_late(manifest: ModelManifest, prediction_id: str, now: datetime) -> bool:
    """Whether a prediction is so old that its ground truth is no longer taken."""
    return now - moment_of(prediction_id) > manifest.spec.monitor.feedback_within


def store_label(store: Store, given: Label) -> Outcome:
    """Keep one label. The first of a prediction stands; the first that contradicts it is kept beside it.

    Raises:
        IntegrityError: what is stored under its key is no label.
        StoreUnavailable: S3 does not answer, or refuses; sending the label again is safe.
    """
    day, data = day_of(given.prediction_id), given.model_dump_json().encode()
    key = keys.label(given.model, day, given.prediction_id)
    try:
        store.put_new(key, data)
        return "stored"
    except AlreadyExistsError:
        stands = _read(store, key)
    if stands.truth == given.truth:
        return "already_stored"
    with suppress(AlreadyExistsError):  # one is enough to show that the label is disputed
        store.put_new(keys.contradiction(given.model, day, given.prediction_id), data)
    return "contradicts"


def _read(store: Store, key: str) -> Label:
    try:
        return Label.model_validate_json(store.get(key).data)
    except ValidationError as error:
        raise IntegrityError(
            f"{key} is no label.", remedy="Look at it; no later label of this prediction is taken."
        ) from error
