"""Every error as ``application/problem+json`` (RFC 9457): the one place where errors become HTTP statuses.

A problem names fields and reasons, never values, and carries the request id its log line has.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import Request, Response
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from lambdas.api.services import services_of
from lambdas.api.trace import trace_of
from perennial.errors import IntegrityError, InvalidRecord, NotFoundError, PerennialError, StoreUnavailable, TooBusy
from perennial.serving.picture_requests import BrokenForm, UnreadablePictures
from perennial.serving.requests import BrokenJson

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:perennial:problem:"
RENAMED = {413: "Content Too Large", 422: "Unprocessable Content"}


class Problem(Exception):
    """An answer other than success. ``kind`` is the last part of the problem's type, a stable word for programs."""

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        *,
        errors: tuple[tuple[str, str], ...] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.kind, self.detail = status, kind, detail
        self.errors = errors
        self.headers = dict(headers or {})


def problem_of(error: PerennialError, retry_after: int = 1) -> Problem:
    """The problem a domain error is told as. Says nothing of keys, endpoints or digests: those stand in the log."""
    retry = {"retry-after": str(retry_after)}
    match error:
        case BrokenJson():
            return Problem(400, "broken-json", "The body is not valid JSON.", errors=error.problems)
        case BrokenForm():
            return Problem(400, "broken-form", "The body is not valid multipart/form-data.", errors=error.problems)
        case UnreadablePictures():
            return _of_pictures(error)
        case InvalidRecord():
            return Problem(422, "invalid-record", "The record does not fit the model's schema.", errors=error.problems)
        case NotFoundError():
            return Problem(404, "unknown-model", "No such model is deployed. GET /models lists those that are.")
        case StoreUnavailable():
            return Problem(503, "store-unavailable", "The model cannot be read at the moment.", headers=retry)
        case TooBusy():
            return Problem(503, "busy", "Too much is in line at the moment.", headers={"retry-after": "1"})
        case IntegrityError():
            return Problem(503, "model-unverifiable", "The model cannot be verified, so it is not used.", headers=retry)
        case _:
            return internal_error()


def _of_pictures(error: UnreadablePictures) -> Problem:
    match error.kind:
        case "large":
            return Problem(413, "picture-too-large", "The picture is too large.", errors=error.problems)
        case "unsupported":
            return Problem(415, "unsupported-picture", "That kind of picture is not read.", errors=error.problems)
        case _:
            return Problem(422, "invalid-picture", "The picture cannot be read.", errors=error.problems)


def phrase(status: int) -> str:
    """The name of a status as RFC 9110 has it, which Python's own table came to follow only with 3.13."""
    return RENAMED.get(status) or HTTPStatus(status).phrase


def internal_error() -> Problem:
    return Problem(500, "internal", "The service failed. The request id leads to its log.")


def problem_response(problem: Problem, request_id: str) -> Response:
    """The problem as JSON, in the order people read it."""
    content: dict[str, Any] = {
        "type": TYPE_PREFIX + problem.kind,
        "title": phrase(problem.status),
        "status": problem.status,
        "detail": problem.detail,
        "request_id": request_id,
    }
    if problem.errors:
        content["errors"] = [{"field": field, "reason": reason} for field, reason in problem.errors]
    return Response(json.dumps(content), problem.status, problem.headers, MEDIA_TYPE)


class Problems:
    """The layer around the router that answers its errors, and the framework's own, as problems.

    What FastAPI puts there looks each error's handler up in a table, and wraps all that is sent to see whether an
    answer has begun; ours are sent whole, by an endpoint's last step.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        except (Problem, PerennialError, HTTPException) as error:
            response = _told(Request(scope), error)
            error.__traceback__ = None  # one that is raised again and again would gather the frames of all requests
            await response(scope, receive, send)


async def of_bug(request: Request, error: Exception) -> Response:
    """What is told of an error that nobody thought of."""
    services_of(request).telemetry.failed(error, trace_of(request.scope))
    return problem_response(internal_error(), trace_of(request.scope).request_id)


def _told(request: Request, error: Problem | PerennialError | HTTPException) -> Response:
    trace = trace_of(request.scope)
    if isinstance(error, Problem):
        return problem_response(error, trace.request_id)
    if isinstance(error, HTTPException):
        return problem_response(_of_http(error), trace.request_id)
    services = services_of(request)
    trace.error = type(error).__name__
    problem = problem_of(error, services.cache.retry_after(request.path_params.get("model", "")))
    if problem.status >= 500 and not isinstance(error, TooBusy):
        services.telemetry.failed(error, trace)
    return problem_response(problem, trace.request_id)


def _of_http(error: HTTPException) -> Problem:
    """What FastAPI and Starlette raise themselves: no such route, no such method."""
    match error.status_code:
        case 404:
            return Problem(404, "unknown-route", "No such route. GET /openapi.json lists them.")
        case 405:
            return Problem(405, "method-not-allowed", "This route does not take that method.", headers=error.headers)
        case status:
            return Problem(status, "http", phrase(status) + ".", headers=error.headers)
