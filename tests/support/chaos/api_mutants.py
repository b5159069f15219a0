"""The API with one thing about its errors that must not be; the same requests must tell it from the right one."""

from __future__ import annotations

import pytest
from fastapi import FastAPI, Request
from pydantic import BaseModel, ConfigDict
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lambdas.api import predict

Iris = type(
    "Iris",
    (BaseModel,),
    {
        "__annotations__": dict.fromkeys(("sepal_length", "sepal_width", "petal_length", "petal_width"), float),
        "model_config": ConfigDict(extra="forbid"),
    },
)


def by_default(app: FastAPI, patch: pytest.MonkeyPatch) -> FastAPI:
    """A route as FastAPI has it: its own errors say what was sent, and fail on numbers that JSON has not."""
    app = FastAPI()

    @app.post("/models/{model}/predict")
    async def predict(model: str, record: Iris) -> dict[str, str]:  # type: ignore[valid-type]
        return {"prediction": model}

    return app


class _Plain:
    """ASGI middleware that says errors by their details alone."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        plain: Response | None = None

        async def said(message: Message) -> None:
            nonlocal plain
            if message["type"] == "http.response.start" and message["status"] >= 400:
                plain = PlainTextResponse("failed", message["status"])
            elif plain is None:
                await send(message)

        await self._app(scope, receive, said)
        if plain is not None:
            await plain(scope, receive, send)


def in_plain_text(app: FastAPI, patch: pytest.MonkeyPatch) -> FastAPI:
    """Errors as plain text."""
    app.add_middleware(_Plain)
    return app


def without_a_limit(app: FastAPI, patch: pytest.MonkeyPatch) -> FastAPI:
    """Bodies of any size are read."""

    async def read(request: Request) -> bytes:
        parts: list[bytes] = []
        more = True
        while more:
            message = await request.receive()
            parts.append(message.get("body", b""))
            more = message.get("more_body", False)
        return b"".join(parts)

    patch.setattr(predict, "read_json", read)
    return app


class _Telling:
    """ASGI middleware that writes down what it was sent."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def told() -> Message:
            message = await receive()
            print(f"debug: {message.get('body', b'')[:300]!r}")
            return message

        await self._app(scope, told, send)


def talkative(app: FastAPI, patch: pytest.MonkeyPatch) -> FastAPI:
    """Bodies stand in the log."""
    app.add_middleware(_Telling)
    return app
