"""The registry over every store; and, where conditional writes are atomic, under real threads."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from perennial import keys
from perennial.registry.check import check
from perennial.registry.log import CHAMPION, LogEntry
from perennial.registry.registry import Registry, models
from perennial.store import Store
from tests.support.versions import MODEL, at, version

PROMOTERS = 8


def test_publish_promote_and_roll_back(store: Store) -> None:
    registry = Registry(store)
    versions = []
    for number in range(3):
        manifest, files = version(number)
        versions.append(registry.publish(manifest, files))
        registry.promote(MODEL, versions[-1], op_id=f"run/{number}", actor="ada", reason="better", now=at(number))
    back = registry.rollback(MODEL, op_id="back", actor="ada", reason="worse", now=at(9))
    assert registry.rollback(MODEL, op_id="back", actor="ada", reason="worse", now=at(10)) == back
    assert [entry.version for entry in registry.log(MODEL)] == [*versions, versions[1]]
    assert registry.head(MODEL) == back
    assert store.get(keys.alias(MODEL, CHAMPION)).data == back.to_bytes()
    assert registry.versions(MODEL) == sorted(versions)
    assert registry.manifest(MODEL, versions[0]) == version(0)[0]
    assert models(store) == [MODEL]
    assert check(store, MODEL) == ()


def test_promoters_at_once_each_get_one_generation(atomic_store: Store) -> None:
    registry = Registry(atomic_store)
    published = [registry.publish(*version(number)) for number in range(PROMOTERS)]
    gate = threading.Barrier(2 * PROMOTERS)

    def promote(number: int) -> LogEntry:
        """Each operation is tried by two processes, as a retry beside a slow first try would."""
        gate.wait()
        operation = number % PROMOTERS
        return Registry(atomic_store).promote(
            MODEL, published[operation], op_id=f"op-{operation}", actor="ada", reason="", now=at(number)
        )

    with ThreadPoolExecutor(2 * PROMOTERS) as pool:
        told = list(pool.map(promote, range(2 * PROMOTERS)))
    assert told[:PROMOTERS] == told[PROMOTERS:]
    log = registry.log(MODEL)
    assert sorted(told[:PROMOTERS], key=lambda entry: entry.generation) == log
    assert atomic_store.get(keys.alias(MODEL, CHAMPION)).data == log[-1].to_bytes()
    assert check(atomic_store, MODEL) == ()
