"""The outermost layer: starts a request's notes, answers HEAD as GET without a body, and records the outcome."""

from __future__ import annotations

import time
from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lambdas.api.telemetry import Telemetry
from lambdas.api.trace import start_trace
from perennial.serving.refresh import Clock

NOSNIFF = (b"x-content-type-options", b"nosniff")


class Observed:
    """ASGI middleware. ``clock`` gives seconds since 1970, ``new_id`` a request id where the platform has none."""

    def __init__(self, app: ASGIApp, *, telemetry: Telemetry, clock: Clock, new_id: Callable[[], str]) -> None:
        self._app = app
        self._telemetry = telemetry
        self._clock = clock
        self._new_id = new_id
        self._cold = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        trace = start_trace(scope, self._clock(), self._new_id)
        trace.cold_start, self._cold = self._cold, False
        method, status = scope["method"], 500
        request_id = (b"x-request-id", trace.request_id.encode())

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], request_id, NOSNIFF]
            elif method == "HEAD":
                message = {**message, "body": b""}
            await send(message)

        if method == "HEAD":
            scope = {**scope, "method": "GET"}  # the server looks at its own again, to know that no body follows
        try:
            await self._app(scope, receive, noting)
        finally:
            route = getattr(scope.get("route"), "path", "unmatched")
            self._telemetry.record(trace, method, route, status, (time.perf_counter() - started) * 1000)
