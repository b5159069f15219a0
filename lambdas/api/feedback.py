"""POST /models/{model}/feedback, and POST /feedback where one model is deployed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from fastapi import Request, Response
from pydantic_core import from_json, to_json

from lambdas.api.bodies import read_json
from lambdas.api.only import only_model
from lambdas.api.problems import Problem
from lambdas.api.services import COLD_LOOK_SECONDS, services_of
from lambdas.api.trace import trace_of
from perennial.errors import IntegrityError, InvalidRecord, NotFoundError, StoreUnavailable
from perennial.serving.feedback import FIELD, is_late, truth_of
from perennial.serving.ids import is_prediction_id
from perennial.serving.labels import Label
from perennial.serving.requests import BrokenJson
from perennial.serving.tokens import Signer

MAX_TEXT = 500
MAX_BYTES = 20_480
"""As many as three texts take up that are as long as they may be, every letter of them escaped."""
REQUEST_SECONDS = 10.0  # what a function has, less its start
NAMES = {
    "prediction_id": "prediction_id",
    "feedback_token": "feedback_token",
    "token": "feedback_token",
    "ground_truth": FIELD,
    "truth": FIELD,
    "label": FIELD,
}


@dataclass(frozen=True)
class Feedback:
    """What a client says: which prediction, that it received it, and what turned out true."""

    prediction_id: str
    token: str
    truth: str | int | float


async def give_feedback(request: Request) -> Response:
    """Say what turned out true of a prediction. 202 once that is stored; said again, it counts once."""
    return await _answer(request, request.path_params["model"])


async def give_feedback_only(request: Request) -> Response:
    """The same for the one model that is deployed. Where there are more, name one by its own route."""
    return await _answer(request, await only_model(request, "feedback"))


async def _answer(request: Request, model: str) -> Response:
    until = asyncio.get_running_loop().time() + REQUEST_SECONDS
    given = read_feedback(await read_json(request, MAX_BYTES))
    services, trace = services_of(request), trace_of(request.scope)
    services.signing.prepare(make=False)
    manifest = (await services.snapshot(request, model)).predictor.manifest
    signer: Signer | None = None
    with _told_as_unavailable(request), suppress(NotFoundError):
        signer = await services.signing.get(_wait(until))
    known = is_prediction_id(given.prediction_id)
    if signer is None or not known or not signer.accepts(model, given.prediction_id, given.token):
        raise Problem(403, "invalid-feedback-token", "The token does not belong to that prediction of this model.")
    now = datetime.fromtimestamp(services.clock(), UTC)
    if is_late(manifest, given.prediction_id, now):
        raise Problem(410, "feedback-too-late", "The prediction is too old; its ground truth is no longer taken.")
    try:
        truth = truth_of(manifest, given.truth)
    except InvalidRecord as error:
        raise _invalid(error.problems) from error
    label = Label(model=model, prediction_id=given.prediction_id, truth=truth, at=now)
    with _told_as_unavailable(request):
        outcome = await services.store_label(label, _wait(until))
    if outcome == "contradicts":
        raise Problem(
            409, "contradicting-label", "Another ground truth was given for this prediction. The first stands."
        )
    trace.labels = int(outcome == "stored")
    content = to_json({"status": outcome, "prediction_id": given.prediction_id})
    return Response(content, 202, media_type="application/json")


def _wait(until: float) -> float:
    """Seconds to wait for S3, of what the request has left."""
    return max(0.5, min(COLD_LOOK_SECONDS, until - asyncio.get_running_loop().time()))


@contextmanager
def _told_as_unavailable(request: Request) -> Iterator[None]:
    """Raises Problem where S3 does not do its part: nothing is known of the label then."""
    try:
        yield
    except (StoreUnavailable, IntegrityError) as error:
        trace = trace_of(request.scope)
        trace.error = type(error).__name__
        trace.unverified = isinstance(error, IntegrityError)
        services_of(request).telemetry.failed(error, trace)
        detail = "The ground truth is not known to be stored. Send it again: it counts once."
        raise Problem(503, "feedback-unavailable", detail, headers={"retry-after": "1"}) from error


def read_feedback(body: bytes) -> Feedback:
    """Check the body of feedback.

    Raises:
        BrokenJson: it is not JSON.
        Problem: 422 for anything but the three members, each once and of its type.
    """
    try:
        value = from_json(body, allow_inf_nan=False)
    except ValueError:
        raise BrokenJson((("body", "Invalid JSON"),)) from None
    if not isinstance(value, dict):
        raise _invalid((("body", "Input should be an object"),))
    members: dict[str, object] = {}
    problems: list[tuple[str, str]] = []
    for name, member in json.loads(body, object_pairs_hook=tuple, parse_int=_whole):
        if name not in NAMES:
            problems.append(("body", "Takes prediction_id, feedback_token and ground_truth, and nothing else"))
        elif NAMES[name] in members:
            problems.append((NAMES[name], "Is given more than once; send it once"))
        else:
            members[NAMES[name]] = member
    for name, kinds in (("prediction_id", (str,)), ("feedback_token", (str,)), (FIELD, (str, int, float))):
        if name not in members:
            problems.append((name, "Field required"))
        elif not isinstance(members[name], kinds) or len(str(members[name])) > MAX_TEXT:
            kind = f"text of at most {MAX_TEXT} characters"
            problems.append(
                (name, f"Input should be a {kind}" + (", a number or true or false" if name == FIELD else ""))
            )
    if problems:
        raise _invalid(tuple(dict.fromkeys(problems)))
    return Feedback(*(members[name] for name in ("prediction_id", "feedback_token", FIELD)))  # type: ignore[arg-type]


def _whole(digits: str) -> int | float:
    """A number of JSON; one of too many digits is none, as Python does not read any length."""
    return int(digits) if len(digits) <= MAX_TEXT else float("inf")


def _invalid(problems: tuple[tuple[str, str], ...]) -> Problem:
    return Problem(422, "invalid-feedback", "The feedback does not fit.", errors=problems)
