"""Events of an API Gateway HTTP API (payload 2.0), and the handler of an app, as Lambda would call it."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI

from lambdas.api import app as application
from lambdas.api.adapter import adapted


@dataclass(frozen=True)
class Reply:
    """What the handler gave back, decoded."""

    status: int
    headers: Mapping[str, str]
    body: str
    is_base64: bool

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class LambdaContext:
    """The part of Lambda's context that is read."""

    aws_request_id = "11111111-2222-3333-4444-555555555555"


def route_key(method: str, path: str) -> str:
    """The route that API Gateway would choose, of those in infra/stacks/gateway.yaml."""
    for own, template, _ in application.ROUTES:
        methods = {"GET", "HEAD"} if own == "GET" else {own}
        if method in methods and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path):
            return f"{method} {template}"
    return "$default"


def event(
    method: str,
    path: str,
    body: bytes | str | None = None,
    *,
    headers: Mapping[str, str] | None = None,
    encode: bool = False,
    query: str = "",
) -> dict[str, Any]:
    """One event; ``encode`` sends the body as base64, as API Gateway does with bodies that are not text."""
    found: dict[str, Any] = {
        "version": "2.0",
        "routeKey": route_key(method, path),
        "rawPath": path,
        "rawQueryString": query,
        "headers": {"host": "api.example.org", "content-type": "application/json", **(headers or {})},
        "requestContext": {"http": {"method": method, "path": path, "sourceIp": "192.0.2.1"}, "requestId": "id"},
        "isBase64Encoded": encode,
    }
    if body is not None:
        data = body.encode() if isinstance(body, str) else body
        found["body"] = base64.b64encode(data).decode() if encode else data.decode()
    return found


def caller(app: FastAPI) -> Callable[..., Reply]:
    """A function that sends an event through the adapter and the app: ``call("GET", "/health")``."""
    adapter = adapted(app)

    def call(method: str, path: str, body: bytes | str | None = None, **options: Any) -> Reply:
        found = adapter(event(method, path, body, **options), LambdaContext())  # type: ignore[arg-type]
        return Reply(found["statusCode"], found.get("headers", {}), found["body"], found["isBase64Encoded"])

    return call
