"""The API with a leak: it keeps the body of every request. The soak must tell it from the one that does not."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lambdas.api import app as api

KEPT: list[bytes] = []


class Keeping:
    """ASGI middleware that remembers what passes it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def keeping() -> Message:
            message = await receive()
            KEPT.append(bytes(bytearray(message.get("body", b""))))
            return message

        await self._app(scope, keeping, send)


def create_app() -> FastAPI:
    app = api.create_app()
    app.add_middleware(Keeping)
    return app
