"""Which models a bucket serves: every folder with a champion, looked at as seldom as the models themselves."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from perennial import keys
from perennial.errors import IntegrityError, StoreUnavailable
from perennial.registry.log import CHAMPION, LogEntry
from perennial.registry.manifest import is_model_name
from perennial.serving.refresh import Clock
from perennial.store import Store


@dataclass(frozen=True)
class Deployed:
    """One model that has a champion, and the log entry that made it one."""

    name: str
    entry: LogEntry


class Catalog:
    """The deployed models of one bucket. Keeps the last list it could read. Thread-safe."""

    def __init__(self, store: Store, *, refresh_seconds: float, clock: Clock) -> None:
        self._store = store
        self._refresh_seconds = refresh_seconds
        self._clock = clock
        self._known: tuple[Deployed, ...] | None = None
        self._checked_at = 0.0
        self._lock = threading.Lock()

    def peek(self) -> tuple[Deployed, ...] | None:
        """The list where it need not be read again yet: no I/O, no waiting."""
        return None if self._is_due() else self._known

    def models(self) -> tuple[Deployed, ...]:
        """The deployed models, by name.

        Raises:
            StoreUnavailable: S3 does not answer, and never has.
        """
        with self._lock:
            if self._known is None or self._is_due():
                self._refresh()
            assert self._known is not None
            return self._known

    def _is_due(self) -> bool:
        return abs(self._clock() - self._checked_at) >= self._refresh_seconds

    def _refresh(self) -> None:
        try:
            self._known = tuple(self._read())
        except StoreUnavailable:
            if self._known is None:
                raise
        self._checked_at = self._clock()

    def _read(self) -> list[Deployed]:
        found: list[Deployed] = []
        for name in self._store.folders():
            key = keys.alias(name, CHAMPION)
            blob = self._store.find(key) if is_model_name(name) else None
            if blob is None:
                continue
            try:
                found.append(Deployed(name, LogEntry.from_bytes(blob.data, key)))
            except IntegrityError:  # a damaged alias is the matter of those who ask for that model
                continue
        return found
