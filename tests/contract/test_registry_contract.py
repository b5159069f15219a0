"""The registry over every store; and, where conditional writes are atomic, under real threads."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from perennial import keys
from perennial.registry.check import check
from perennial.registry.log import CHAMPION, LogEntry, Trial
from perennial.registry.registry import Registry, models
from perennial.registry.trials import end_trial, start_trial
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


def test_a_trial_runs_beside_the_champion_until_it_is_ended(store: Store) -> None:
    registry = Registry(store)
    champion, challenger = (registry.publish(*version(number)) for number in range(2))
    promotion = registry.promote(MODEL, champion, op_id="up", actor="ada", reason="", now=at(0))
    begun = try_out(store, challenger, "try", 0.1, 1)
    assert (begun.version, begun.previous, begun.restores) == (champion, champion, promotion.generation)
    assert try_out(store, challenger, "try", 0.1, 2) == begun
    grown = try_out(store, challenger, "more", 0.5, 3)
    assert grown.trial == Trial(version=challenger, mode="canary", share=0.5, began=begun.generation)
    assert registry.head(MODEL) == grown
    ended = end_trial(store, MODEL, op_id="end", actor="ada", reason="enough", now=at(4), began=begun.generation)
    assert ended.trial is None and ended.version == champion
    assert store.get(keys.alias(MODEL, CHAMPION)).data == ended.to_bytes()
    assert check(store, MODEL) == ()


def try_out(store: Store, version: str, op_id: str, share: float, minute: int) -> LogEntry:
    return start_trial(
        store, MODEL, version, mode="canary", share=share, op_id=op_id, actor="ada", reason="", now=at(minute)
    )
