"""The API with an answer that its document does not know, for a server: schemathesis must see it."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lambdas.api import app as api


class _Extra:
    """ASGI middleware that adds a member to what ``/health`` answers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def more(message: Message) -> None:
            if scope.get("path") == "/health" and message["type"] == "http.response.start":
                headers = [(name, value) for name, value in message["headers"] if name != b"content-length"]
                message = {**message, "headers": headers}
            elif scope.get("path") == "/health" and message.get("body"):
                message = {**message, "body": message["body"][:-1] + b',"build":"debug"}'}
            await send(message)

        await self._app(scope, receive, more)


def create_app() -> FastAPI:
    """Over the bucket that the environment names."""
    app = api.create_app()
    app.add_middleware(_Extra)
    return app
