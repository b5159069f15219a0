"""Mangum, with an event loop only where a request waits for something.

A warm prediction waits for nothing: its model and its key are in memory. To make a task of it, and to have a loop poll
for events and stop again, would take a tenth of its time.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from mangum import Mangum
from mangum.exceptions import UnexpectedMessage
from mangum.protocols.http import HTTPCycle, HTTPCycleState
from mangum.types import ASGI, LambdaContext, LambdaEvent, Message, Response, Scope

from lambdas.api.gateway import Gateway
from lambdas.api.problems import MEDIA_TYPE

LOGGER = logging.getLogger("mangum.http")
TEXT = ["application/json", MEDIA_TYPE, "text/"]
GONE: Message = {"type": "http.disconnect"}

DIRECT = frozenset({"POST /models/{model}/predict", "POST /predict"})
"""Routes that ask for a loop (``lambdas.api.waiting``) before they wait."""


def adapted(app: ASGI) -> Adapter:
    """The app as a function that answers events of an HTTP API (payload 2.0)."""
    return Adapter(app, lifespan="off", text_mime_types=TEXT, custom_handlers=[Gateway])


class Adapter(Mangum):
    """Answers events as Mangum does; those of ``DIRECT`` without a loop for as long as they need none."""

    def __call__(self, event: LambdaEvent, context: LambdaContext) -> dict[str, Any]:
        if event.get("routeKey") not in DIRECT:
            return super().__call__(event, context)
        gateway = self.infer(event, context)
        return gateway(_DirectCycle(gateway.scope, gateway.body)(self.app))


class _DirectCycle(HTTPCycle):
    """One request, run here up to where it asks for a loop, and from there on as a task in it.

    It has one body and one answer, which need no queue and no buffer.
    """

    def __init__(self, scope: Scope, body: bytes) -> None:
        self.scope = scope
        self.state = HTTPCycleState.REQUEST
        self.logger = LOGGER
        self.body = b""
        self._received: Message = {"type": "http.request", "body": body, "more_body": False}

    def __call__(self, app: ASGI) -> Response:
        running = self.run(app)
        try:
            running.send(None)
        except StopIteration:
            pass
        else:
            loop = asyncio.get_event_loop()
            loop.run_until_complete(loop.create_task(running))
        return {"status": self.status, "headers": self.headers, "body": self.body}

    async def receive(self) -> Message:
        received, self._received = self._received, GONE
        return received

    async def send(self, message: Message) -> None:
        if self.state is HTTPCycleState.REQUEST and message["type"] == "http.response.start":
            self.status, self.headers = message["status"], message["headers"]
            self.state = HTTPCycleState.RESPONSE
        elif self.state is HTTPCycleState.RESPONSE and message["type"] == "http.response.body":
            self.body += message.get("body", b"")
            if not message.get("more_body", False):
                self.state = HTTPCycleState.COMPLETE
        else:
            raise UnexpectedMessage(f"Unexpected {message['type']}")
