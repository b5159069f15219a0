"""Finding one prediction among millions by what its id tells, and what turned out true of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from perennial import keys
from perennial.errors import IntegrityError, NotFoundError
from perennial.monitoring.captures import Span, batches, captured
from perennial.monitoring.truths import canonical_truth, read_truths
from perennial.registry.manifest import is_model_name, model_name
from perennial.registry.registry import Registry
from perennial.serving.capture import is_sampled
from perennial.serving.captured import CapturedPrediction
from perennial.serving.ids import day_of, is_prediction_id, moment_of
from perennial.serving.labels import Label
from perennial.spec import ModelSpec, label
from perennial.store import Store

INSTANT = timedelta(milliseconds=1)


class FoundTruth(BaseModel):
    """What turned out true. ``at`` is known of the API alone; ``disputed`` where something else was said besides."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    truth: str | float
    source: Literal["feedback", "labels"]
    at: datetime | None
    disputed: bool


def find_prediction(store: Store, prediction_id: str, model: str | None) -> CapturedPrediction:
    """The captured prediction, of one model or of whichever made it. Reads only batches that span its moment.

    Raises:
        NotFoundError: the id is none, or no such prediction was captured; says what is known of why.
    """
    moment = _moment(prediction_id)
    everyone = [one for one in store.folders() if is_model_name(one)]
    names = [model_name(model)] if model is not None else everyone
    for name in names:
        if found := _captured(store, name, prediction_id, moment):
            return found
    for name in everyone if model is not None else []:
        if name != model and _captured(store, name, prediction_id, moment):
            raise NotFoundError(
                f"Prediction {prediction_id} is of {name}, not of {model}.", remedy=f"Give --model {name}, or no model."
            )
    raise _absent(store, prediction_id, moment, names)


def _captured(store: Store, model: str, prediction_id: str, moment: datetime) -> CapturedPrediction | None:
    near = batches(store, model, Span(moment, moment + INSTANT), [moment])
    return next(iter(captured(store, model, near, only=[prediction_id])), None)


def ground_truth(store: Store, spec: ModelSpec, found: CapturedPrediction) -> FoundTruth | None:
    """What was said of a prediction: a label file goes before the API, and one that names it before its record.

    Raises:
        IntegrityError: a label, or a label file, is damaged.
    """
    identifier, moment = found.prediction_id, moment_of(found.prediction_id)
    said = read_truths(store, spec, Span(moment, moment + INSTANT), known=())
    record = found.record.get(spec.id) if spec.id is not None else None
    in_file = said.in_file(identifier, None if record is None else label(record))
    given = _given(store, found) if identifier in said.given else None
    told = canonical_truth(given.truth, spec) if given else None
    disputed = identifier in said.disputed or (None not in (in_file, told) and in_file != told)
    if in_file is not None:
        return FoundTruth(truth=in_file, source="labels", at=None, disputed=disputed)
    if given is None or told is None:
        return None
    return FoundTruth(truth=told, source="feedback", at=given.at, disputed=disputed)


def _moment(prediction_id: str) -> datetime:
    try:
        if is_prediction_id(prediction_id):
            return moment_of(prediction_id)
    except (ValueError, OverflowError):  # a time beyond the calendar
        pass
    raise NotFoundError(
        f"{prediction_id[:80]!r} is no prediction id.", remedy="It is the `prediction_id` that came with the answer."
    )


def _given(store: Store, found: CapturedPrediction) -> Label | None:
    key = keys.label(found.model, day_of(found.prediction_id), found.prediction_id)
    stored = store.find(key)
    try:
        return Label.model_validate_json(stored.data) if stored else None
    except ValidationError as error:
        raise IntegrityError(f"{key} is no label.") from error


def _absent(store: Store, prediction_id: str, moment: datetime, names: list[str]) -> NotFoundError:
    """Why a prediction is not there, as far as it can be told: which ones are kept follows from the id alone."""
    made = f"Prediction {prediction_id} of {moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC was not captured"
    shares = {name: _share(store, name, moment) for name in names}
    served = {name: share for name, share in shares.items() if share is not None}
    if not served:
        whose = f"{names[0]} served nothing then" if len(names) == 1 else "no model served anything then"
        return NotFoundError(f"{made}: {whose}.", remedy="`perennial models` lists what there is.")
    left_out = {name: share for name, share in served.items() if not is_sampled(prediction_id, share)}
    if len(left_out) == len(served):
        kept = ", ".join(f"{name} kept {share:.3g} of its predictions" for name, share in left_out.items())
        return NotFoundError(f"{made}: {kept}, and not this one.", remedy="See monitor.capture in the spec.")
    would = ", ".join(name for name in served if name not in left_out)
    return NotFoundError(
        f"{made}: {would} would have kept it, so that it has not arrived yet, was lost, or was never made.",
        remedy="A prediction arrives within minutes; a monitoring pass counts those that were lost.",
    )


def _share(store: Store, model: str, moment: datetime) -> float | None:
    """Which share of its predictions the model kept at a moment; None where it served nothing."""
    registry = Registry(store)
    entry = next((one for one in reversed(registry.log(model)) if one.time <= moment), None)
    return registry.manifest(model, entry.version).spec.monitor.capture if entry else None
