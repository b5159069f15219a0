"""Mangum's reader of HTTP API events, and the rule that what a gateway let through runs that route and no other."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from mangum.handlers import HTTPGateway
from mangum.types import Scope


class Gateway(HTTPGateway):
    """Given to Mangum as a custom handler, so it is also asked first. Works out an event's scope once, not twice."""

    @cached_property
    def scope(self) -> Scope:
        return super().scope


def let_through(scope: Any, path: str) -> bool:
    """Whether the gateway chose the route of ``path``, such as ``/models/{model}``, for the request of an ASGI scope.

    Who may call is decided by the gateway, a route at a time. A path that it reads otherwise than the server does, by
    an encoding or a slash too many, comes by ``$default``, which is open to everyone, or by the route of another path:
    then it must find nothing here. Where no gateway stands before the server there is nothing to compare.
    """
    event = scope.get("aws.event")
    return event is None or str(event.get("routeKey")).partition(" ")[2] == path
