"""POST /models/{model}/predict, and POST /predict where one model is deployed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from fastapi import Request, Response
from pydantic_core import to_json

from lambdas.api.bodies import read_json
from lambdas.api.callers import caller_of
from lambdas.api.only import only_model
from lambdas.api.services import services_of
from lambdas.api.trace import trace_of
from perennial.errors import InvalidRecord
from perennial.registry.manifest import MODEL_FILE
from perennial.serving.capture import Occasion
from perennial.serving.ids import uuid7
from perennial.serving.predictor import Prediction
from perennial.serving.refresh import Snapshot
from perennial.serving.requests import Batch, RequestSchema
from perennial.serving.tokens import Signer
from perennial.serving.traffic import Answers, Ask, route


async def predict(request: Request) -> Response:
    """Predict one record, or up to 1,000 as `{"instances": [...]}`: in order, all or nothing."""
    return await _answer(request, request.path_params["model"])


async def predict_only(request: Request) -> Response:
    """Predict with the one model that is deployed. Where there are more, name one by its own route."""
    return await _answer(request, await only_model(request, "predict"))


async def _answer(request: Request, model: str) -> Response:
    services = services_of(request)
    services.signing.prepare(make=True)
    snapshot = await services.snapshot(request, model)
    requests = snapshot.requests
    if isinstance(requests, RequestSchema):
        return await _of_records(request, snapshot, requests)
    from lambdas.api.pictures import predict_pictures  # a server of tables needs none of it

    return await predict_pictures(request, snapshot, requests)


async def _of_records(request: Request, snapshot: Snapshot, requests: RequestSchema) -> Response:
    body = await read_json(request)
    services, trace = services_of(request), trace_of(request.scope)
    batch = requests.read(body)
    answers = _predict(request, snapshot, batch)
    predictions = answers.predictions
    ids = [uuid7(trace.at, services.entropy(10)) for _ in predictions]
    content = await answer_of(request, Answered(answers, ids, batch.single))
    answer = to_json(content)
    occasion = Occasion(trace.time, trace.request_id)
    trace.captured = services.capture.lines(snapshot, occasion, batch.records, predictions, ids, answers=answers)
    return Response(answer, media_type="application/json")


class Answered(NamedTuple):
    """Answers with their ids; ``single`` where one came without ``instances``."""

    answers: Answers
    ids: Sequence[str]
    single: bool


def routed(request: Request, snapshot: Snapshot, ask: Ask) -> Answers:
    """Have a request answered by the champion, or by the challenger of a trial. Raises InvalidRecord as ``ask`` does.

    What goes wrong with a challenger is told, and no caller's business.
    """
    answers = route(snapshot, ask, lambda: caller_of(request), time.perf_counter)
    trace = trace_of(request.scope)
    trace.version = answers.version
    if answers.problem is not None:
        trace.challenger = "failed"
        services_of(request).telemetry.failed(answers.problem, trace)
    return answers


async def answer_of(request: Request, answered: Answered) -> dict[str, Any]:
    """The answer's content, with feedback tokens where their key is at hand; counts it in the request's trace."""
    found, trace = answered.answers, trace_of(request.scope)
    model = found.manifest.spec.name
    signer = await services_of(request).signing.at_hand()
    answers = [_line(*one, signer, model) for one in zip(found.predictions, answered.ids, strict=True)]
    content: dict[str, Any] = answers[0] if answered.single else {"predictions": answers}
    content["model"] = _model(found)
    trace.rows, trace.untokened = len(answers), 0 if signer else len(answers)
    return content


def _predict(request: Request, snapshot: Snapshot, batch: Batch) -> Answers:
    """Raises InvalidRecord naming the place as the client wrote it."""
    try:
        return routed(request, snapshot, lambda predictor: predictor.predict(batch.records))
    except InvalidRecord as error:
        raise InvalidRecord(
            tuple(("body" if batch.single else f"instances.{row}", reason) for row, reason in error.problems)
        ) from error


def _line(prediction: Prediction, prediction_id: str, signer: Signer | None, model: str) -> dict[str, Any]:
    line: dict[str, Any] = {"prediction": prediction.prediction}
    if prediction.probabilities is not None:
        line["probabilities"] = prediction.probabilities
    line["prediction_id"] = prediction_id
    line["feedback_token"] = signer.token(model, prediction_id) if signer else None
    return line


def _model(answers: Answers) -> dict[str, str]:
    manifest = answers.manifest
    return {
        "name": manifest.spec.name,
        "version": answers.version,
        "digest": manifest.files[MODEL_FILE].digest,
        "dataset": manifest.dataset,
    }
