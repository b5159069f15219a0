"""Letting the pages of one origin call, where no HTTP API before the server does so: its `CorsConfiguration` in Python.

Loaded only by a server that has such an origin.
"""

from __future__ import annotations

from fastapi import FastAPI, Response
from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.types import Receive, Scope, Send

from lambdas.api.problems import Problem, problem_response
from lambdas.api.trace import trace_of

METHODS = ("GET", "POST")
ALLOWED = ("content-type", "x-correlation-id")
EXPOSED = ("x-request-id", "retry-after")


def allow(app: FastAPI, origin: str) -> None:
    """Let the pages of one origin call."""
    app.add_middleware(
        _Cors, allow_origins=[origin], allow_methods=METHODS, allow_headers=ALLOWED, expose_headers=EXPOSED, max_age=600
    )


class _Refusal(Response):
    """A refused preflight as a problem, made when it is sent, since only then the request is known."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        problem = Problem(
            400, "cross-origin", "This origin may not send that method with those headers.", headers={"vary": "Origin"}
        )
        await problem_response(problem, trace_of(scope).request_id)(scope, receive, send)


class _Cors(CORSMiddleware):
    def preflight_response(self, request_headers: Headers) -> Response:
        found = super().preflight_response(request_headers)
        return found if found.status_code == 200 else _Refusal()
