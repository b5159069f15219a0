"""What is noted of one request while it is answered, for its log line, its metrics and its problem."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Literal, cast

from starlette.types import Scope

from perennial.serving.capture import NOTHING, Lines

SCOPE_KEY = "perennial.trace"
_CORRELATION = re.compile(rb"[A-Za-z0-9._:=/-]{1,128}")


@dataclass(slots=True)
class Trace:
    """One request's notes.

    ``at`` in seconds since 1970; ``rows`` counts predictions, ``untokened`` those without a feedback token, ``labels``
    what ground truth was stored; ``refresh`` says why the model could not be refreshed, ``unverified`` whether
    something in the bucket is not what its digest or signature says. ``challenger`` says whether that of a trial
    failed here, or is off.
    """

    request_id: str
    correlation_id: str
    at: float
    cold_start: bool = False
    model: str | None = None
    version: str | None = None
    generation: int | None = None
    rows: int = 0
    untokened: int = 0
    labels: int = 0
    captured: Lines = NOTHING
    error: str | None = None
    refresh: str | None = None
    unverified: bool = False
    challenger: Literal["failed", "off"] | None = None

    _time: str = ""

    @property
    def time(self) -> str:
        """``at`` as ISO 8601, UTC; worked out once."""
        if not self._time:
            self._time = iso(self.at)
        return self._time


def iso(seconds: float) -> str:
    """A moment as ISO 8601, UTC, to the millisecond."""
    whole = math.floor(seconds)
    more, microseconds = divmod(round((seconds - whole) * 1e6), 1_000_000)
    return f"{_second(whole + more)}.{microseconds // 1000:03d}+00:00"


@lru_cache(maxsize=2)
def _second(whole: int) -> str:
    """Most requests of a second come in a row."""
    return datetime.fromtimestamp(whole, UTC).strftime("%Y-%m-%dT%H:%M:%S")


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
