"""POST /models/{model}/predict, and POST /predict where one model is deployed."""

from __future__ import annotations

from typing import Any

from fastapi import Request, Response
from pydantic_core import to_json

from lambdas.api.bodies import read_json
from lambdas.api.only import only_model
from lambdas.api.services import services_of
from lambdas.api.trace import trace_of
from perennial.errors import InvalidRecord
from perennial.registry.manifest import MODEL_FILE
from perennial.serving.capture import Occasion
from perennial.serving.ids import uuid7
from perennial.serving.predictor import Prediction
from perennial.serving.refresh import Snapshot
from perennial.serving.requests import Batch
from perennial.serving.tokens import Signer


async def predict(request: Request) -> Response:
    """Predict one record, or up to 1,000 as `{"instances": [...]}`: in order, all or nothing."""
    return await _answer(request, request.path_params["model"])


async def predict_only(request: Request) -> Response:
    """Predict with the one model that is deployed. Where there are more, name one by its own route."""
    return await _answer(request, await only_model(request, "predict"))


async def _answer(request: Request, model: str) -> Response:
    body = await read_json(request)
    services, trace = services_of(request), trace_of(request.scope)
    services.signing.prepare()
    snapshot = await services.snapshot(request, model)
    batch = snapshot.requests.read(body)
    predictions = _predict(snapshot, batch)
    ids = [uuid7(trace.at, services.entropy(10)) for _ in predictions]
    signer = await services.signing.at_hand()
    answers = [_line(*one, signer, model) for one in zip(predictions, ids, strict=True)]
    content: dict[str, Any] = answers[0] if batch.single else {"predictions": answers}
    content["model"] = _model(snapshot)
    answer = to_json(content)
    trace.rows, trace.untokened = len(predictions), 0 if signer else len(predictions)
    occasion = Occasion(trace.time, trace.request_id)
    trace.captured = services.capture.lines(snapshot, occasion, batch.records, predictions, ids)
    return Response(answer, media_type="application/json")


def _predict(snapshot: Snapshot, batch: Batch) -> list[Prediction]:
    """Raises InvalidRecord naming the place as the client wrote it."""
    try:
        return snapshot.predictor.predict(batch.records)
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


def _model(snapshot: Snapshot) -> dict[str, str]:
    manifest = snapshot.predictor.manifest
    return {
        "name": manifest.spec.name,
        "version": snapshot.entry.version,
        "digest": manifest.files[MODEL_FILE].digest,
        "dataset": manifest.dataset,
    }
