"""The log of one model: creating its next entry is the commit. The alias is a hint that follows it.

``docs/decisions/0002-registry-protocol.md`` walks through the interleavings.
"""

from __future__ import annotations

from perennial import keys
from perennial.errors import AlreadyExistsError, ConflictError, IntegrityError, NotFoundError, PromotionRefused
from perennial.registry.entries import MOST_BYTES, Intent, Kind, LogEntry, Mode, Trial, next_entry
from perennial.registry.manifest import model_name
from perennial.store import Store

__all__ = ["CHAMPION", "Intent", "Kind", "LogEntry", "Mode", "ModelLog", "Trial", "next_entry"]

CHAMPION = "champion"


class ModelLog:
    """Reads and extends the log of ``model``; its cost does not grow with the log.

    Every method raises StoreUnavailable when S3 does not answer, and IntegrityError when the log is damaged.
    """

    def __init__(self, store: Store, model: str) -> None:
        self.model = model_name(model)
        self._store = store

    def find(self, generation: int) -> LogEntry | None:
        """The entry of a generation, or None where the log is not that long."""
        key = keys.log_entry(self.model, generation)
        found = self._store.find(key, most=MOST_BYTES)
        return LogEntry.from_bytes(found.data, key) if found else None

    def entry(self, generation: int) -> LogEntry:
        """The entry of a generation that must exist."""
        found = self.find(generation)
        if found is None:
            raise IntegrityError(
                f"{keys.log_entry(self.model, generation)} is missing from the log.", remedy="Restore it."
            )
        return found

    def newest(self) -> LogEntry | None:
        """The entry that counts: where the alias points, or newer if a process died before moving it."""
        key = keys.alias(self.model, CHAMPION)
        hint = self._store.find(key, most=MOST_BYTES)
        if hint is None:
            first = self.find(1)
            return self.newest_after(first) if first else None
        return self.newest_after(self.entry(LogEntry.from_bytes(hint.data, key).generation))

    def newest_after(self, entry: LogEntry) -> LogEntry:
        """Probe forward from ``entry`` to the end of the log."""
        while following := self.find(entry.generation + 1):
            entry = following
        return entry

    def latest(self, entry: LogEntry) -> LogEntry:
        """The newest entry, looking from where the alias points, or from ``entry`` where that is newer."""
        key = keys.alias(self.model, CHAMPION)
        hint = self._store.find(key, most=MOST_BYTES)
        known = LogEntry.from_bytes(hint.data, key) if hint else entry
        further = self.find(known.generation) if known.generation > entry.generation else None
        return self.newest_after(further or entry)

    def promoted(self, entry: LogEntry) -> LogEntry:
        """The promotion an entry stands for: itself, the one that a rollback went back to, or that a trial left."""
        return entry if entry.restores is None else self.entry(entry.restores)

    def before(self, intent: Intent) -> LogEntry:
        """The promotion in force before the champion of ``intent.generation``.

        It is always older than the promotion it replaces, so that repeated rollbacks come to an end.

        Raises:
            PromotionRefused: there is none.
        """
        champion = self.entry(intent.generation) if intent.generation else None
        generation = self.promoted(champion).generation if champion else 0
        if generation < 2:
            what = f"champion before {champion.version}" if champion else "champion"
            raise PromotionRefused(f"{self.model} has no {what}.", remedy="Promote a version instead.")
        return self.promoted(self.entry(generation - 1))

    def former(self, version: str, newest: LogEntry | None) -> LogEntry:
        """The newest entry that made ``version`` champion, looking back from ``newest``.

        Raises:
            PromotionRefused: it never was.
        """
        entry = newest
        while entry and entry.version != version:
            entry = self.entry(entry.generation - 1) if entry.generation > 1 else None
        if entry is None:
            raise PromotionRefused(f"{version} never was champion of {self.model}.", remedy="Promote it instead.")
        return entry

    def intend(
        self, op_id: str, kind: Kind, to: str | None, *, mode: Mode | None = None, share: float | None = None,
        began: int | None = None,
    ) -> Intent:  # fmt: skip
        """Keep what an operation asks for, or find it kept by an earlier try. Arguments as :class:`Intent` has them.

        Raises:
            AlreadyExistsError: the op_id was used for something else.
        """
        key = keys.intent(self.model, op_id)
        asked = Intent(op_id=op_id, kind=kind, to=to, generation=0, mode=mode, share=share, began=began)
        kept = self._store.find(key, most=MOST_BYTES)
        if kept is None:
            newest = self.newest()
            intent = asked.model_copy(update={"generation": newest.generation if newest else 0})
            try:
                self._store.put_new(key, intent.to_bytes())
                return intent
            except AlreadyExistsError:  # the same operation, tried elsewhere at the same time
                kept = self._store.get(key, most=MOST_BYTES)
        intent = Intent.from_bytes(kept.data, key)
        if not asked.asks_for(intent):
            raise AlreadyExistsError(
                f"Operation '{op_id}' of {self.model} was a {intent.kind} to {intent.to or 'the version before'}.",
                remedy="Give a new operation its own op_id.",
            )
        return intent

    def append(self, entry: LogEntry) -> None:
        """Commit. Raises AlreadyExistsError when that generation was taken by another entry."""
        self._store.put_new(keys.log_entry(self.model, entry.generation), entry.to_bytes())

    def advance_alias(self, entry: LogEntry) -> None:
        """Move the alias up to ``entry``, never down. Each lost swap means that another process moved it up."""
        key = keys.alias(self.model, CHAMPION)
        while True:
            found = self._store.find(key, most=MOST_BYTES)
            try:
                if found is None:
                    self._store.put_new(key, entry.to_bytes())
                elif LogEntry.from_bytes(found.data, key).generation < entry.generation:
                    self._store.put_if_match(key, entry.to_bytes(), found.etag)
                return
            except (AlreadyExistsError, ConflictError, NotFoundError):
                continue
