"""Which version of a model is champion: the alias says so, and the log has to say the same.

Creating a log entry is the commit; the alias is a copy that is cheap to ask for. Whoever can write the
alias alone must not choose what is served, so a changed alias is compared with the entry it copies.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from perennial import keys
from perennial.errors import IntegrityError, NotFoundError
from perennial.registry.entries import MOST_BYTES
from perennial.registry.log import CHAMPION, LogEntry
from perennial.registry.manifest import is_model_name
from perennial.store import Store
from perennial.store_objects import Blob


@dataclass(frozen=True)
class Champion:
    """The newest log entry, whose version is champion, and the ETag of the alias that copies it.

    ``since`` is when the version became champion, where the entry is about a trial beside it: that of its promotion.
    """

    entry: LogEntry
    etag: str
    since: datetime


def read_champion(store: Store, model: str, known: Champion | None = None) -> Champion:
    """The champion now; ``known`` itself, for one conditional read, where the alias has not changed since.

    Raises:
        NotFoundError: no such model is deployed, or none can have that name.
        IntegrityError: the alias is malformed, is no copy of its log entry, or went back in generation.
        StoreUnavailable: S3 did not answer.
    """
    if not is_model_name(model):
        raise _unknown(model)
    key = keys.alias(model, CHAMPION)
    try:
        blob = _read(store, key, known)
    except NotFoundError:
        raise _unknown(model) from None
    if blob is None:
        assert known is not None  # only a conditional read can answer "not modified"
        return known
    entry = LogEntry.from_bytes(blob.data, key)
    if known is not None and entry.generation < known.entry.generation:
        raise IntegrityError(
            f"The champion of {model} went back from generation {known.entry.generation} to {entry.generation}."
        )
    commit = keys.log_entry(model, entry.generation)
    logged = store.find(commit, most=MOST_BYTES)
    if logged is None or logged.data != blob.data:
        raise IntegrityError(f"{key} is no copy of {commit}.", remedy="Put back a copy of the newest log entry.")
    return Champion(entry, blob.etag, _since(store, model, entry, known))


def _read(store: Store, key: str, known: Champion | None) -> Blob | None:
    return store.get_if_changed(key, known.etag, most=MOST_BYTES) if known else store.get(key, most=MOST_BYTES)


def _since(store: Store, model: str, entry: LogEntry, known: Champion | None) -> datetime:
    if entry.moves or entry.restores is None:
        return entry.time
    if known is not None and known.entry.version == entry.version:
        return known.since
    key = keys.log_entry(model, entry.restores)
    promotion = store.find(key, most=MOST_BYTES)
    if promotion is None:
        raise IntegrityError(f"{key} is missing from the log.", remedy="Restore it.")
    return LogEntry.from_bytes(promotion.data, key).time


def _unknown(model: str) -> NotFoundError:
    return NotFoundError(f"No model {model} is deployed.", remedy="GET /models lists those that are.")
