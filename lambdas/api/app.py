"""The application: which routes there are, and what they are given."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.routing import APIRoute
from fastapi.telemetry import TelemetryConfig
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.routing import Match
from starlette.types import ASGIApp, Receive, Scope, Send

from lambdas.api import batches, documents, feedback, health, models, predict
from lambdas.api.gateway import let_through
from lambdas.api.observed import Observed
from lambdas.api.problems import Problems, of_bug
from lambdas.api.services import Services
from lambdas.api.signing import Signing
from lambdas.api.telemetry import Telemetry
from perennial.serving.capture import Capture
from perennial.serving.catalog import Catalog
from perennial.serving.refresh import Clock, ModelCache
from perennial.settings import Settings
from perennial.store import Store
from perennial.store_opening import Patience, open_store

Endpoint = Callable[[Request], Coroutine[Any, Any, Response]]

PATIENCE = Patience(request=8.0, silence=2.0, retries=1, retrying=4.0)  # a silent S3 is known as such after 4 s
ROUTES: tuple[tuple[str, str, Endpoint], ...] = (
    ("POST", "/models/{model}/predict", predict.predict),
    ("POST", "/predict", predict.predict_only),
    ("POST", "/models/{model}/feedback", feedback.give_feedback),
    ("POST", "/feedback", feedback.give_feedback_only),
    ("POST", "/models/{model}/batches", batches.create_batch),
    ("POST", "/batches", batches.create_batch_only),
    ("GET", "/models/{model}/batches/{id}", batches.show_batch),
    ("GET", "/models", models.list_models),
    ("GET", "/models/{model}", models.show_model),
    ("GET", "/models/{model}/schema", models.show_schema),
    ("GET", "/health", health.health),
    ("GET", "/ready", health.ready),
    ("GET", "/openapi.json", documents.openapi),
    ("GET", "/docs", documents.docs),
)
UNOBSERVED: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False}
"""The server writes its own lines and metrics; whether OpenTelemetry is set up need not be asked at each request."""


class RawRoute(APIRoute):
    """A route whose endpoint takes the request and gives the response: its schema is the model's, not Python's.

    Without dependencies there is nothing to enter or to close around an endpoint, so nothing is set up for that.
    """

    def __init__(self, path: str, endpoint: Endpoint, **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        self._respond = endpoint

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As any route: 405 for a method that it does not take."""
        if self.methods and scope["method"] not in self.methods:
            await super().handle(scope, receive, send)
            return
        response = await self._respond(Request(scope, receive, send))
        await response(scope, receive, send)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """As any route, but it runs only what the gateway let through to it; 405 stays what it is."""
        match, found = super().matches(scope)
        return (Match.NONE, {}) if match is Match.FULL and not let_through(scope, self.path) else (match, found)


class Api(FastAPI):
    """FastAPI with those layers around its router that have something to do here.

    Left out is what closes files of forms, what counts bodies for an app that is mounted in another, what hands errors
    to OpenTelemetry, and the table of error handlers, in place of which stands ``Problems``.
    """

    def build_middleware_stack(self) -> ASGIApp:
        stack: ASGIApp = Problems(self.router)
        for layer, args, options in reversed(self.user_middleware):
            stack = layer(stack, *args, **options)
        return ServerErrorMiddleware(stack, handler=of_bug)


def create_app(
    settings: Settings | None = None,
    store: Store | None = None,
    *,
    clock: Clock = time.time,
    entropy: Callable[[int], bytes] = os.urandom,
    telemetry: Telemetry | None = None,
) -> FastAPI:
    """The API over one bucket; ``lambdas.api.server`` gives it to a server.

    Raises:
        SettingsError: no settings are given, and the environment names no bucket.
    """
    settings = settings or Settings.load()
    store = store or open_store(settings, patience=PATIENCE)
    app = Api(
        title="Perennial", openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False, telemetry=UNOBSERVED
    )
    telemetry = telemetry or Telemetry()
    services = Services(
        settings=settings,
        cache=ModelCache(store, refresh_seconds=settings.refresh_seconds, clock=clock),
        catalog=Catalog(store, refresh_seconds=settings.refresh_seconds, clock=clock),
        store=store,
        signing=Signing(store, entropy=entropy, clock=clock, told=telemetry.failed),
        capture=Capture(entropy(8).hex()),
        clock=clock,
        entropy=entropy,
        telemetry=telemetry,
    )
    app.state.services = services
    app.router.route_class = RawRoute
    for method, path, endpoint in ROUTES:
        app.add_api_route(path, endpoint, methods=[method])
    if "uvicorn" in sys.modules:
        from lambdas.api import masking

        masking.mask_ids()
    if settings.allowed_origin:
        from lambdas.api import cors  # not needed behind an HTTP API

        cors.allow(app, settings.allowed_origin)
    app.add_middleware(Observed, telemetry=telemetry, clock=clock, new_id=services.new_id)
    return app
