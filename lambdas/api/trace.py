"""What is noted of one request while it is answered, for its log line, its metrics and its problem."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from starlette.types import Scope

SCOPE_KEY = "perennial.trace"
_CORRELATION = re.compile(rb"[A-Za-z0-9._:=/-]{1,128}")


@dataclass(slots=True)
class Trace:
    """One request's notes.

    ``at`` in seconds since 1970; ``rows`` counts predictions; ``refresh`` says why the model could not be refreshed.
    """

    request_id: str
    correlation_id: str
    at: float
    cold_start: bool = False
    model: str | None = None
    version: str | None = None
    generation: int | None = None
    rows: int = 0
    error: str | None = None
    refresh: str | None = None


def trace_of(scope: Scope) -> Trace:
    """The notes of the request being answered."""
    return cast(Trace, scope[SCOPE_KEY])


def start_trace(scope: Scope, at: float, new_id: Callable[[], str]) -> Trace:
    """Begin the notes of a request: Lambda's request id where there is one, the caller's correlation id where legal."""
    context: Any = scope.get("aws.context")
    request_id = getattr(context, "aws_request_id", None) or new_id()
    trace = Trace(request_id, _correlation_id(scope) or request_id, at)
    scope[SCOPE_KEY] = trace
    return trace


def _correlation_id(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == b"x-correlation-id" and _CORRELATION.fullmatch(value):
            return bytes(value).decode()
    return None
