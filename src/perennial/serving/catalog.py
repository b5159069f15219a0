"""Which models a bucket serves: every folder with a champion, looked at as seldom as the models themselves."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from perennial.errors import IntegrityError, NotFoundError, StoreUnavailable
from perennial.registry.log import LogEntry
from perennial.registry.manifest import is_model_name
from perennial.serving.champion import Champion, read_champion
from perennial.serving.refresh import Clock
from perennial.store import Store


@dataclass(frozen=True)
class Deployed:
    """One model that has a champion, as last verified; ``champion`` is None where it never could be."""

    name: str
    champion: Champion | None

    @property
    def entry(self) -> LogEntry | None:
        """The log entry that made the version champion."""
        return self.champion.entry if self.champion else None


class Catalog:
    """The deployed models of one bucket. Keeps what it could read last. Thread-safe.

    A model once deployed stays so, since nothing in a registry is ever deleted: where its alias is damaged
    or gone, something is wrong with it, and to forget it would let another model be taken for the only one.
    """

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

    @property
    def last(self) -> tuple[Deployed, ...] | None:
        """The list however old; None where there never was one."""
        return self._known

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
        known = {model.name: model for model in self._known or ()}
        try:
            names = {name for name in self._store.folders() if is_model_name(name)} | known.keys()
            found = [self._read(name, known.get(name)) for name in sorted(names)]
            self._known = tuple(model for model in found if model is not None)
        except StoreUnavailable:
            if self._known is None:
                raise
        self._checked_at = self._clock()

    def _read(self, name: str, known: Deployed | None) -> Deployed | None:
        try:
            return Deployed(name, read_champion(self._store, name, known.champion if known else None))
        except NotFoundError:  # a folder of something else, unless it was a model
            return known
        except IntegrityError:
            return known or Deployed(name, None)
