"""The adapter answers as Mangum does, and needs an event loop only where a prediction waits."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI
from mangum import Mangum
from starlette.types import Receive, Scope, Send

from lambdas.api.adapter import TEXT, adapted
from lambdas.api.app import create_app
from lambdas.api.gateway import Gateway
from lambdas.api.waiting import event_loop
from perennial.settings import Settings
from tests.support.events import LambdaContext, event
from tests.support.models import IRIS_RECORD, build, promote
from tests.support.stores import Bucket, Clock

PREDICT = "/models/iris/predict"
Handler = Callable[[Any, Any], dict[str, Any]]
BODIES = {
    "record": json.dumps(IRIS_RECORD),
    "batch": json.dumps({"instances": [IRIS_RECORD] * 3}),
    "broken": "{",
    "wrong": json.dumps({"nothing": 1}),
}


def served(bucket: Bucket) -> FastAPI:
    """The API with the same ids each time, so that two answers can be compared whole."""
    return create_app(Settings(bucket="bucket"), bucket.store, clock=Clock(), entropy=lambda count: b"r" * count)


def mangum(app: FastAPI) -> Handler:
    handler: Handler = Mangum(app, lifespan="off", text_mime_types=TEXT, custom_handlers=[Gateway])
    return handler


def ask(handler: Handler, body: str | bytes = BODIES["record"], path: str = PREDICT, **options: Any) -> dict[str, Any]:
    return handler(event("POST", path, body, **options), LambdaContext())


@pytest.fixture
def bucket() -> Bucket:
    made = Bucket()
    promote(made.writer, build())
    return made


def test_it_answers_as_mangum_does(bucket: Bucket) -> None:
    ours, theirs = adapted(served(bucket)), mangum(served(bucket))
    for path in (PREDICT, PREDICT, "/predict", "/models/none/predict", "/feedback"):
        for body in BODIES.values():
            assert ask(ours, body, path) == ask(theirs, body, path)
    assert ask(ours, headers={"content-type": "text/csv"}) == ask(theirs, headers={"content-type": "text/csv"})


def test_only_a_prediction_that_waits_needs_a_loop(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    loops: list[object] = []
    run = asyncio.BaseEventLoop.run_until_complete

    def noted(loop: asyncio.BaseEventLoop, future: Any) -> Any:
        loops.append(loop)
        return run(loop, future)

    monkeypatch.setattr(asyncio.BaseEventLoop, "run_until_complete", noted)
    handler = adapted(served(bucket))
    assert ask(handler)["statusCode"] == 200
    assert len(loops) == 1  # it looked at S3

    for body in BODIES.values():
        ask(handler, body)
    assert ask(handler)["statusCode"] == 200
    assert len(loops) == 1

    handler(event("GET", "/health"), LambdaContext())  # type: ignore[arg-type]
    assert len(loops) == 2  # other routes are Mangum's own affair


def test_an_app_that_fails_is_answered_as_by_mangum() -> None:
    async def failing(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("nobody thought of it")

    async def halfway(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("nobody thought of it")

    async def twice(scope: Scope, receive: Receive, send: Send) -> None:
        for _ in range(2):
            await send({"type": "http.response.start", "status": 200, "headers": []})

    for app in (failing, halfway, twice):
        plain = Mangum(app, lifespan="off", text_mime_types=TEXT, custom_handlers=[Gateway])
        assert ask(adapted(app)) == ask(plain)
        assert ask(plain)["statusCode"] == 500


def test_parts_of_an_answer_are_joined_and_a_body_is_given_once() -> None:
    received: list[str] = []

    async def parted(scope: Scope, receive: Receive, send: Send) -> None:
        received.extend([(await receive())["type"], (await receive())["type"]])
        await asyncio.sleep(0.001)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        for part in (b"one ", b"two ", b"three"):
            await send({"type": "http.response.body", "body": part, "more_body": part != b"three"})

    async def waiting(scope: Scope, receive: Receive, send: Send) -> None:
        await event_loop()
        await parted(scope, receive, send)

    assert ask(adapted(waiting))["body"] == "one two three"
    assert received == ["http.request", "http.disconnect"]
