"""Predictions of pictures: decoded and looked at in threads of their own. Both take long, and tables wait for none.

The bytes of predictions that are captured are stored beside the model's work: an answer waits for S3 a second at most,
and no prediction fails for want of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qs

from fastapi import Request, Response
from pydantic_core import to_json

from lambdas.api.bodies import is_json, read_body
from lambdas.api.callers import caller_of
from lambdas.api.predict import Answered, answer_of, routed
from lambdas.api.problems import Problem
from lambdas.api.services import services_of
from lambdas.api.trace import trace_of
from perennial.errors import InvalidRecord, PerennialError
from perennial.serving.capture import Occasion, is_sampled
from perennial.serving.explain import Explanation, explain
from perennial.serving.ids import uuid7
from perennial.serving.picture_requests import JSON, Kept, PictureRequests, Sent, look_at
from perennial.serving.predictor import Pixels, Predictor
from perennial.serving.refresh import Snapshot
from perennial.serving.traffic import Answers, asked_too

if TYPE_CHECKING:
    from perennial.images.record import ImageRecord

STORE_SECONDS = 1.0
Storing = dict[str, Future[None] | PerennialError]
"""By the ids of predictions: their pictures on the way to S3, or why they are not."""
ACCEPT = "multipart/form-data, image/*, application/octet-stream, application/json"


async def predict_pictures(request: Request, snapshot: Snapshot, requests: PictureRequests) -> Response:
    """Predict one picture, or up to 16: in order, all or nothing. With `?explain=1`, say where the model looked."""
    services, trace = services_of(request), trace_of(request.scope)
    explained = _wants_explanation(request)
    content_type = dict(request.scope["headers"]).get(b"content-type", b"")
    media_type = _media_type(content_type, requests)
    body = await read_body(request, requests.limit(media_type), advice=" Send a smaller picture, or fewer at once.")
    made = await services.of_picture(
        lambda: _make(request, snapshot, requests.read(body, media_type, content_type), explained=explained)
    )
    content = await answer_of(request, made.answered)
    if made.explanation is not None:
        content["explanation"] = made.explanation.content()
    answer = to_json(content)
    withheld = await _lost(request, made.storing)
    answers, ids, _ = made.answered
    occasion = Occasion(trace.time, trace.request_id)
    trace.captured = services.capture.lines(
        snapshot, occasion, made.records, answers.predictions, ids, withheld=withheld, answers=answers
    )
    return Response(answer, media_type="application/json")


def _media_type(content_type: bytes, requests: PictureRequests) -> str:
    """Lower case, without parameters. Raises Problem for what is not read."""
    if is_json(content_type):
        return JSON
    kind = content_type.decode("latin-1").partition(";")[0].strip().lower()
    if kind == JSON or not requests.takes(kind):
        detail = "Send a picture: as it is (image/*), as the field image of multipart/form-data, or as base64 in JSON."
        raise Problem(415, "unsupported-media-type", detail, headers={"accept": ACCEPT})
    return kind


def _wants_explanation(request: Request) -> bool:
    """Raises InvalidRecord for anything but 0 and 1."""
    query: bytes = request.scope["query_string"]
    given = parse_qs(query.decode("latin-1"), keep_blank_values=True).get("explain", ["0"])
    if given not in (["0"], ["1"]):
        raise InvalidRecord((("explain", "Input should be 0 or 1"),))
    return given == ["1"]


class _Made(NamedTuple):
    """What a thread made of a request: its answers, what is captured of them, and the storing that it began."""

    answered: Answered
    records: Sequence[ImageRecord]
    explanation: Explanation | None
    storing: Storing


def _make(request: Request, snapshot: Snapshot, sent: Sent, *, explained: bool) -> _Made:
    """All that takes long, at a stretch: a request that was begun waits for none of those that come after it.

    Raises InvalidRecord, which the pictures and the question may be.
    """
    if explained and not sent.single:
        raise InvalidRecord((("explain", "Send one picture to have its prediction explained"),))
    other = asked_too(snapshot, lambda: caller_of(request))
    kept = look_at(sent, snapshot.predictor, other)
    services, at = services_of(request), trace_of(request.scope).at
    ids = [uuid7(at, services.entropy(10)) for _ in kept]
    storing = _store(request, snapshot, sent, kept, ids)
    answers = _predict(request, snapshot, sent, kept, other)
    explanation = None
    if explained:
        explanation = explain(answers.predictor, _framed(answers.predictor, other, kept)[0], answers.predictions[0])
    records = [picture.record for picture in kept]
    return _Made(Answered(answers, ids, sent.single), records, explanation, storing)


def _predict(
    request: Request, snapshot: Snapshot, sent: Sent, kept: Sequence[Kept], other: Predictor | None
) -> Answers:
    """Raises InvalidRecord naming the place as the client wrote it."""
    try:
        return routed(request, snapshot, lambda predictor: predictor.predict_framed(_framed(predictor, other, kept)))
    except InvalidRecord as error:
        raise InvalidRecord(tuple((sent.place(int(row)), reason) for row, reason in error.problems)) from error


def _framed(predictor: Predictor, other: Predictor | None, kept: Sequence[Kept]) -> list[Pixels]:
    """The pictures as one of the two models is given them."""
    theirs = predictor is other
    return [picture.others if theirs and picture.others is not None else picture.pixels for picture in kept]


def _store(request: Request, snapshot: Snapshot, sent: Sent, kept: Sequence[Kept], ids: Sequence[str]) -> Storing:
    """Begin to store the pictures whose predictions are captured, by the ids of these."""
    services = services_of(request)
    spec = snapshot.predictor.manifest.spec
    storing: Storing = {}
    for picture, data, identifier in zip(kept, sent.pictures, ids, strict=True):
        if spec.monitor.capture and is_sampled(identifier, spec.monitor.capture):
            try:
                storing[identifier] = services.store_picture(spec.name, picture.record.image, data)
            except PerennialError as error:  # too many are under way
                storing[identifier] = error
    return storing


async def _lost(request: Request, storing: Storing) -> list[str]:
    """The ids of predictions whose picture is not known to be stored; tells why, once a request."""
    if not storing:
        return []
    waiting = [asyncio.wrap_future(each) for each in storing.values() if isinstance(each, Future)]
    if waiting:
        await asyncio.wait(waiting, timeout=STORE_SECONDS)
    lost: list[str] = []
    for identifier, each in storing.items():
        error = each if isinstance(each, PerennialError) else _failure(each)
        if error is not None:
            if not lost:
                services_of(request).telemetry.failed(error, trace_of(request.scope))
            lost.append(identifier)
    return lost


def _failure(storing: Future[None]) -> Exception | None:
    if not storing.done():
        return TimeoutError("S3 has not answered in time; the picture's prediction is not captured.")
    error = storing.exception()
    if error is not None and not isinstance(error, PerennialError):
        raise error
    return error
