"""Keeps a server's models fresh: the alias by its ETag, at most every so often; the last good version on any failure.

Each model has one immutable state, replaced whole, so a request that holds a snapshot keeps it to its
end while others already see the next. One thread looks at a time; a request that has an answer never
waits for another's look.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

from perennial import keys
from perennial.errors import IntegrityError, NotFoundError, PerennialError, StoreUnavailable
from perennial.registry.log import CHAMPION, LogEntry
from perennial.registry.manifest import is_model_name
from perennial.serving.load import load
from perennial.serving.predictor import Predictor
from perennial.serving.requests import RequestSchema
from perennial.store import Blob, Store

COLD_RETRY_SECONDS = 1.0
MAX_UNKNOWN = 1000

Clock = Callable[[], float]


@dataclass(frozen=True)
class Snapshot:
    """One model version as served: what a whole request is answered with. ``entry`` is the alias's log entry."""

    entry: LogEntry
    etag: str
    predictor: Predictor
    requests: RequestSchema


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
        self._lock = threading.Lock()

    def peek(self, model: str) -> Snapshot | None:
        """The snapshot of a model that need not be looked at yet: no I/O, no waiting."""
        state = self._states.get(model)
        if state is None or state.snapshot is None or self._is_due(state):
            return None
        return state.snapshot

    def last_good(self, model: str) -> Snapshot | None:
        """The snapshot of a model however old: what to answer with while another thread looks."""
        state = self._states.get(model)
        return state.snapshot if state else None

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
        if state.snapshot is not None:
            return state.snapshot
        assert state.failure is not None  # a state has one or the other
        raise state.failure.error.with_traceback(None)  # raised again and again: or its traceback would grow

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
        if not self._lock.acquire(blocking=blocking):
            assert state is not None
            return state
        try:
            current = self._states.get(model)
            if current is not None and not self._is_due(current):
                return current  # another thread looked while this one waited
            fresh = self._refresh(model, current)
            self._forget_unknown()
            self._states[model] = fresh
            return fresh
        finally:
            self._lock.release()

    def _refresh(self, model: str, state: State | None) -> State:
        """The next state of a model. A failure keeps the snapshot and is remembered until the next success."""
        snapshot = state.snapshot if state else None
        now = self._clock()
        try:
            snapshot = self._follow(model, snapshot)
        except (StoreUnavailable, IntegrityError, NotFoundError) as error:
            since = state.failure.since if state and state.failure else now
            return State(snapshot, now, Failure(error, since))
        return State(snapshot, now, None)

    def _follow(self, model: str, snapshot: Snapshot | None) -> Snapshot:
        """The snapshot the alias names now, loaded only where the alias changed. Raises as ``load`` does."""
        blob = _read_alias(self._store, model, snapshot)
        if blob is None and snapshot is not None:
            return snapshot
        if blob is None:
            raise NotFoundError(f"No model {model} is deployed.", remedy="GET /models lists those that are.")
        entry = LogEntry.from_bytes(blob.data, keys.alias(model, CHAMPION))
        if snapshot is not None and entry.generation < snapshot.entry.generation:
            raise IntegrityError(
                f"The champion of {model} went back from generation {snapshot.entry.generation} to {entry.generation}."
            )
        if snapshot is not None and entry.version == snapshot.entry.version:
            return replace(snapshot, entry=entry, etag=blob.etag)
        predictor = load(self._store, model, entry.version)
        return Snapshot(entry, blob.etag, predictor, RequestSchema(predictor.schema))

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


def _read_alias(store: Store, model: str, snapshot: Snapshot | None) -> Blob | None:
    """The alias if it changed; None where it did not, or where no such model can exist."""
    if not is_model_name(model):
        return None
    key = keys.alias(model, CHAMPION)
    return store.get_if_changed(key, snapshot.etag) if snapshot else store.find(key)
