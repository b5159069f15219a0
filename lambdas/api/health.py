"""GET /health and GET /ready."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from fastapi import Request, Response

from lambdas.api.models import trial_of
from lambdas.api.services import Services, services_of
from perennial.errors import PerennialError


async def health(request: Request) -> Response:
    """Alive: the process answers. Reads nothing."""
    return Response(b'{"status":"ok"}', media_type="application/json")


async def ready(request: Request) -> Response:
    """Which version and generation of each model is served, how old that knowledge is, and what fails since when.

    200 where every model can answer, or is served from its last good version; 503 where one cannot, or none is there.
    """
    services = services_of(request)
    complete = True
    try:
        names = [deployed.name for deployed in await services.deployed()]
    except PerennialError:  # what is loaded is served all the same
        complete, names = False, [deployed.name for deployed in services.loaded()]
    models = list(await asyncio.gather(*(_describe(request, name, services) for name in names)))
    if not models or any(model["status"] == "unavailable" for model in models):
        return _answer("unavailable", models, 503)
    ready = complete and all(model["status"] == "ready" for model in models)
    return _answer("ready" if ready else "stale", models, 200)


async def _describe(request: Request, name: str, services: Services) -> dict[str, Any]:
    with suppress(PerennialError):  # told by the model's state
        await services.snapshot(request, name)
    line: dict[str, Any] = {"name": name, "status": "ready"}
    state = services.cache.state(name)
    if state is None:  # the first look has not come back yet
        failure = {"reason": "store_unavailable", "since": _iso(services.clock())}
        return line | {"status": "unavailable", "failure": failure}
    if state.snapshot is not None:
        line |= {"version": state.snapshot.entry.version, "generation": state.snapshot.entry.generation}
        trial = trial_of(state.snapshot)
        if trial is not None:
            line["trial"] = trial
    if state.failure is not None:
        line["status"] = "stale" if state.snapshot is not None else "unavailable"
        line["failure"] = {"reason": state.failure.reason, "since": _iso(state.failure.since)}
    line["checked_seconds_ago"] = round(max(0.0, services.clock() - state.checked_at), 1)
    return line


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _answer(status: str, models: list[dict[str, Any]], code: int) -> Response:
    headers = {"cache-control": "no-store"} | ({"retry-after": "1"} if code == 503 else {})
    return Response(json.dumps({"status": status, "models": models}), code, headers, "application/json")
