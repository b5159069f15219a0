"""GET /openapi.json and GET /docs: made when asked for, from what is deployed; no script, no CDN."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import Any

from fastapi import Request, Response

from lambdas.api.models import schema_of
from lambdas.api.services import services_of
from perennial.errors import PerennialError
from perennial.serving.catalog import Deployed
from perennial.serving.refresh import Snapshot


async def openapi(request: Request) -> Response:
    """This API as an OpenAPI 3.1 document, with the record schema of each deployed model."""
    return Response(json.dumps(await _document(request)), media_type="application/json")


async def docs(request: Request) -> Response:
    """The same document as a page for people."""
    from lambdas.api.page import POLICY, render

    page = render(await _document(request))
    return Response(page, media_type="text/html; charset=utf-8", headers={"content-security-policy": POLICY})


async def _document(request: Request) -> dict[str, Any]:
    """The document with what models can be read now; an unreadable one is left out, and `/ready` tells of it."""
    from lambdas.api.openapi import document  # FastAPI's OpenAPI models are built by using them, and few ask

    services = services_of(request)
    records: dict[str, dict[str, Any]] = {}
    deployed: tuple[Deployed, ...] = ()
    with suppress(PerennialError):
        deployed = await services.deployed()
    found = await asyncio.gather(
        *(services.snapshot(request, model.name) for model in deployed), return_exceptions=True
    )
    for model, snapshot in zip(deployed, found, strict=True):
        if isinstance(snapshot, Snapshot):
            records[model.name] = schema_of(snapshot)
        elif not isinstance(snapshot, PerennialError):
            raise snapshot
    return document(request.app, records)
