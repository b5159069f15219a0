"""The registry's invariants, tested against what is stored: an empty answer means that all of them hold.

May run at any moment, beside promotions. What is left out is that no object but the alias has more than
one S3 version: listing object versions needs boto3, which has no place on the serving path.
"""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import BaseModel, ConfigDict

from perennial import keys
from perennial.errors import IntegrityError
from perennial.registry.entries import MOST_BYTES
from perennial.registry.log import CHAMPION, Intent, LogEntry, Trial
from perennial.registry.manifest import model_name
from perennial.registry.verify import damages
from perennial.store import Store
from perennial.store_objects import Blob


class Violation(BaseModel):
    """One broken invariant: its name, the key where it shows, and what is there."""

    model_config = ConfigDict(frozen=True)

    invariant: str
    key: str
    detail: str


def check(store: Store, model: str) -> tuple[Violation, ...]:
    """Test every invariant of one model's registry. Reads all that was ever promoted.

    Raises:
        NotFoundError: ``model`` cannot be a model's name.
        StoreUnavailable: S3 did not answer.
    """
    m = model_name(model)
    alias = _lying(store, keys.alias(m, CHAMPION))  # before the log, which only grows
    intents = {entry.key: _lying(store, entry.key) or Blob(b"", "") for entry in store.list(keys.intents(m))}
    stored = {entry.key: _lying(store, entry.key) or Blob(b"", "") for entry in store.list(keys.log_entries(m))}
    found: list[Violation] = []
    entries: dict[str, LogEntry] = {}
    for key, blob in stored.items():
        try:
            entries[key] = LogEntry.from_bytes(blob.data, key)
        except IntegrityError as error:
            found.append(Violation(invariant="readable", key=key, detail=error.message))
    log = list(entries.values())
    found += _contiguous(m, list(stored))
    found += _chained(m, entries)
    found += _once(m, log)
    found += _restoring(m, log)
    found += _tried(m, log)
    found += _intended(intents, log)
    found += _verified(store, m, log)
    found += _alias(m, alias, stored)
    return tuple(found)


def _contiguous(m: str, stored: list[str]) -> Iterator[Violation]:
    for generation, key in enumerate(stored, start=1):
        if key != keys.log_entry(m, generation):
            expected = keys.log_entry(m, generation)
            yield Violation(invariant="contiguous", key=key, detail=f"stands where {expected} should.")
            return


def _chained(m: str, entries: dict[str, LogEntry]) -> Iterator[Violation]:
    before: str | None = None
    for key, entry in entries.items():
        if key != keys.log_entry(m, entry.generation):
            yield Violation(invariant="generation", key=key, detail=f"says generation {entry.generation}.")
        if entry.previous != before:
            detail = f"says previous {entry.previous}, the entry before is {before}."
            yield Violation(invariant="previous", key=key, detail=detail)
        if entry.moves and entry.version == before:
            yield Violation(invariant="change", key=key, detail=f"{entry.version} was champion already.")
        if not entry.moves and entry.version != before:
            detail = f"a {entry.kind} that makes {entry.version} champion."
            yield Violation(invariant="change", key=key, detail=detail)
        before = entry.version


def _once(m: str, log: list[LogEntry]) -> Iterator[Violation]:
    seen: dict[str, int] = {}
    for entry in log:
        first = seen.setdefault(entry.op_id, entry.generation)
        if first != entry.generation:
            key = keys.log_entry(m, entry.generation)
            detail = f"operation '{entry.op_id}' stands in generation {first} too."
            yield Violation(invariant="op_id once", key=key, detail=detail)


def _restoring(m: str, log: list[LogEntry]) -> Iterator[Violation]:
    """A rollback goes back to an older promotion of its version; a promotion to nothing; a trial leaves the one."""
    promotions = {entry.generation: entry.version for entry in log if entry.kind == "promotion"}
    force: int | None = None
    for entry in log:
        match entry.kind:
            case "promotion":
                right, force = entry.restores is None, entry.generation
            case "rollback":
                older = (entry.restores or 0) < entry.generation
                right, force = older and promotions.get(entry.restores or 0) == entry.version, entry.restores
            case _:
                right = entry.restores == force
        if not right:
            key = keys.log_entry(m, entry.generation)
            detail = f"a {entry.kind} to {entry.version} that restores generation {entry.restores}."
            yield Violation(invariant="restores", key=key, detail=detail)


def _tried(m: str, log: list[LogEntry]) -> Iterator[Violation]:
    """A trial begins or changes by an entry of its own, is ended by one or by a move, and is of another version."""
    running: Trial | None = None
    for entry in log:
        trial = entry.trial
        if entry.kind == "trial":
            grown = running is not None and trial is not None and _same_but_share(running, trial)
            begun = trial is not None and trial.began == entry.generation
            right = trial is not None and trial.version != entry.version and (begun or grown)
        else:
            right = trial is None and (entry.kind != "trial_end" or running is not None)
        if not right:
            key = keys.log_entry(m, entry.generation)
            yield Violation(invariant="trial", key=key, detail=f"a {entry.kind} after {running} that leaves {trial}.")
        running = trial


def _lying(store: Store, key: str) -> Blob | None:
    """What lies under a key; of what is too large for an entry, none of its bytes."""
    try:
        return store.find(key, most=MOST_BYTES)
    except IntegrityError:
        return Blob(b"", "")


def _same_but_share(before: Trial, after: Trial) -> bool:
    return before != after and before == after.model_copy(update={"share": before.share})


def _intended(intents: dict[str, Blob], log: list[LogEntry]) -> Iterator[Violation]:
    committed = {entry.op_id: entry.generation for entry in log}
    for key, blob in intents.items():
        try:
            intent = Intent.from_bytes(blob.data, key)
        except IntegrityError as error:
            yield Violation(invariant="readable", key=key, detail=error.message)
            continue
        if committed.get(intent.op_id, intent.generation + 1) <= intent.generation:
            detail = f"was first tried at {intent.generation}, yet its commit is {committed[intent.op_id]}."
            yield Violation(invariant="intent first", key=key, detail=detail)


def _verified(store: Store, m: str, log: list[LogEntry]) -> Iterator[Violation]:
    tried = (entry.trial.version for entry in log if entry.trial)
    for version in dict.fromkeys([*(entry.version for entry in log), *tried]):
        for damage in damages(store, m, version):
            yield Violation(invariant="verified", key=keys.version_manifest(m, version), detail=damage.message)


def _alias(m: str, alias: Blob | None, stored: dict[str, Blob]) -> Iterator[Violation]:
    if alias is None:
        return
    key = keys.alias(m, CHAMPION)
    try:
        generation = LogEntry.from_bytes(alias.data, key).generation
    except IntegrityError as error:
        yield Violation(invariant="readable", key=key, detail=error.message)
        return
    entry = stored.get(keys.log_entry(m, generation))
    if entry is None or entry.data != alias.data:
        yield Violation(invariant="alias", key=key, detail=f"differs from its log entry, generation {generation}.")
