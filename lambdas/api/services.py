"""What the routes need, made once an app: the models, their list, the clock and the ids.

S3 may be down, slow, or silent. A request with an answer at hand waits for it a second at most, and
only the one request that looks; one without waits a few seconds, so that it can still say 503 before
the function it runs in is ended. The look itself goes on, for those who ask next.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeVar

from starlette.requests import Request

from lambdas.api.looks import Looks
from lambdas.api.signing import Signing
from lambdas.api.telemetry import Telemetry
from lambdas.api.trace import trace_of
from lambdas.api.waiting import event_loop
from lambdas.api.workers import Workers
from perennial import keys
from perennial.errors import IntegrityError, StoreUnavailable
from perennial.serving.capture import Capture
from perennial.serving.catalog import Catalog, Deployed
from perennial.serving.feedback import Outcome, store_label
from perennial.serving.ids import uuid7
from perennial.serving.labels import Label
from perennial.serving.refresh import Failure, ModelCache, Snapshot
from perennial.settings import Settings
from perennial.store import Store

LOOK_SECONDS = 1.0
COLD_LOOK_SECONDS = 5.0  # a request makes two looks at most, one after the other: the list, and a model
THREADS = 4
MAX_UNKNOWN_LOOKS = 64
MAX_LABELS = 64
MAX_BATCH_LOOKS = 64
MAX_PICTURES_STORED = 64

T = TypeVar("T")


@dataclass(frozen=True)
class Services:
    """Shared by all requests of one app. ``clock`` gives seconds since 1970, ``entropy`` n random bytes."""

    settings: Settings
    cache: ModelCache
    catalog: Catalog
    store: Store
    signing: Signing
    capture: Capture
    clock: Callable[[], float]
    entropy: Callable[[int], bytes]
    telemetry: Telemetry
    _lists: Looks[tuple[Deployed, ...]] = field(default_factory=lambda: Looks(threads=1))
    _models: Looks[Snapshot] = field(default_factory=lambda: Looks(threads=THREADS))
    _unknown: Looks[Snapshot] = field(default_factory=lambda: Looks(threads=THREADS, limit=MAX_UNKNOWN_LOOKS))
    _labels: Looks[Outcome] = field(default_factory=lambda: Looks(threads=THREADS, limit=MAX_LABELS))
    _pictures: Looks[None] = field(default_factory=lambda: Looks(threads=THREADS, limit=MAX_PICTURES_STORED))
    _workers: Workers = field(default_factory=Workers)
    _told: dict[str, Failure] = field(default_factory=dict)
    _batches: Looks[Any] = field(default_factory=lambda: Looks(threads=THREADS, limit=MAX_BATCH_LOOKS))

    def new_id(self) -> str:
        return uuid7(self.clock(), self.entropy(10))

    async def snapshot(self, request: Request, model: str) -> Snapshot:
        """The champion that answers this whole request, noted in its trace. Raises as ``ModelCache.get``."""
        trace, before = trace_of(request.scope), self.cache.state(model)
        try:
            found = self.cache.peek(model) or await self._look(model)
        except IntegrityError:
            trace.unverified = True
            raise
        trace.model, trace.version, trace.generation = model, found.entry.version, found.entry.generation
        state = self.cache.state(model)
        if state is not None and state.failure is not None:
            trace.refresh = state.failure.reason
            trace.unverified |= isinstance(state.failure.error, IntegrityError)
            if self._told.get(model) is not state.failure:  # by whoever sees it first: it may not be who looked
                self._told[model] = state.failure
                self.telemetry.failed(state.failure.error, trace)
        if found.challenger is not None and found.challenger.status != "on":
            trace.challenger = "off"
            known = before.snapshot.challenger if before and before.snapshot else None
            if found.challenger.problem is not None and found.challenger is not known:  # told once a look
                trace.unverified |= isinstance(found.challenger.problem, IntegrityError)
                self.telemetry.failed(found.challenger.problem, trace)
        return found

    async def deployed(self) -> tuple[Deployed, ...]:
        """The models this API serves: those of the bucket, and any that is loaded. Raises as ``Catalog.models``."""
        known = self.catalog.peek()
        if known is None:
            last = self.catalog.last
            known = await _bounded(*self._lists.start("", self.catalog.models), last)
        loaded = self.cache.loaded()
        if len(loaded) == len(known) == 1 and loaded[0].predictor.manifest.model == known[0].name:
            return known
        return _union(known, loaded)

    def loaded(self) -> tuple[Deployed, ...]:
        """The models that are loaded, where the bucket's are not known."""
        return _union((), self.cache.loaded())

    async def store_label(self, label: Label, seconds: float) -> Outcome:
        """Store a label, waiting up to ``seconds``. Raises as ``perennial.serving.feedback.store_label``."""
        name = f"{label.model}/{label.prediction_id}/{label.truth}"
        storing, _ = self._labels.start(name, lambda: store_label(self.store, label))
        return await _bounded(storing, True, None, seconds)

    async def of_batch(self, name: str, call: Callable[[], T], seconds: float) -> T:
        """What ``call`` finds of a batch, or does, in S3, waiting up to ``seconds``. ``name`` names one such call.

        Raises:
            StoreUnavailable: S3 does not answer in time, or too many ask; and whatever ``call`` raises.
        """
        look, _ = self._batches.start(name, call)
        found: T = await _bounded(look, True, None, seconds)
        return found

    async def of_picture(self, call: Callable[[], T]) -> T:
        """What ``call`` makes of a picture, in a thread. Raises TooBusy where too many wait, and whatever it raises."""
        return await self._workers.run(call)

    def store_picture(self, model: str, digest: str, data: bytes) -> Future[None]:
        """Begin to store the bytes of a picture. Raises StoreUnavailable: too many are under way."""
        key = keys.image(model, digest)
        return self._pictures.start(key, lambda: self._put(key, data))[0]

    def _put(self, key: str, data: bytes) -> None:
        self.store.put_new(key, data)

    async def _look(self, model: str) -> Snapshot:
        """Look at a model. Made-up names have threads of their own, and hold up no model that there is."""
        last = self.cache.last_good(model)
        there = last is not None or any(model == known.name for known in self.catalog.last or ())
        looks = self._models if there else self._unknown
        look, new = looks.start(model, lambda: self.cache.get(model))
        try:
            return await _bounded(look, new, last)
        except StoreUnavailable:
            champion = self.cache.last_good(model)  # it may be there, and only its challenger be waited for
            if champion is None:
                raise
            return champion


async def _bounded(look: Future[T], new: bool, last: T | None, cold_seconds: float = COLD_LOOK_SECONDS) -> T:
    """What a look finds, within the time that S3 is waited for; what is known already where it takes longer.

    Raises:
        StoreUnavailable: it takes longer, and nothing is known.
    """
    if last is not None and not new:
        return last
    await event_loop()
    try:
        waiting = asyncio.shield(asyncio.wrap_future(look))
        return await asyncio.wait_for(waiting, cold_seconds if last is None else LOOK_SECONDS)
    except TimeoutError:
        if last is None:
            raise StoreUnavailable("S3 has not answered in time.", remedy="Ask again.") from None
        return last


def _union(known: tuple[Deployed, ...], loaded: list[Snapshot]) -> tuple[Deployed, ...]:
    """By name; what is loaded says of a model what the list cannot."""
    found = {snapshot.predictor.manifest.model: snapshot.champion for snapshot in loaded}
    models = {name: Deployed(name, champion) for name, champion in found.items()}
    models |= {model.name: model for model in known if model.champion is not None or model.name not in models}
    return tuple(models[name] for name in sorted(models))


def services_of(request: Request) -> Services:
    services: Services = request.app.state.services
    return services
