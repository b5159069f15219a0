"""What the benchmark of registry reads counts is what S3 would be asked."""

from __future__ import annotations

import pytest
from obstore.store import MemoryStore

from benchmarks.registry_counted import Cost, Counted
from perennial.errors import NotFoundError


@pytest.fixture
def counted() -> Counted:
    raw = MemoryStore()
    for number in range(2500):
        raw.put(f"m/{number:04d}/a", b"12345")
    return Counted(raw)


def test_a_listing_costs_a_request_a_page(counted: Counted) -> None:
    store = counted.store()
    assert len(list(store.list("m"))) == 2500
    assert counted.cost == Cost(3, 2500 * len("m/0000/a"))
    assert len(store.folders("m")) == 2500
    assert counted.cost.requests == 6


def test_whether_anything_is_there_costs_one_request(counted: Counted) -> None:
    store = counted.store()
    assert store.holds("m")
    assert counted.cost.requests == 1
    assert not store.holds("n")
    assert counted.cost.requests == 2


def test_reads_and_writes_cost_one_request_each_and_what_they_bring(counted: Counted) -> None:
    store = counted.store()
    etag = store.get("m/0000/a").etag
    assert counted.cost == Cost(1, 5)
    assert store.get_if_changed("m/0000/a", etag) is None
    assert store.exists("m/0000/a")
    store.put_new("m/new", b"1")
    with pytest.raises(NotFoundError):
        store.get("m/none")
    assert counted.cost == Cost(5, 5)
