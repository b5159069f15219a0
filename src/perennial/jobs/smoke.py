"""The smoke test: a holdout row or picture, asked of the real endpoint and of the predictor; both must say the same."""

from __future__ import annotations

import json
import math
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from http.client import HTTPException
from typing import TYPE_CHECKING, Any

from perennial import keys
from perennial.datasets.load import Rows
from perennial.errors import SmokeTestError
from perennial.jobs.results import PromoteResult, SmokeResult
from perennial.jobs.workspace import Workspace
from perennial.serving.load import load
from perennial.serving.picture_requests import BYTES, MAX_BYTES
from perennial.serving.predictor import Prediction, Predictor

if TYPE_CHECKING:
    from perennial.datasets.pictures import Pictures

PATIENCE_SECONDS = 90.0
PAUSE_SECONDS = 0.5
TOLERANCE = 1e-9
PICTURE_TOLERANCE = 1e-3  # a backbone counts in float32, whose last digits are another processor's own
LOOKED_AT = 20
JSON = "application/json"


@dataclass(frozen=True)
class Question:
    """What the endpoint is asked, and what it has to answer: probabilities within ``tolerance``."""

    body: bytes
    media_type: str
    expected: Prediction
    tolerance: float


def smoke_test(w: Workspace, promoted: PromoteResult, holdout: Rows) -> SmokeResult:
    """Predict the first holdout row; of a model of pictures, the first one that is not too large for the endpoint.

    Raises:
        SmokeTestError: the endpoint does not answer, never comes to serve the version, or answers otherwise than
            the predictor does.
    """
    question = question_of(w, load(w.store, w.spec.name, promoted.version), holdout)
    endpoint = None
    if w.api_url:
        endpoint = f"{w.api_url.rstrip('/')}/models/{w.spec.name}"
        _await_generation(endpoint, promoted, w)
        _compare(_call(f"{endpoint}/predict", question), question, promoted.version)
    return SmokeResult(version=promoted.version, endpoint=endpoint, prediction=question.expected.prediction)


def question_of(w: Workspace, predictor: Predictor, holdout: Rows) -> Question:
    """What is asked of an endpoint that serves what ``predictor`` does."""
    if holdout.pictures is not None:
        from perennial.images.record import read_record  # Pillow is imported where there are pictures

        data = picture_of(holdout.pictures, predictor)
        return Question(data, BYTES, predictor.predict([read_record(data)])[0], PICTURE_TOLERANCE)
    record = record_of(w, holdout)
    expected = predictor.predict([predictor.schema.validate(record)])[0]
    return Question(json.dumps(record, allow_nan=False).encode(), JSON, expected, TOLERANCE)


def picture_of(pictures: Pictures, predictor: Predictor) -> bytes:
    """The bytes of the first picture that an endpoint takes; where it takes none, what the model sees of one."""
    from perennial.datasets.pictures import read_picture

    for digest in pictures.digests[:LOOKED_AT]:
        if pictures.store.head(keys.image(pictures.model, digest)).size <= MAX_BYTES:
            return read_picture(pictures.store, pictures.model, digest)
    from perennial.images.pixels import as_png
    from perennial.images.record import read_record

    first = read_picture(pictures.store, pictures.model, pictures.digests[0])
    return as_png(predictor.frame(read_record(first)))


def record_of(w: Workspace, rows: Rows) -> dict[str, Any]:
    """The first row as a client would send it: features only, dates as ISO text."""
    first = rows.table.slice(0, 1).select(list(w.spec.features)).to_pylist()[0]
    return {name: value.isoformat() if hasattr(value, "isoformat") else value for name, value in first.items()}


def _await_generation(endpoint: str, promoted: PromoteResult, w: Workspace) -> None:
    """A server looks at the alias once in a refresh interval: wait until it serves the new generation."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    last = "no answer"
    while time.monotonic() < deadline:
        try:
            served = _call(endpoint)
        except SmokeTestError as error:
            last = error.message
        else:
            generation = served.get("generation")
            if isinstance(generation, int) and generation >= promoted.generation:
                return
            last = f"it serves generation {generation}"
        time.sleep(PAUSE_SECONDS)
    raise SmokeTestError(
        f"{endpoint} does not serve generation {promoted.generation} after {PATIENCE_SECONDS:.0f} s: {last}.",
        remedy=f"Look at the function's log and at {w.api_url}/ready; `perennial rollback {w.spec.name}` goes back.",
    )


def _call(url: str, question: Question | None = None) -> dict[str, Any]:
    data, media_type = (question.body, question.media_type) if question else (None, JSON)
    try:
        request = urllib.request.Request(url, data, {"Content-Type": media_type})  # noqa: S310 - the owner's API
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            found = json.load(answer)
    except urllib.error.HTTPError as error:
        raise SmokeTestError(f"{url}: answered {error.code}: {error.read(500).decode(errors='replace')}") from error
    except (OSError, ValueError, HTTPException) as error:
        raise SmokeTestError(f"{url}: {error}") from error
    if not isinstance(found, dict):
        raise SmokeTestError(f"{url}: answered {str(found)[:100]}, which is no object.")
    return found


def _compare(answer: dict[str, Any], question: Question, version: str) -> None:
    model, expected = answer.get("model"), question.expected
    served = model.get("version") if isinstance(model, dict) else None
    if served != version:
        raise SmokeTestError(f"The endpoint answered by version {served}, not {version}.")
    given = answer.get("prediction")
    if isinstance(expected.prediction, float):
        same = _close(given, expected.prediction, rel_tol=question.tolerance)
    else:
        same = _is_class(given, question) and _same_chances(answer.get("probabilities"), question)
    if not same:
        raise SmokeTestError(f"The endpoint's answer differs from the predictor's for version {version}.")


def _is_class(given: object, question: Question) -> bool:
    """Whether a class is the expected one, or as likely as that one within the tolerance."""
    if given == question.expected.prediction:
        return True
    chances = question.expected.probabilities or {}
    return isinstance(given, str) and chances.get(given, 0.0) >= max(chances.values()) - 2 * question.tolerance


def _same_chances(given: object, question: Question) -> bool:
    return isinstance(given, dict) and all(
        _close(given.get(name), value, abs_tol=question.tolerance)
        for name, value in (question.expected.probabilities or {}).items()
    )


def _close(given: object, wanted: float, **tolerance: float) -> bool:
    return isinstance(given, (int, float)) and math.isclose(given, wanted, **tolerance)
