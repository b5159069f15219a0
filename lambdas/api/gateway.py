"""Mangum's reader of HTTP API events, which works out an event's scope once instead of twice."""

from __future__ import annotations

from functools import cached_property

from mangum.handlers import HTTPGateway
from mangum.types import Scope


class Gateway(HTTPGateway):
    """Given to Mangum as a custom handler, so it is also asked first."""

    @cached_property
    def scope(self) -> Scope:
        return super().scope
