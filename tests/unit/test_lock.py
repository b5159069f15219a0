"""One training at a time: the lease, its lapse after a kill, and two who want it at once."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest

from perennial import keys
from perennial.errors import IntegrityError
from perennial.jobs import lock
from perennial.jobs.lock import LEASE, Busy, acquire, holder, release
from perennial.store import Store, memory_store
from perennial.store_objects import Blob

NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)


@pytest.fixture
def store() -> Store:
    return memory_store()


def test_a_second_run_is_told_who_trains_and_until_when(store: Store) -> None:
    acquire(store, "iris", "one", NOW)
    with pytest.raises(Busy, match=r"Run one is training iris\..*lapses at 2026-11-21 09:10:00 UTC") as caught:
        acquire(store, "iris", "two", NOW + timedelta(minutes=9))
    assert caught.value.exit_code == 6
    assert holder(store, "iris", NOW) == "one"


def test_models_do_not_wait_for_each_other(store: Store) -> None:
    acquire(store, "iris", "one", NOW)
    acquire(store, "wine", "two", NOW)


def test_a_released_lease_is_free_at_once(store: Store) -> None:
    acquire(store, "iris", "one", NOW)
    release(store, "iris", "one", NOW)
    assert holder(store, "iris", NOW) is None
    assert acquire(store, "iris", "two", NOW).turn == 2


def test_the_lease_of_a_killed_run_lapses_and_its_own_retry_need_not_wait(store: Store) -> None:
    acquire(store, "iris", "one", NOW)
    retried = acquire(store, "iris", "one", NOW + timedelta(minutes=1))
    assert retried.turn == 1 and retried.until == NOW + timedelta(minutes=1) + LEASE
    later = retried.until
    assert holder(store, "iris", later) is None
    assert acquire(store, "iris", "two", later).run == "two"
    with pytest.raises(Busy):
        acquire(store, "iris", "one", later)


def test_a_run_that_lost_its_lease_releases_nobody_elses(store: Store) -> None:
    acquire(store, "iris", "one", NOW)
    acquire(store, "iris", "two", NOW + LEASE)
    release(store, "iris", "one", NOW + LEASE)
    assert holder(store, "iris", NOW + LEASE) == "two"
    release(memory_store(), "iris", "one", NOW)  # never taken: nothing to release


def test_of_many_at_once_one_gets_it(store: Store) -> None:
    for turn in range(20):
        now = NOW + turn * 2 * LEASE
        won: list[str] = []
        start = threading.Barrier(4)

        def contend(run: str, now: datetime = now, won: list[str] = won, start: threading.Barrier = start) -> None:
            start.wait()
            try:
                acquire(store, "iris", run, now)
            except Busy:
                return
            won.append(run)

        threads = [threading.Thread(target=contend, args=(f"{turn}-{i}",)) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(won) == 1


def test_a_damaged_lease_is_not_taken_for_a_free_one(store: Store) -> None:
    store.put_new(keys.training_lock("iris"), b"{}")
    with pytest.raises(IntegrityError, match=r"iris/runs/lock\.json is malformed"):
        acquire(store, "iris", "one", NOW)


def test_a_long_step_renews_its_lease(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    from perennial.jobs.workspace import Workspace
    from tests.support.models import make_spec

    monkeypatch.setattr(lock, "LEASE", timedelta(seconds=0.08))
    renewed = threading.Event()
    moments = [NOW, NOW + timedelta(seconds=0.05)]

    def now() -> datetime:
        if len(moments) > 1:
            return moments.pop(0)
        renewed.set()
        return moments[0]

    w = Workspace(make_spec(), store, "one", "c", None, lambda line: None, now)
    with lock.held(w):
        assert renewed.wait(10)
    assert holder(store, "iris", NOW + timedelta(seconds=0.1)) == "one"


def test_what_is_released_within_a_block_is_not_taken_up_again_by_its_renewal(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    from perennial.jobs.workspace import Workspace
    from tests.support.models import make_spec

    monkeypatch.setattr(lock, "LEASE", timedelta(seconds=0.08))
    looked = threading.Semaphore(0)
    seen = store.find

    def find(key: str) -> Blob | None:
        found = seen(key)
        looked.release()
        return found

    w = Workspace(make_spec(), store, "one", "c", None, lambda line: None, lambda: NOW)
    with lock.held(w):
        release(store, "iris", "one", NOW)
        monkeypatch.setattr(store, "find", find)
        assert looked.acquire(timeout=10)
    assert holder(store, "iris", NOW) is None


def test_a_lease_is_renewed_by_its_holder_alone(store: Store) -> None:
    assert not lock.renew(store, "iris", "one", NOW)
    acquire(store, "iris", "one", NOW)
    assert lock.renew(store, "iris", "one", NOW + LEASE)
    assert holder(store, "iris", NOW + LEASE) == "one"
    acquire(store, "iris", "two", NOW + 2 * LEASE)
    with pytest.raises(Busy, match="Run two"):
        lock.renew(store, "iris", "one", NOW + 2 * LEASE)
    release(store, "iris", "two", NOW)
    assert not lock.renew(store, "iris", "two", NOW)
