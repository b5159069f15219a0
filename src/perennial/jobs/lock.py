"""One training at a time for each model: a lease in S3, moved by compare-and-swap.

The holder renews it while it works. Whoever is killed stops renewing, so its lease lapses; the same run may take its
own lease up again at once, which is what a retried task does.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict, ValidationError

from perennial import keys
from perennial.errors import AlreadyExistsError, ConflictError, IntegrityError, PerennialError
from perennial.jobs.workspace import Workspace
from perennial.spec import canonical
from perennial.store import Store
from perennial.store_objects import Blob

LEASE = timedelta(minutes=10)
ATTEMPTS = 5


class Lease(BaseModel):
    """Who trains: ``run`` until ``until``; None where nobody does. ``turn`` counts the changes of hands."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    run: str | None
    until: datetime
    turn: int

    def held(self, now: datetime) -> bool:
        return self.run is not None and self.until > now


class Busy(ConflictError):
    """Another run trains this model. Carries its id and the end of its lease."""

    def __init__(self, model: str, lease: Lease) -> None:
        super().__init__(
            f"Run {lease.run} is training {model}.",
            remedy=f"Wait for its end; if it was killed, its lease lapses at {lease.until:%Y-%m-%d %H:%M:%S} UTC.",
        )
        self.lease = lease


def holder(store: Store, model: str, now: datetime) -> str | None:
    """The run that trains the model now."""
    found = store.find(keys.training_lock(model))
    lease = _read(found, model) if found else None
    return lease.run if lease and lease.held(now) else None


def acquire(store: Store, model: str, run: str, now: datetime) -> Lease:
    """Take the lease, or renew it where ``run`` has it.

    Raises:
        Busy: another run has it.
        ConflictError: it changes hands faster than we can read.
    """

    def take(last: Lease | None) -> Lease:
        if last and last.held(now) and last.run != run:
            raise Busy(model, last)
        turn = last.turn if last else 0
        return Lease(run=run, until=now + LEASE, turn=turn if last and last.run == run else turn + 1)

    lease = _change(store, model, take)
    assert lease is not None  # it is taken, or Busy was raised
    return lease


def renew(store: Store, model: str, run: str, now: datetime) -> bool:
    """Have the lease last longer; False, and nothing happens, where it was given up: what ended does not begin anew.

    Raises:
        Busy: another run has it.
        ConflictError: it changes hands faster than we can read.
    """

    def last_longer(last: Lease | None) -> Lease | None:
        if last is None or last.run is None:
            return None
        if last.run != run:
            raise Busy(model, last)
        return Lease(run=run, until=now + LEASE, turn=last.turn)

    return _change(store, model, last_longer) is not None


def release(store: Store, model: str, run: str, now: datetime) -> None:
    """Give the lease up; nothing happens where ``run`` has it no more. Raises ConflictError as :func:`acquire`."""

    def give_up(last: Lease | None) -> Lease | None:
        return Lease(run=None, until=now, turn=last.turn) if last and last.run == run else None

    _change(store, model, give_up)


def _change(store: Store, model: str, next_of: Callable[[Lease | None], Lease | None]) -> Lease | None:
    """Replace the lease by what ``next_of`` makes of the one that stands, read anew where another was quicker."""
    key = keys.training_lock(model)
    for _ in range(ATTEMPTS):
        found = store.find(key)
        lease = next_of(_read(found, model) if found else None)
        if lease is None:
            return None
        data = canonical(lease.model_dump(mode="json"))
        try:
            if found is None:
                store.put_new(key, data)
            else:
                store.put_if_match(key, data, found.etag)
        except (AlreadyExistsError, ConflictError):
            continue
        return lease
    raise ConflictError(f"{key} keeps changing.", remedy="Try again.")


@contextmanager
def held(w: Workspace) -> Iterator[None]:
    """Hold the lease for the length of a block, renewing it meanwhile. It is not given up at the end of the block,
    since the run goes on with its next step: :func:`release` does that.

    Raises:
        Busy: another run has it.
    """
    acquire(w.store, w.spec.name, w.run, w.now())
    done = threading.Event()
    renewing = threading.Thread(target=_renew, args=(w, done), daemon=True, name="lease")
    renewing.start()
    try:
        yield
    finally:
        done.set()
        renewing.join()


def _renew(w: Workspace, done: threading.Event) -> None:
    while not done.wait(LEASE.total_seconds() / 4):
        try:
            if not renew(w.store, w.spec.name, w.run, w.now()):
                return
        except PerennialError as error:  # the step goes on: a promotion is refused where another champion has come
            w.progress(f"the lease was not renewed: {error}")


def _read(found: Blob, model: str) -> Lease:
    try:
        return Lease.model_validate_json(found.data)
    except ValidationError as error:
        key = keys.training_lock(model)
        raise IntegrityError(f"{key} is malformed.", remedy="Delete it once no run is training.") from error
