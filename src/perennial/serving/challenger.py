"""The challenger of a trial as one server holds it: loaded beside the champion, and put off where it does harm.

Nothing that is wrong with it may touch the champion: what cannot be loaded or verified is off, and so is what fails or
dawdles again and again, until the log says something else.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Literal

from perennial.errors import IntegrityError, NotFoundError, PerennialError, StoreUnavailable
from perennial.registry.entries import LogEntry, Trial
from perennial.registry.fit import misfit
from perennial.registry.manifest import ModelManifest
from perennial.serving.load import load
from perennial.serving.predictor import Predictor
from perennial.store import Store

FAILURES_IN_A_ROW = 5
"""After so many a server asks the challenger no more."""

Status = Literal["on", "off", "loading"]


@dataclass
class Breaker:
    """How many requests in a row the challenger has failed in this server, or kept waiting.

    Several threads may note at once; one more or less does not matter.
    """

    in_a_row: int = 0

    @property
    def open(self) -> bool:
        return self.in_a_row >= FAILURES_IN_A_ROW

    def note(self, *, good: bool) -> None:
        if not self.open:
            self.in_a_row = 0 if good else self.in_a_row + 1


@dataclass(frozen=True)
class Challenger:
    """One trial. ``predictor`` is None where the version could not be loaded: ``problem`` says why."""

    trial: Trial
    generation: int
    predictor: Predictor | None
    problem: PerennialError | None = None
    breaker: Breaker = field(default_factory=Breaker, compare=False)

    @property
    def status(self) -> Status:
        """``loading`` where S3 did not answer, which is tried again at the next look."""
        if isinstance(self.problem, StoreUnavailable):
            return "loading"
        return "off" if self.predictor is None or self.breaker.open else "on"


def in_share(model: str, trial: Trial, caller: str) -> bool:
    """Whether a caller belongs to the share of a trial: the same answer in any process.

    BLAKE2b, keyed by model and trial, as a number in [0, 1): the shares of different trials are independent, and a
    larger share holds every smaller one of the same trial.
    """
    key = f"{model}/{trial.began}".encode()
    place = blake2b(caller.encode(errors="replace"), key=key, digest_size=8).digest()
    return int.from_bytes(place, "big") < trial.share * 2**64


def is_due(entry: LogEntry, known: Challenger | None) -> bool:
    """Whether a challenger has to be looked for: there is another one, or S3 did not answer the last time."""
    if entry.trial is None:
        return False
    return known is None or known.generation != entry.generation or isinstance(known.problem, StoreUnavailable)


def carried_over(entry: LogEntry, known: Challenger | None) -> Challenger | None:
    """What is known of an entry's challenger already: the same version, with its record wiped, under another share."""
    if entry.trial is None or known is None:
        return None
    if known.generation == entry.generation:
        return known
    if known.predictor is None or known.trial.version != entry.trial.version:
        return None
    return Challenger(entry.trial, entry.generation, known.predictor)


def load_challenger(store: Store, champion: ModelManifest, entry: LogEntry) -> Challenger:
    """The challenger of an entry, verified as a champion is. Never raises for what is wrong with it."""
    trial = entry.trial
    assert trial is not None  # asked only where there is one
    try:
        predictor = load(store, champion.model, trial.version)
        why = misfit(champion, predictor.manifest)
        if why is not None:
            raise IntegrityError(f"Challenger {trial.version} does not fit champion {entry.version}: {why}.")
    except (IntegrityError, NotFoundError, StoreUnavailable) as error:
        return Challenger(trial, entry.generation, None, error)
    return Challenger(trial, entry.generation, predictor)
