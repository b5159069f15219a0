"""Who asks: what the share of a canary goes by. It decides nothing else, and is written nowhere."""

from __future__ import annotations

from typing import Any

from fastapi import Request

HEADER = b"x-caller-id"
MOST = 256


def caller_of(request: Request) -> str:
    """A name for whoever asks, the same at each request: the first of these that there is.

    1. Whom the HTTP API has authenticated: the subject of a JWT, or an IAM identity.
    2. The header ``X-Caller-Id``, by which a service that asks for many can tell them apart.
    3. The address the request came from.
    """
    scope = request.scope
    known = _authenticated(scope.get("aws.event"))
    if known is not None:
        return known
    for name, value in scope["headers"]:
        if name == HEADER and value:
            return f"id:{value[:MOST].decode('latin-1')}"
    client = scope.get("client")
    return f"at:{client[0]}" if client else "at:"


def _authenticated(event: Any) -> str | None:
    """By an event of an HTTP API (payload 2.0); None where there is none, or nobody was asked who they are."""
    context = event.get("requestContext") if isinstance(event, dict) else None
    authorizer = context.get("authorizer") if isinstance(context, dict) else None
    if not isinstance(authorizer, dict):
        return None
    for kind, path in (("jwt", ("jwt", "claims", "sub")), ("iam", ("iam", "userArn"))):
        found: Any = authorizer
        for part in path:
            found = found.get(part) if isinstance(found, dict) else None
        if isinstance(found, str) and found:
            return f"{kind}:{found}"
    return None
