"""Keeps a server's models fresh: the alias by its ETag, at most every so often; the last good version on any failure.

Each model has one immutable state, replaced whole, so a request that holds a snapshot keeps it to its
end while others already see the next. One thread looks at a model at a time; a request that has an
answer never waits for another's look, nor any model for another's.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

from perennial.errors import IntegrityError, NotFoundError, PerennialError, SignatureRefused, StoreUnavailable
from perennial.registry.log import LogEntry
from perennial.serving.challenger import Challenger, carried_over, is_due, load_challenger
from perennial.serving.champion import Champion, read_champion
from perennial.serving.load import first_champion, load
from perennial.serving.picture_requests import PictureRequests
from perennial.serving.predictor import Predictor
from perennial.serving.requests import RequestSchema
from perennial.store import Store

COLD_RETRY_SECONDS = 1.0
MAX_UNKNOWN = 1000

Clock = Callable[[], float]


@dataclass(frozen=True)
class Snapshot:
    """One model version as served: what a whole request is answered with; and while a trial runs, its challenger."""

    champion: Champion
    predictor: Predictor
    requests: RequestSchema | PictureRequests
    challenger: Challenger | None = None

    @property
    def entry(self) -> LogEntry:
        """The newest log entry: its version is champion."""
        return self.champion.entry


@dataclass(frozen=True)
class Failure:
    """Why the alias could not be followed, and since when (seconds since 1970) without a success between."""

    error: PerennialError
    since: float

    @property
    def reason(self) -> str:
        """A word that says what kind of failure it is, and nothing about the deployment."""
        match self.error:
            case StoreUnavailable():
                return "store_unavailable"
            case SignatureRefused():
                return "signature"
            case IntegrityError():
                return "integrity"
            case _:
                return "not_found"


@dataclass(frozen=True)
class State:
    """What is known of one model. Without a snapshot, the failure is why; ``checked_at`` in seconds since 1970."""

    snapshot: Snapshot | None
    checked_at: float
    failure: Failure | None


class ModelCache:
    """The champions of one bucket, loaded when first asked for. Thread-safe."""

    def __init__(self, store: Store, *, refresh_seconds: float, clock: Clock) -> None:
        self._store = store
        self._refresh_seconds = refresh_seconds
        self._clock = clock
        self._states: dict[str, State] = {}
        self._looking: dict[str, threading.Lock] = {}
        self._writing = threading.Lock()  # never held while S3 is asked

    def peek(self, model: str) -> Snapshot | None:
        """The snapshot of a model that need not be looked at yet, else None: no I/O, no waiting.

        Raises as ``get`` where the last look found nothing to serve.
        """
        state = self._states.get(model)
        return None if state is None or self._is_due(state) else _answer(state)

    def last_good(self, model: str) -> Snapshot | None:
        """The snapshot of a model however old: what to answer with while another thread looks."""
        state = self._states.get(model)
        return state.snapshot if state else None

    def loaded(self) -> list[Snapshot]:
        """The snapshots of all models that have one, however old."""
        with self._writing:
            return [state.snapshot for state in self._states.values() if state.snapshot is not None]

    def get(self, model: str) -> Snapshot:
        """The champion of a model, looking at its alias when that is due.

        Raises (only where no version was ever loaded):
            NotFoundError: no such model is deployed.
            StoreUnavailable: S3 does not answer.
            IntegrityError: its champion cannot be verified.
        """
        state = self._states.get(model)
        if state is None or self._is_due(state):
            state = self._look(model, state)
        return _answer(state)

    def state(self, model: str) -> State | None:
        """What is known of a model, without looking."""
        return self._states.get(model)

    def retry_after(self, model: str) -> int:
        """Whole seconds after which asking for an unavailable model again can make a difference."""
        state = self._states.get(model)
        if state is None:
            return 1
        return max(1, math.ceil(state.checked_at + self._pause(state) - self._clock()))

    def _look(self, model: str, state: State | None) -> State:
        """Refresh one model; with a snapshot at hand and another thread already looking, use the snapshot."""
        blocking = state is None or state.snapshot is None
        with self._writing:
            looking = self._looking.setdefault(model, threading.Lock())
        if not looking.acquire(blocking=blocking):
            assert state is not None
            return state
        try:
            current = self._states.get(model)
            if current is not None and not self._is_due(current):
                return current  # another thread looked while this one waited
            fresh = self._keep(model, self._refresh(model, current))
            if fresh.snapshot is not None and is_due(fresh.snapshot.entry, fresh.snapshot.challenger):
                fresh = self._keep(model, replace(fresh, snapshot=self._joined(fresh.snapshot)))
            return fresh
        finally:
            looking.release()

    def _keep(self, model: str, state: State) -> State:
        with self._writing:
            self._forget_unknown()
            self._states[model] = state
        return state

    def _joined(self, snapshot: Snapshot) -> Snapshot:
        """With the challenger of its trial; others are answered by the champion while that is loaded."""
        return replace(snapshot, challenger=load_challenger(self._store, snapshot.predictor.manifest, snapshot.entry))

    def _refresh(self, model: str, state: State | None) -> State:
        """The next state of a model. A failure keeps the snapshot and is remembered until the next success."""
        snapshot = state.snapshot if state else None
        now = self._clock()
        try:
            snapshot = self._follow(model, snapshot)
        except (StoreUnavailable, IntegrityError, NotFoundError) as error:
            since = state.failure.since if state and state.failure else now
            return State(snapshot, self._clock(), Failure(error, since))  # a pause begins when S3 has been waited for
        return State(snapshot, now, None)

    def _follow(self, model: str, snapshot: Snapshot | None) -> Snapshot:
        """The snapshot of the champion now, loaded only where it changed. Raises as ``read_champion`` and ``load``."""
        store = self._store
        champion = read_champion(store, model, snapshot.champion) if snapshot else first_champion(store, model)
        if snapshot is not None and champion is snapshot.champion:
            return snapshot
        if snapshot is not None and champion.entry.version == snapshot.entry.version:
            return replace(snapshot, champion=champion, challenger=carried_over(champion.entry, snapshot.challenger))
        predictor = load(store, model, champion.entry.version)
        requests = RequestSchema(predictor.schema) if predictor.manifest.pixels is None else PictureRequests()
        return Snapshot(champion, predictor, requests)

    def _is_due(self, state: State) -> bool:
        return abs(self._clock() - state.checked_at) >= self._pause(state)  # abs: a clock may be set back

    def _pause(self, state: State) -> float:
        """Seconds between two looks. With nothing to answer with and S3 down, sooner than the refresh."""
        if state.snapshot is None and state.failure is not None and isinstance(state.failure.error, StoreUnavailable):
            return min(self._refresh_seconds, COLD_RETRY_SECONDS)
        return self._refresh_seconds

    def _forget_unknown(self) -> None:
        """Keep memory bounded, whatever names clients try."""
        if len(self._states) >= MAX_UNKNOWN:
            self._states = {model: state for model, state in self._states.items() if state.snapshot is not None}
            self._looking = {model: lock for model, lock in self._looking.items() if lock.locked()}


def _answer(state: State) -> Snapshot:
    if state.snapshot is not None:
        return state.snapshot
    assert state.failure is not None  # a state has one or the other
    raise state.failure.error.with_traceback(None)  # raised again and again: or its traceback would grow
