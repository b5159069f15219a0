"""Trials in the log: what may be tried beside what, and that promotions and rollbacks mean what they meant."""

from __future__ import annotations

from typing import Any

import pytest
from obstore.store import MemoryStore

from perennial import keys
from perennial.errors import AlreadyExistsError, PromotionRefused
from perennial.registry.check import check
from perennial.registry.entries import LogEntry, Trial
from perennial.registry.fit import misfit
from perennial.registry.manifest import MODEL_FILE, ModelManifest
from perennial.registry.registry import Registry
from perennial.registry.trials import end_trial, start_trial
from perennial.store import Store
from tests.support.versions import MODEL, at, spec, version

V = [version(number)[0].version for number in range(4)]


@pytest.fixture
def raw() -> MemoryStore:
    """Four versions published, 0 and 1 promoted."""
    raw = MemoryStore()
    registry = Registry(Store(raw))
    for number in range(4):
        registry.publish(*version(number))
    for number in range(2):
        registry.promote(MODEL, V[number], op_id=f"op-{number}", actor="ada", reason="", now=at(number))
    return raw


def begin(raw: MemoryStore, number: int, op_id: str = "try", **changes: Any) -> LogEntry:
    wanted: dict[str, Any] = {"mode": "canary", "share": 0.1, "reason": "", **changes}
    return start_trial(Store(raw), MODEL, V[number], op_id=op_id, actor="ada", now=at(5), **wanted)


def end(raw: MemoryStore, op_id: str = "end", began: int | None = None) -> LogEntry:
    return end_trial(Store(raw), MODEL, op_id=op_id, actor="ada", reason="", now=at(6), began=began)


def test_entries_without_a_trial_keep_the_bytes_they_had(raw: MemoryStore) -> None:
    stored = bytes(raw.get(keys.log_entry(MODEL, 2)).bytes())
    assert b"trial" not in stored
    assert b"mode" not in bytes(raw.get(keys.intent(MODEL, "op-1")).bytes())
    old = (
        b'{"actor":"ada","generation":1,"kind":"promotion","op_id":"x","previous":null,"reason":"",'
        b'"restores":null,"time":"2026-11-21T09:00:00Z","version":"v"}'
    )
    assert LogEntry.from_bytes(old, "key").to_bytes() == old


def test_a_rollback_during_a_trial_goes_to_the_champion_before_and_ends_it(raw: MemoryStore) -> None:
    begin(raw, 2)
    begin(raw, 2, "more", share=0.5)
    back = Registry(Store(raw)).rollback(MODEL, op_id="back", actor="ada", reason="", now=at(7))
    assert (back.version, back.restores, back.trial) == (V[0], 1, None)
    with pytest.raises(PromotionRefused, match="no champion before"):
        Registry(Store(raw)).rollback(MODEL, op_id="again", actor="ada", reason="", now=at(8))
    assert check(Store(raw), MODEL) == ()


def test_a_rollback_after_a_trial_on_a_restored_champion_goes_further_back(raw: MemoryStore) -> None:
    registry = Registry(Store(raw))
    registry.promote(MODEL, V[2], op_id="op-2", actor="ada", reason="", now=at(2))
    registry.rollback(MODEL, op_id="back", actor="ada", reason="", now=at(3))
    begin(raw, 3)
    end(raw)
    assert registry.rollback(MODEL, op_id="back 2", actor="ada", reason="", now=at(8)).version == V[0]
    assert check(Store(raw), MODEL) == ()


def test_promoting_the_challenger_is_the_normal_end_and_the_champion_is_answered_with_its_promotion(
    raw: MemoryStore,
) -> None:
    registry = Registry(Store(raw))
    begin(raw, 2)
    same = registry.promote(MODEL, V[1], op_id="same", actor="ada", reason="", now=at(6))
    assert (same.kind, same.generation) == ("promotion", 2)
    up = registry.promote(MODEL, V[2], op_id="up", actor="ada", reason="", now=at(7))
    assert (up.kind, up.previous, up.trial) == ("promotion", V[1], None)
    assert check(Store(raw), MODEL) == ()


def test_another_share_goes_on_with_the_trial_and_another_mode_or_version_begins_one(raw: MemoryStore) -> None:
    began = begin(raw, 2).generation
    grown, other = begin(raw, 2, "more", share=0.3), begin(raw, 3, "other")
    shadow = begin(raw, 3, "shadow", mode="shadow", share=1.0)
    trials = [entry.trial for entry in (grown, other, shadow) if entry.trial]
    assert [trial.began for trial in trials] == [began, other.generation, shadow.generation]


def test_a_trial_that_is_over_is_not_ended_again_and_no_other_is_ended_in_its_place(raw: MemoryStore) -> None:
    first = begin(raw, 2).generation
    replaced = begin(raw, 3, "other")
    assert end(raw, "late", began=first) == replaced
    assert end(raw, "end").kind == "trial_end"
    assert end(raw, "end").kind == "trial_end"
    with pytest.raises(PromotionRefused, match="No trial of churn runs"):
        end(raw, "none left")


@pytest.mark.parametrize(
    ("number", "changes", "why"),
    [
        (1, {}, "is champion of churn"),
        (2, {"share": 1.0}, "1 is no share of a canary"),
        (2, {"mode": "shadow"}, "0.1 is no share of a shadow"),
    ],
)
def test_what_cannot_be_tried_is_refused(raw: MemoryStore, number: int, changes: dict[str, Any], why: str) -> None:
    with pytest.raises(PromotionRefused, match=why):
        begin(raw, number, **changes)
    assert len(Registry(Store(raw)).log(MODEL)) == 2


def test_a_damaged_challenger_is_refused(raw: MemoryStore) -> None:
    raw.put(keys.registry_blob(MODEL, version(2)[0].files[MODEL_FILE].digest), b"graph x", mode="overwrite")
    with pytest.raises(PromotionRefused, match="does not match its digest"):
        begin(raw, 2)


def test_without_a_champion_there_is_nothing_to_be_tried_beside() -> None:
    raw = MemoryStore()
    Registry(Store(raw)).publish(*version(0))
    with pytest.raises(PromotionRefused, match="has no champion to try") as error:
        begin(raw, 0)
    assert error.value.remedy == f"`perennial promote {MODEL} {V[0]}`."


def test_an_op_id_names_one_trial(raw: MemoryStore) -> None:
    begin(raw, 2)
    with pytest.raises(AlreadyExistsError):
        begin(raw, 2, share=0.2)


@pytest.mark.parametrize(
    "damage",
    [
        {"trial": None},
        {"trial": Trial(version=V[1], mode="canary", share=0.1, began=3)},
        {"trial": Trial(version=V[2], mode="canary", share=0.1, began=2)},
        {"kind": "trial_end"},
        {"kind": "promotion", "restores": None},
        {"restores": 1},
    ],
)
def test_a_damaged_trial_is_found(raw: MemoryStore, damage: dict[str, Any]) -> None:
    entry = begin(raw, 2)
    changed = LogEntry(**(entry.model_dump() | damage))
    raw.put(keys.log_entry(MODEL, entry.generation), changed.to_bytes(), mode="overwrite")
    assert {found.invariant for found in check(Store(raw), MODEL)} & {"trial", "change", "restores"}


AGE: dict[str, Any] = {"type": "number", "min": 0, "max": 100}
CITY: dict[str, Any] = {"type": "category", "values": ["Goa", "Pune"]}


def of(**changes: Any) -> ModelManifest:
    values: dict[str, Any] = {"features": {"Age": AGE, "City": CITY}}
    top = {name: changes.pop(name) for name in ("classes",) if name in changes}
    return version(spec=spec(**(values | changes)), **top)[0]


@pytest.mark.parametrize(
    ("challenger", "why"),
    [
        (of(features={"City": CITY, "Age": AGE}), "its features are City, Age"),
        (of(features={"Age": AGE}), "its features are Age"),
        (of(features={"Age": AGE | {"max": 90}, "City": CITY}), "'Age' takes 0 to 90, the champion's 0 to 100"),
        (of(features={"Age": AGE | {"integer": True}, "City": CITY}), "'Age' takes whole numbers"),
        (of(features={"Age": CITY, "City": CITY}), "'Age' is a category"),
        (of(features={"Age": AGE, "City": CITY | {"values": ["Goa"]}}), "'City' does not know 'Pune'"),
        (of(target={"column": "Left", "positive": "1"}), "it predicts Left"),
        (of(id="Customer"), "its id column is Customer"),
        (of(classes=("0", "1", "2")), "its classes are 0, 1, 2"),
    ],
)
def test_a_challenger_that_does_not_take_what_the_champion_takes_is_told_why(
    challenger: ModelManifest, why: str
) -> None:
    assert why in str(misfit(of(), challenger))


@pytest.mark.parametrize(
    "features",
    [
        {"Age": AGE, "City": CITY},
        {"Age": AGE | {"min": None, "missing": True}, "City": CITY | {"values": ["Pune", "Goa", "Delhi"]}},
        {"Age": AGE, "City": CITY | {"values": ["Delhi"], "unknown": "encode"}},
    ],
)
def test_a_challenger_that_takes_more_fits(features: dict[str, Any]) -> None:
    assert misfit(of(), of(features=features)) is None


def test_what_may_be_missing_for_the_champion_may_be_for_the_challenger() -> None:
    lenient = of(features={"Age": AGE | {"missing": True}, "City": CITY})
    assert "may not be missing" in str(misfit(lenient, of()))
    unseen = of(features={"Age": AGE, "City": CITY | {"unknown": "encode"}})
    assert "refuses unseen values" in str(misfit(unseen, of()))
