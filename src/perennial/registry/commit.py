"""How any change of a registry is committed: walk the log, settle on what did it, or append at its end."""

from __future__ import annotations

from collections.abc import Callable

from perennial.errors import AlreadyExistsError, PromotionRefused, SignatureRefused
from perennial.registry.entries import Intent, LogEntry
from perennial.registry.log import ModelLog
from perennial.registry.verify import damages
from perennial.store import Store

Settles = Callable[[LogEntry], bool]
Propose = Callable[[LogEntry | None], LogEntry]


def commit(log: ModelLog, intent: Intent, settles: Settles, propose: Propose) -> LogEntry:
    """Walk the log from where an operation was first tried, until an entry settles it.

    Args:
        log: of the model.
        intent: what is asked for.
        settles: whether an entry left the model as it is asked for, whoever wrote it.
        propose: the entry to append after the newest one; it verifies what the entry would let serve, and raises
            where that may not be.
    """
    newest = log.entry(intent.generation) if intent.generation else None
    settled = newest if newest and settles(newest) else None
    while settled is None:
        following = log.find(newest.generation + 1 if newest else 1)
        if following is None:
            entry = propose(newest)
            try:
                log.append(entry)
            except AlreadyExistsError:  # another process took that generation, perhaps with this very operation
                continue
            log.advance_alias(log.newest_after(entry))
            return entry
        elif following.op_id == intent.op_id or settles(following):
            settled = following
        else:
            newest = following
    log.advance_alias(log.latest(settled))  # it may have been done long ago
    return settled


def refuse_damaged(store: Store, model: str, version: str) -> None:
    """Raises PromotionRefused unless a version is published, signed by a trusted key, and what its name says."""
    for damage in damages(store, model, version, signed=True):
        signed = not isinstance(damage, SignatureRefused)
        remedy = "Publish it, or choose another version." if signed else damage.remedy
        raise PromotionRefused(f"{version} of {model} may not serve: {damage.message}", remedy=remedy) from damage
