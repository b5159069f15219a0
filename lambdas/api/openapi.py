"""The OpenAPI document: the routes as FastAPI knows them, with the shapes of what goes in and comes out."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from lambdas.api import batch_shapes, shapes
from lambdas.api.problems import MEDIA_TYPE, phrase

REFERENCE = "#/components/schemas/{model}"
VERSION = "0.1.0"


@dataclass(frozen=True)
class Operation:
    """What one route answers with, and the problems it may tell. Without ``answers``, any JSON object or HTML.

    ``takes`` is what its body may be, which need not be sent where it is ``optional``; with ``uploads`` it may be
    pictures too.
    """

    answers: tuple[type[BaseModel], ...] = ()
    problems: tuple[int, ...] = (500,)
    takes: tuple[type[BaseModel], ...] = ()
    media_type: str = "application/json"
    unready: type[BaseModel] | None = None
    status: int = 200
    optional: bool = False
    uploads: bool = False


_PREDICT = Operation(
    (shapes.Answer, shapes.Answers),
    (400, 404, 413, 415, 422, 500, 503),
    (shapes.Record, shapes.Instances),
    uploads=True,
)
_FEEDBACK = Operation(
    (shapes.Kept,), (400, 403, 404, 409, 410, 413, 415, 422, 500, 503), (shapes.Feedback,), status=202
)
_BATCH = Operation(
    (batch_shapes.CreatedBatch,),
    (400, 404, 413, 415, 422, 500, 503),
    (batch_shapes.NewBatch,),
    status=201,
    optional=True,
)
OPERATIONS: dict[tuple[str, str], Operation] = {
    ("/models/{model}/predict", "post"): _PREDICT,
    ("/predict", "post"): replace(_PREDICT, problems=(400, 404, 409, 413, 415, 422, 500, 503)),
    ("/models/{model}/feedback", "post"): _FEEDBACK,
    ("/feedback", "post"): _FEEDBACK,
    ("/models/{model}/batches", "post"): _BATCH,
    ("/batches", "post"): replace(_BATCH, problems=(400, 404, 409, 413, 415, 422, 500, 503)),
    ("/models/{model}/batches/{id}", "get"): Operation((batch_shapes.BatchStatus,), (404, 500, 503)),
    ("/models", "get"): Operation((shapes.Models,), (500, 503)),
    ("/models/{model}", "get"): Operation((shapes.ModelCard,), (404, 500, 503)),
    ("/models/{model}/schema", "get"): Operation((), (404, 500, 503)),
    ("/health", "get"): Operation((shapes.Health,)),
    ("/ready", "get"): Operation((shapes.Ready,), unready=shapes.Ready),
    ("/openapi.json", "get"): Operation(),
    ("/docs", "get"): Operation(media_type="text/html"),
}


def document(app: FastAPI, records: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """OpenAPI 3.1. ``records`` maps each deployed model to its record's JSON Schema, which joins the components."""
    found = get_openapi(title="Perennial", version=VERSION, routes=app.routes, description=_DESCRIPTION)
    for (path, method), operation in OPERATIONS.items():
        _describe(found["paths"][path], method, path, operation)
    used = {shape for operation in OPERATIONS.values() for shape in _shapes(operation)} | {shapes.Problem}
    ordered = sorted(used, key=lambda shape: shape.__name__)
    _, definitions = models_json_schema([(shape, "validation") for shape in ordered], ref_template=REFERENCE)
    components = dict(sorted(definitions["$defs"].items()))
    components |= {f"Record.{name}": schema for name, schema in sorted(records.items())}
    found["components"] = {"schemas": components}
    return found


_PLACES: dict[str, dict[str, Any]] = {
    "model": {
        "description": "A deployed model's name.",
        "schema": {"type": "string", "pattern": "^[a-z][a-z0-9]*(-[a-z0-9]+)*$", "maxLength": 40},
    },
    "id": {
        "description": "What the batch was answered with when it was made.",
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9_-]{43}$"},
    },
}
_PICTURE: dict[str, Any] = {kind: {"schema": {}} for kind in ("image/*", "application/octet-stream")}
_EXPLAIN: dict[str, Any] = {
    "name": "explain",
    "in": "query",
    "description": "Of one picture: 1 asks where the model looked.",
    "schema": {"type": "string", "enum": ["0", "1"]},
}
_DESCRIPTION = "Predictions of the deployed models. Every error is an `application/problem+json` (RFC 9457)."


def _shapes(operation: Operation) -> tuple[type[BaseModel], ...]:
    more = (operation.unready, shapes.Pictures if operation.uploads else None)
    return operation.answers + operation.takes + tuple(shape for shape in more if shape is not None)


def _describe(item: dict[str, Any], method: str, path: str, operation: Operation) -> None:
    route = item[method]
    route["operationId"] = f"{method}{''.join(part.strip('{}').title() for part in path.split('/'))}"
    route["summary"] = path
    places = {name: place for name, place in _PLACES.items() if f"{{{name}}}" in path}
    if places:
        route["parameters"] = [{"name": name, "in": "path", "required": True} | place for name, place in places.items()]
    if operation.takes:
        content = {"application/json": {"schema": _any(operation.takes)}}
        if operation.uploads:
            content |= {"multipart/form-data": {"schema": _any((shapes.Pictures,))}} | _PICTURE
            route.setdefault("parameters", []).append(_EXPLAIN)
        route["requestBody"] = {"required": not operation.optional, "content": content}
    content = {operation.media_type: {"schema": _any(operation.answers) if operation.answers else {}}}
    route["responses"] = {str(operation.status): {"description": "The answer.", "content": content}}
    for status in operation.problems:
        route["responses"][str(status)] = {
            "description": phrase(status) + ".",
            "content": {MEDIA_TYPE: {"schema": {"$ref": REFERENCE.format(model="Problem")}}},
        }
    if operation.unready:
        route["responses"]["503"] = {
            "description": "Not ready.",
            "content": {"application/json": {"schema": _any((operation.unready,))}},
        }


def _any(answers: tuple[type[BaseModel], ...]) -> dict[str, Any]:
    references = [{"$ref": REFERENCE.format(model=answer.__name__)} for answer in answers]
    return references[0] if len(references) == 1 else {"anyOf": references}


def main() -> None:
    """Write the document of an API without models to docs/openapi.json: what is committed, and compared by a test."""
    from pathlib import Path

    from lambdas.api.app import create_app
    from perennial.settings import Settings
    from perennial.store import memory_store

    found = document(create_app(Settings(bucket="none"), memory_store()), {})
    Path("docs/openapi.json").write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
