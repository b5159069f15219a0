"""Every invariant that ``check`` tests can be broken, and is then named."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from obstore.store import MemoryStore

from perennial import keys
from perennial.errors import NotFoundError
from perennial.registry.check import check
from perennial.registry.log import CHAMPION, Intent, LogEntry
from perennial.registry.manifest import MODEL_FILE
from perennial.registry.registry import Registry
from perennial.store import Store
from tests.support.versions import MODEL, at, version

ALIAS = keys.alias(MODEL, CHAMPION)


@pytest.fixture
def raw() -> MemoryStore:
    """Versions 0, 1 and 2 promoted, then a rollback to 1: four entries."""
    raw = MemoryStore()
    registry = Registry(Store(raw))
    for number in range(3):
        manifest, files = version(number)
        registry.publish(manifest, files)
        registry.promote(MODEL, manifest.version, op_id=f"op-{number}", actor="ada", reason="", now=at(number))
    registry.rollback(MODEL, op_id="back", actor="ada", reason="", now=at(9))
    return raw


def rewrite(raw: MemoryStore, generation: int, **changes: Any) -> None:
    key = keys.log_entry(MODEL, generation)
    entry = LogEntry.from_bytes(bytes(raw.get(key).bytes()), key)
    raw.put(key, LogEntry(**(entry.model_dump() | changes)).to_bytes(), mode="overwrite")


def blob(number: int) -> str:
    return keys.registry_blob(MODEL, version(number)[0].files[MODEL_FILE].digest)


def manifest(number: int) -> str:
    return keys.version_manifest(MODEL, version(number)[0].version)


def broken(raw: MemoryStore) -> set[str]:
    return {violation.invariant for violation in check(Store(raw), MODEL)}


def test_a_sound_registry_has_no_violations(raw: MemoryStore) -> None:
    assert check(Store(raw), MODEL) == ()
    assert check(Store(MemoryStore()), MODEL) == ()


def test_what_a_crash_leaves_is_no_violation(raw: MemoryStore) -> None:
    raw.copy(keys.log_entry(MODEL, 2), ALIAS)
    assert check(Store(raw), MODEL) == ()
    raw.delete(ALIAS)
    assert check(Store(raw), MODEL) == ()


Damage = Callable[[MemoryStore], object]
DAMAGES: dict[str, tuple[Damage, str]] = {
    "an entry is gone": (lambda raw: raw.delete(keys.log_entry(MODEL, 2)), "contiguous"),
    "the first is gone": (lambda raw: raw.delete(keys.log_entry(MODEL, 1)), "contiguous"),
    "a stranger in the log": (lambda raw: raw.put(keys.log_entries(MODEL) + "notes.txt", b"x"), "contiguous"),
    "no JSON": (lambda raw: raw.put(keys.log_entry(MODEL, 3), b"}", mode="overwrite"), "readable"),
    "an unknown field": (
        lambda raw: raw.put(keys.log_entry(MODEL, 3), b'{"generation":3,"x":1}', mode="overwrite"),
        "readable",
    ),
    "another's place": (lambda raw: raw.copy(keys.log_entry(MODEL, 2), keys.log_entry(MODEL, 3)), "generation"),
    "an op_id twice": (lambda raw: rewrite(raw, 3, op_id="op-0"), "op_id once"),
    "a wrong previous": (lambda raw: rewrite(raw, 3, previous=version(0)[0].version), "previous"),
    "no change": (lambda raw: rewrite(raw, 3, version=version(1)[0].version), "change"),
    "a rollback to nothing": (lambda raw: rewrite(raw, 4, restores=None), "restores"),
    "a rollback elsewhere": (lambda raw: rewrite(raw, 4, restores=1), "restores"),
    "a promotion that restores": (lambda raw: rewrite(raw, 2, restores=1), "restores"),
    "a commit before its intent": (
        lambda raw: raw.put(
            keys.intent(MODEL, "op-1"),
            Intent(op_id="op-1", kind="promotion", to=version(1)[0].version, generation=3).to_bytes(),
            mode="overwrite",
        ),
        "intent first",
    ),
    "an unreadable intent": (lambda raw: raw.put(keys.intent(MODEL, "odd"), b"{}"), "readable"),
    "a missing manifest": (lambda raw: raw.delete(manifest(0)), "verified"),
    "an altered manifest": (lambda raw: raw.put(manifest(0), b"{}", mode="overwrite"), "verified"),
    "a missing blob": (lambda raw: raw.delete(blob(2)), "verified"),
    "an altered blob": (lambda raw: raw.put(blob(2), b"graph 3", mode="overwrite"), "verified"),
    "an alias of its own": (lambda raw: raw.put(ALIAS, _moved(raw), mode="overwrite"), "alias"),
    "an alias ahead of the log": (lambda raw: raw.delete(keys.log_entry(MODEL, 4)), "alias"),
    "an unreadable alias": (lambda raw: raw.put(ALIAS, b"", mode="overwrite"), "readable"),
}


def _moved(raw: MemoryStore) -> bytes:
    return bytes(raw.get(ALIAS).bytes()).replace(b"ada", b"eve")


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_found(raw: MemoryStore, name: str) -> None:
    damage, invariant = DAMAGES[name]
    damage(raw)
    assert invariant in broken(raw)


def test_a_violation_names_the_key(raw: MemoryStore) -> None:
    rewrite(raw, 3, op_id="op-0")
    (violation,) = (found for found in check(Store(raw), MODEL) if found.invariant == "op_id once")
    assert violation.key == keys.log_entry(MODEL, 3)
    assert violation.detail == "operation 'op-0' stands in generation 1 too."


def test_what_was_never_promoted_is_not_judged(raw: MemoryStore) -> None:
    registry = Registry(Store(raw))
    registry.publish(*version(5))
    raw.delete(blob(5))
    assert check(Store(raw), MODEL) == ()


def test_a_name_that_no_model_can_have_is_not_found(raw: MemoryStore) -> None:
    with pytest.raises(NotFoundError):
        check(Store(raw), "../churn")
