"""A registry that has seen so many versions come and go, written as our code would have, without its checks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from obstore.store import MemoryStore

from benchmarks import mixed
from benchmarks.mixed_models import publish
from benchmarks.mixed_spec import MODEL, make_spec
from perennial import keys
from perennial.registry.entries import Intent, next_entry
from perennial.registry.log import ModelLog
from perennial.registry.manifest import version_of
from perennial.registry.registry import Registry
from perennial.store import Store

TRAINED_ON = 500
BACK = 5


@dataclass(frozen=True)
class Grown:
    """A model whose versions were promoted one after the other.

    ``first`` is the first version with its operation, ``earlier`` the one promoted ``BACK`` before the champion;
    ``spare`` are published and were never promoted.
    """

    store: Store
    first: tuple[str, str]
    earlier: str
    spare: tuple[str, str]


def grow(raw: MemoryStore, versions: int) -> Grown:
    """A trained model as ``versions`` versions in the log, which differ in the run that made them; two more wait."""
    store = Store(raw)
    publish(store, make_spec(MODEL), *mixed.records(TRAINED_ON))
    registry, log = Registry(store), ModelLog(store, MODEL)
    newest = log.entry(1)
    model = registry.manifest(MODEL, newest.version)
    names = [newest.version]
    for number in range(2, versions + 3):
        manifest = model.model_copy(update={"run": f"scheduled {number}"}).to_bytes()
        names.append(version_of(manifest))
        store.put_new(keys.version_manifest(MODEL, names[-1]), manifest)
        if number <= versions:
            op_id = f"promote-{number}"
            intent = Intent(op_id=op_id, kind="promotion", to=names[-1], generation=newest.generation)
            store.put_new(keys.intent(MODEL, op_id), intent.to_bytes())
            at = datetime(2000, 1, 1, tzinfo=UTC) + timedelta(hours=number)
            newest = next_entry(newest, intent, names[-1], actor="benchmark", reason="scheduled", now=at)
            log.append(newest)
    log.advance_alias(newest)
    first = log.entry(1)
    return Grown(store, (first.version, first.op_id), names[versions - 1 - BACK], (names[-2], names[-1]))
