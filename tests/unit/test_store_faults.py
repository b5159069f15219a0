"""Writes and reads whose answers are lost, wrong or late: nothing is guessed, everything is read back."""

from __future__ import annotations

import pytest
from obstore.store import MemoryStore

from perennial.errors import (
    AlreadyExistsError,
    ConflictError,
    NotFoundError,
    StoreRefused,
    StoreUnavailable,
)
from perennial.store import ATTEMPTS, DEADLINE_SECONDS, PAUSE_SECONDS, Store
from tests.support.seam import Fault, Script

KEY = "m/a.json"
OUTAGE: tuple[Fault, ...] = ("fail",) * 100


@pytest.fixture
def raw() -> MemoryStore:
    return MemoryStore()


@pytest.mark.parametrize("fault", ["fail", "lose", "conflict", "precondition"])
def test_a_put_new_survives_one_fault(raw: MemoryStore, fault: Fault) -> None:
    script = Script(fault)
    etag = script.store(raw).put_new(KEY, b"mine")
    assert Store(raw).get(KEY).data == b"mine"
    assert Store(raw).get(KEY).etag == etag
    # a write that landed is found, not repeated
    assert script.requests == (["put", "get"] if fault == "lose" else ["put", "get", "put"])


@pytest.mark.parametrize("fault", ["fail", "lose", "conflict", "precondition"])
def test_a_put_if_match_survives_one_fault(raw: MemoryStore, fault: Fault) -> None:
    before = Store(raw).put_new(KEY, b"old")
    etag = Script(fault).store(raw).put_if_match(KEY, b"mine", before)
    assert Store(raw).get(KEY).data == b"mine"
    assert Store(raw).get(KEY).etag == etag != before


@pytest.mark.parametrize("faults", [("lose", "fail"), ("lose", "fail", "conflict"), ("lose", "absent", "precondition")])
def test_a_landed_write_is_recognised_after_the_read_back_failed_too(
    raw: MemoryStore, faults: tuple[Fault, ...]
) -> None:
    assert Script(*faults).store(raw).put_new(KEY, b"mine") == Store(raw).get(KEY).etag


@pytest.mark.parametrize("fault", ["conflict", "precondition", "fail"])
def test_anothers_object_is_never_taken_for_ones_own(raw: MemoryStore, fault: Fault) -> None:
    Store(raw).put_new(KEY, b"theirs")
    with pytest.raises(AlreadyExistsError, match=KEY):
        Script(fault).store(raw).put_new(KEY, b"mine")
    assert Store(raw).get(KEY).data == b"theirs"


def test_a_swap_that_lost_says_so(raw: MemoryStore) -> None:
    store = Store(raw)
    first = store.put_new(KEY, b"1")
    store.put_if_match(KEY, b"2", first)
    with pytest.raises(ConflictError, match="another writer"):
        store.put_if_match(KEY, b"3", first)
    assert store.get(KEY).data == b"2"


def test_a_swap_of_what_is_gone_says_so(raw: MemoryStore) -> None:
    store = Store(raw)
    etag = store.put_new(KEY, b"1")
    raw.delete(KEY)
    with pytest.raises(NotFoundError):
        store.put_if_match(KEY, b"2", etag)


def test_a_write_gives_up_after_bounded_attempts_and_pauses(raw: MemoryStore) -> None:
    script = Script(*OUTAGE)
    with pytest.raises(StoreUnavailable, match="outcome of a write is unknown: 503") as caught:
        script.store(raw).put_new(KEY, b"mine")
    assert not isinstance(caught.value, StoreRefused)
    assert script.requests.count("put") == ATTEMPTS
    assert script.slept == [PAUSE_SECONDS * 2**n for n in range(ATTEMPTS - 1)]


def test_no_attempt_starts_after_the_deadline(raw: MemoryStore) -> None:
    script = Script(*OUTAGE)
    store = Store(script.store(raw)._raw, sleep=lambda _: script.slept.append(DEADLINE_SECONDS + 1),
                  clock=lambda: sum(script.slept))  # fmt: skip
    with pytest.raises(StoreUnavailable):
        store.put_new(KEY, b"mine")
    assert script.requests.count("put") == 1


@pytest.mark.parametrize("faults", [("deny",), ("fail", "deny"), ("conflict", "deny")])
def test_a_refusal_ends_a_write_at_once(raw: MemoryStore, faults: tuple[Fault, ...]) -> None:
    script = Script(*faults)
    with pytest.raises(StoreRefused, match="403"):
        script.store(raw).put_new(KEY, b"mine")
    assert len(script.requests) == len(faults)


def test_a_refusal_is_never_absence(raw: MemoryStore) -> None:
    for read in ("get", "find", "exists"):
        with pytest.raises(StoreRefused):
            getattr(Script("deny").store(raw), read)(KEY)
    with pytest.raises(StoreRefused):
        Script("deny").store(raw).get_if_changed(KEY, '"1"')
    with pytest.raises(StoreRefused):
        Script("deny").store(raw).list("m")
    with pytest.raises(StoreRefused):
        Script("deny").store(raw).folders("m")


def test_an_outage_is_never_absence(raw: MemoryStore) -> None:
    for read in ("get", "find", "exists", "list", "folders"):
        with pytest.raises(StoreUnavailable) as caught:
            getattr(Script("fail").store(raw), read)(KEY)
        assert not isinstance(caught.value, StoreRefused)


def test_a_stale_read_back_does_not_make_a_second_object(raw: MemoryStore) -> None:
    script = Script("lose", "absent")
    script.store(raw).put_new(KEY, b"mine")
    assert script.requests == ["put", "get", "put", "get"]
    assert Store(raw).get(KEY).data == b"mine"


@pytest.mark.parametrize("key", ["m//a", "m/../a", "m/a\n"])
def test_an_illegal_key_is_refused_not_absent(raw: MemoryStore, key: str) -> None:
    store = Store(raw)
    for use in (store.get, store.find, store.exists):
        with pytest.raises(StoreRefused, match="parse path"):
            use(key)
    with pytest.raises(StoreRefused):
        store.put_new(key, b"")
