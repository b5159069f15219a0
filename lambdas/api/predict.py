"""POST /models/{model}/predict, and POST /predict where one model is deployed."""

from __future__ import annotations

from typing import Any

from fastapi import Request, Response
from pydantic_core import to_json

from lambdas.api.bodies import read_json
from lambdas.api.problems import Problem
from lambdas.api.services import Services, services_of
from lambdas.api.trace import trace_of
from perennial.errors import InvalidRecord
from perennial.registry.manifest import MODEL_FILE
from perennial.serving.predictor import Prediction
from perennial.serving.refresh import Snapshot
from perennial.serving.requests import Batch


async def predict(request: Request) -> Response:
    """Predict one record, or up to 1,000 as `{"instances": [...]}`: in order, all or nothing."""
    return await _answer(request, request.path_params["model"])


async def predict_only(request: Request) -> Response:
    """Predict with the one model that is deployed. Where there are more, name one by its own route."""
    names = [deployed.name for deployed in await services_of(request).deployed()]
    if not names:
        raise Problem(404, "no-model", "No model is deployed yet.")
    if len(names) > 1:
        routes = ", ".join(f"/models/{name}/predict" for name in names[:20])
        raise Problem(409, "several-models", f"More than one model is deployed. Use one of {routes}.")
    return await _answer(request, names[0])


async def _answer(request: Request, model: str) -> Response:
    body = await read_json(request)
    services = services_of(request)
    snapshot = await services.snapshot(request, model)
    batch = snapshot.requests.read(body)
    predictions = _predict(snapshot, batch)
    trace_of(request.scope).rows = len(predictions)
    if batch.single:
        content = _line(predictions[0], services)
    else:
        content = {"predictions": [_line(prediction, services) for prediction in predictions]}
    content["model"] = _model(snapshot)
    return Response(to_json(content), media_type="application/json")


def _predict(snapshot: Snapshot, batch: Batch) -> list[Prediction]:
    """Raises InvalidRecord naming the place as the client wrote it."""
    try:
        return snapshot.predictor.predict(batch.records)
    except InvalidRecord as error:
        raise InvalidRecord(
            tuple(("body" if batch.single else f"instances.{row}", reason) for row, reason in error.problems)
        ) from error


def _line(prediction: Prediction, services: Services) -> dict[str, Any]:
    line: dict[str, Any] = {"prediction": prediction.prediction}
    if prediction.probabilities is not None:
        line["probabilities"] = prediction.probabilities
    line["prediction_id"] = services.new_id()
    return line


def _model(snapshot: Snapshot) -> dict[str, str]:
    manifest = snapshot.predictor.manifest
    return {
        "name": manifest.spec.name,
        "version": snapshot.entry.version,
        "digest": manifest.files[MODEL_FILE].digest,
        "dataset": manifest.dataset,
    }
