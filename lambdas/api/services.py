"""What the routes need, made once an app: the models, their list, the clock and the ids."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import Request

from lambdas.api.ids import uuid7
from lambdas.api.telemetry import Telemetry
from lambdas.api.trace import trace_of
from perennial.serving.catalog import Catalog, Deployed
from perennial.serving.refresh import ModelCache, Snapshot

LOOK_SECONDS = 1.0


@dataclass(frozen=True)
class Services:
    """Shared by all requests of one app. ``clock`` gives seconds since 1970, ``entropy`` n random bytes."""

    cache: ModelCache
    catalog: Catalog
    clock: Callable[[], float]
    entropy: Callable[[int], bytes]
    telemetry: Telemetry

    def new_id(self) -> str:
        return uuid7(self.clock(), self.entropy(10))

    async def snapshot(self, request: Request, model: str) -> Snapshot:
        """The champion that answers this whole request, noted in its trace. Raises as ``ModelCache.get``."""
        found = self.cache.peek(model)
        looked = found is None
        found = found or await self._look(model)
        trace = trace_of(request.scope)
        trace.model, trace.version, trace.generation = model, found.entry.version, found.entry.generation
        state = self.cache.state(model)
        if state is not None and state.failure is not None:
            trace.refresh = state.failure.reason
            if looked:
                self.telemetry.failed(state.failure.error, trace)
        return found

    async def deployed(self) -> tuple[Deployed, ...]:
        """The models this API serves. Raises as ``Catalog.models``."""
        known = self.catalog.peek()
        return await asyncio.to_thread(self.catalog.models) if known is None else known

    async def _look(self, model: str) -> Snapshot:
        """Look in a thread, so that other requests go on; with an answer at hand, wait for S3 a second at most."""
        look = asyncio.get_running_loop().run_in_executor(None, self.cache.get, model)
        last_good = self.cache.last_good(model)
        if last_good is None:
            return await look
        try:
            return await asyncio.wait_for(asyncio.shield(look), LOOK_SECONDS)
        except TimeoutError:
            return last_good


def services_of(request: Request) -> Services:
    services: Services = request.app.state.services
    return services
