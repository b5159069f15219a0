"""The routes that name no model: for deployments of one."""

from __future__ import annotations

from fastapi import Request

from lambdas.api.problems import Problem
from lambdas.api.services import services_of


async def only_model(request: Request, verb: str) -> str:
    """The name of the one model that is deployed.

    Raises:
        Problem: there is none, or there are more; names the routes of ``verb`` for these.
    """
    names = [deployed.name for deployed in await services_of(request).deployed()]
    if not names:
        raise Problem(404, "no-model", "No model is deployed yet.")
    if len(names) > 1:
        routes = ", ".join(f"/models/{name}/{verb}" for name in names[:20])
        raise Problem(409, "several-models", f"More than one model is deployed. Use one of {routes}.")
    return names[0]
