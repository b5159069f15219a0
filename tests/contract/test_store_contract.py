"""One suite over every store: what Perennial relies on holds in memory, on moto and on the local AWS alike."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import boto3
import pytest

from perennial.errors import AlreadyExistsError, ConflictError, NotFoundError, StoreRefused
from perennial.settings import Settings
from perennial.store import Store
from perennial.store_objects import Served
from perennial.store_opening import open_store

WRITERS = 16
ROUNDS = 5


@pytest.mark.parametrize("data", [b"", b"{}", bytes(range(256)) * 4096], ids=["empty", "json", "1 MiB"])
def test_what_was_put_is_what_is_read(store: Store, data: bytes) -> None:
    etag = store.put_new("m/a", data)
    assert store.get("m/a").data == data
    assert store.find("m/a") == store.get("m/a")
    assert store.exists("m/a")
    assert [(entry.key, entry.size) for entry in store.list("m")] == [("m/a", len(data))]
    assert {etag, store.get("m/a").etag, next(store.list("m")).etag} == {etag}
    assert etag


def test_absence_is_told_plainly(store: Store) -> None:
    assert store.find("m/none") is None
    assert not store.exists("m/none")
    assert list(store.list("m")) == []
    assert store.folders("m") == ()
    for read in (store.get, lambda key: store.get_if_changed(key, '"0"')):
        with pytest.raises(NotFoundError, match="m/none"):
            read("m/none")


def test_what_is_removed_is_gone_and_removing_it_again_changes_nothing(store: Store) -> None:
    for key in ("m/a", "m/a/b", "m/ab"):
        store.put_new(key, b"1")
    store.remove("m/a")
    store.remove("m/a")
    store.remove("m/none")
    assert store.find("m/a") is None
    assert [entry.key for entry in store.list("m")] == ["m/a/b", "m/ab"]
    store.put_new("m/a", b"2")
    assert store.get("m/a").data == b"2"


def test_put_new_creates_once(store: Store) -> None:
    etag = store.put_new("m/a", b"1")
    assert store.put_new("m/a", b"1") == etag
    with pytest.raises(AlreadyExistsError, match="m/a"):
        store.put_new("m/a", b"2")
    assert store.get("m/a").data == b"1"


def test_put_if_match_replaces_only_what_was_read(store: Store) -> None:
    first = store.put_new("m/a", b"1")
    second = store.put_if_match("m/a", b"2", first)
    assert second != first
    assert store.get("m/a").etag == second
    with pytest.raises(ConflictError, match="m/a"):
        store.put_if_match("m/a", b"3", first)
    assert store.get("m/a").data == b"2"
    assert store.put_if_match("m/a", b"2", first) == second  # our own success, seen by a retry
    with pytest.raises(NotFoundError):
        store.put_if_match("m/none", b"1", first)
    assert store.find("m/none") is None


def test_an_unchanged_object_is_not_read_again(store: Store) -> None:
    etag = store.put_new("m/a", b"1")
    assert store.get_if_changed("m/a", etag) is None
    store.put_if_match("m/a", b"2", etag)
    changed = store.get_if_changed("m/a", etag)
    assert changed is not None
    assert changed.data == b"2"


def test_listing_goes_by_whole_path_segments_in_order(store: Store) -> None:
    for key in ("m/b/2", "m/b/10", "m/bb/1", "m/a", "n/b/1", "m/b/c/d"):
        store.put_new(key, b"x")
    assert [entry.key for entry in store.list("m/b/")] == ["m/b/10", "m/b/2", "m/b/c/d"]
    assert [entry.key for entry in store.list("m/b")] == ["m/b/10", "m/b/2", "m/b/c/d"]
    assert len(list(store.list(""))) == 6
    assert store.folders("m/") == ("b", "bb")
    assert store.folders() == ("m", "n")
    assert [store.holds(prefix) for prefix in ("m/b/", "m/b", "m/b/c", "m/", "n/c", "b")] == [True] * 4 + [False] * 2


@pytest.mark.parametrize("name", ["with space", "50%", "a+b=c&d", "größe-Ω", "a%2Fb", "it's#1?", "~tilde"])
def test_any_name_comes_back_as_it_was(store: Store, name: str) -> None:
    store.put_new(f"m/{name}/{name}", name.encode())
    assert store.get(f"m/{name}/{name}").data == name.encode()
    assert [entry.key for entry in store.list(f"m/{name}")] == [f"m/{name}/{name}"]
    assert store.folders("m") == (name,)


@pytest.mark.parametrize("key", ["m//a", "m/../a", "m/\n"])
def test_an_illegal_key_is_refused(store: Store, key: str) -> None:
    for use in (store.get, store.find, store.exists, lambda key: store.put_new(key, b"")):
        with pytest.raises(StoreRefused):
            use(key)


def test_a_listing_longer_than_a_page_is_whole(store: Store) -> None:
    keys = [f"m/{number:04d}" for number in range(1005)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda key: store.put_new(key, b""), keys))
    assert [entry.key for entry in store.list("m")] == keys


def test_a_missing_bucket_is_no_empty_one(remote: Settings) -> None:
    store = open_store(remote.model_copy(update={"bucket": "no-such-bucket-here"}))
    for use in (store.find, store.get, lambda key: store.put_new(key, b"1")):
        with pytest.raises(StoreRefused, match="404 Not Found"):
            use("m/a")


def test_wrong_credentials_are_refused(ministack_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    store = open_store(Settings(bucket="contract", aws_endpoint_url=ministack_endpoint))
    for use in (store.find, store.exists, lambda key: store.put_new(key, b"1")):
        with pytest.raises(StoreRefused, match="403"):
            use("m/a")


def test_browsers_are_told_what_an_object_is(remote: Settings) -> None:
    store = open_store(remote)
    picture = Served("image/svg+xml", "max-age=31536000, immutable")
    store.put_new("m/picture.svg", b"<svg/>", served=picture)
    first = store.put_new("m/page.json", b"1", served=Served("application/json"))
    store.put_if_match("m/page.json", b"2", first, served=Served("application/json; charset=utf-8"))
    s3 = boto3.client("s3", endpoint_url=remote.aws_endpoint_url, region_name=remote.region)
    heads = [s3.head_object(Bucket=remote.bucket, Key=key) for key in ("m/picture.svg", "m/page.json")]
    assert [(head["ContentType"], head["CacheControl"]) for head in heads] == [
        ("image/svg+xml", "max-age=31536000, immutable"),
        ("application/json; charset=utf-8", "no-cache"),
    ]


def test_a_listing_says_when_each_object_came(store: Store) -> None:
    before = datetime.now(UTC) - timedelta(seconds=2)  # S3 keeps whole seconds
    store.put_new("m/a", b"1")
    (entry,) = store.list("m")
    assert before <= entry.modified <= datetime.now(UTC) + timedelta(seconds=1)


def test_of_many_creators_exactly_one_wins(atomic_store: Store) -> None:
    for number in range(ROUNDS):
        key = f"race/new/{number}"

        def create(data: bytes, key: str = key) -> str:
            return atomic_store.put_new(key, data)

        assert _winners(number, create) == [atomic_store.get(key).data]


def test_of_many_swappers_exactly_one_wins(atomic_store: Store) -> None:
    etag = atomic_store.put_new("race/alias", b"start")
    for number in range(ROUNDS):

        def swap(data: bytes, etag: str = etag) -> str:
            return atomic_store.put_if_match("race/alias", data, etag)

        assert _winners(number, swap) == [atomic_store.get("race/alias").data]
        etag = atomic_store.get("race/alias").etag


def _winners(round_: int, write: Callable[[bytes], str]) -> list[bytes]:
    """What the writers that were told of success wrote. All start at once; no two ever write the same."""
    gate = threading.Barrier(WRITERS)

    def attempt(writer: int) -> bytes | None:
        data = b"writer %d of round %d" % (writer, round_)
        gate.wait()
        try:
            write(data)
        except (AlreadyExistsError, ConflictError):
            return None
        return data

    with ThreadPoolExecutor(WRITERS) as pool:
        return [written for written in pool.map(attempt, range(WRITERS)) if written is not None]
