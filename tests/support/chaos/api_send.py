"""Requests as bytes on a connection, or as events of API Gateway; and the answers to them."""

from __future__ import annotations

import base64
import json
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from typing import Any
from urllib.parse import unquote, urlsplit

from fastapi import FastAPI

from lambdas.api.adapter import adapted
from tests.support.events import LambdaContext, route_key

SECONDS = 60.0
CHUNK = 1 << 16


@dataclass(frozen=True)
class Request:
    """One request, spelled as it is sent. ``target`` is its path and query; headers may repeat."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    chunked: bool = False


@dataclass(frozen=True)
class Reply:
    """An answer. Names of headers are in lower case; ``status`` 0 stands for none at all, and ``body`` says why."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


Send = Callable[[Request], Reply]


def over_http(url: str) -> Send:
    """A connection of its own for each request, which is sent whole whatever comes back meanwhile."""
    address = urlsplit(url)

    def send(request: Request) -> Reply:
        return converse(str(address.hostname), int(address.port or 80), spelled(request), request.method)

    return send


def spelled(request: Request) -> bytes:
    """The bytes of a request. What its headers say of its length stays as they say."""
    said = {name.lower() for name, _ in request.headers}
    headers = [("host", "api.example.org"), *request.headers, ("connection", "close")]
    body = request.body
    if request.chunked:
        headers.append(("transfer-encoding", "chunked"))
        parts = [body[at : at + CHUNK] for at in range(0, len(body), CHUNK)]
        body = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
    elif not said & {"content-length", "transfer-encoding"} and (body or request.method in ("POST", "PUT", "PATCH")):
        headers.append(("content-length", str(len(body))))
    head = f"{request.method} {request.target} HTTP/1.1\r\n" + "".join(
        f"{name}: {value}\r\n" for name, value in headers
    )
    return head.encode("utf-8", "surrogateescape") + b"\r\n" + body


def converse(host: str, port: int, data: bytes, method: str = "POST", seconds: float = SECONDS) -> Reply:
    """Send bytes to a server, and read one answer, which may take so long."""
    with socket.create_connection((host, port), timeout=seconds) as connection:
        with suppress(BrokenPipeError, ConnectionResetError):  # it has heard enough, and may have answered
            connection.sendall(data)
        try:
            answer = HTTPResponse(connection, method=method)
            answer.begin()
            body = answer.read()
        except (OSError, HTTPException) as error:
            return Reply(0, {}, f"{type(error).__name__}: {error}".encode())
    return Reply(answer.status, {name.lower(): value for name, value in answer.getheaders()}, body)


def through_events(app: FastAPI) -> Send:
    """By the handler, as events of an HTTP API (payload 2.0)."""
    adapter = adapted(app)

    def send(request: Request) -> Reply:
        found = adapter(event_of(request), LambdaContext())  # type: ignore[arg-type]
        body = base64.b64decode(found["body"]) if found["isBase64Encoded"] else found["body"].encode()
        return Reply(found["statusCode"], found.get("headers", {}), body)

    return send


def event_of(request: Request) -> dict[str, Any]:
    """What API Gateway makes of a request: repeated headers joined, paths decoded, bodies of no text in base64."""
    path, _, query = request.target.partition("?")
    headers: dict[str, str] = {"host": "api.example.org", "content-length": str(len(request.body))}
    for name, value in request.headers:
        known = headers.get(name.lower()) if name.lower() != "content-length" else None
        headers[name.lower()] = value if known is None else f"{known},{value}"
    decoded = unquote(path)
    found: dict[str, Any] = {
        "version": "2.0",
        "routeKey": route_key(request.method, path),
        "rawPath": decoded,
        "rawQueryString": query,
        "headers": headers,
        "requestContext": {
            "http": {"method": request.method, "path": decoded, "sourceIp": "192.0.2.1"},
            "requestId": "id",
        },
        "isBase64Encoded": False,
    }
    if request.body:
        try:
            found["body"] = request.body.decode()
        except UnicodeDecodeError:
            found |= {"body": base64.b64encode(request.body).decode(), "isBase64Encoded": True}
    return found
