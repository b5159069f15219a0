"""Mangum's reader of HTTP API events, and the rule that what a gateway let through runs that route and no other."""

from __future__ import annotations

from typing import Any

from mangum.handlers import HTTPGateway
from mangum.types import Scope

_ADDRESS = ("host", "x-forwarded-port")


class Gateway(HTTPGateway):
    """Given to Mangum as a custom handler, so it is also asked first. Works out an event's scope once, not twice.

    What a caller can spell wrong is answered by the application, not by an exception of the function.
    """

    _scope: Scope | None = None

    @property
    def scope(self) -> Scope:
        if self._scope is None:
            self._scope = self._read()
        return self._scope

    def _read(self) -> Scope:
        try:
            return super().scope
        except ValueError:  # of a host or a port that is none, by which nothing goes here
            headers = {name: value for name, value in self.event["headers"].items() if name.lower() not in _ADDRESS}
            scope = HTTPGateway({**self.event, "headers": headers}, self.context, self.config).scope
            scope["aws.event"] = self.event
            return scope

    @property
    def body(self) -> bytes:
        try:
            return super().body
        except ValueError:  # no base64, though it says so, or no text that can be encoded: read as it is
            return str(self.event["body"]).encode("utf-8", "surrogatepass")


def let_through(scope: Any, path: str) -> bool:
    """Whether the gateway chose the route of ``path``, such as ``/models/{model}``, for the request of an ASGI scope.

    Who may call is decided by the gateway, a route at a time. A path that it reads otherwise than the server does, by
    an encoding or a slash too many, comes by ``$default``, which is open to everyone, or by the route of another path:
    then it must find nothing here. Where no gateway stands before the server there is nothing to compare.
    """
    event = scope.get("aws.event")
    return event is None or str(event.get("routeKey")).partition(" ")[2] == path
