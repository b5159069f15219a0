"""Faults on the wire, between obstore and a real S3 server: statuses, lost answers, cut answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import boto3
import pytest

from perennial.errors import AlreadyExistsError, ConflictError, NotFoundError, StoreRefused, StoreUnavailable
from perennial.settings import Settings
from perennial.store import Store
from perennial.store_opening import open_store
from tests.support.chaos.faults import Fault
from tests.support.proxy import Faults, proxied


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
def bucket(moto_endpoint: str, fresh_bucket: Callable[[str], Settings]) -> Settings:
    return fresh_bucket(moto_endpoint)


@pytest.fixture
def plain(bucket: Settings) -> Store:
    """The bucket without faults."""
    return open_store(bucket)


@pytest.fixture
def store(bucket: Settings, faults: Faults) -> Iterator[Store]:
    """The bucket through the proxy."""
    assert bucket.aws_endpoint_url is not None
    with proxied(bucket.aws_endpoint_url, faults) as url:
        yield open_store(bucket.model_copy(update={"aws_endpoint_url": url}))


def test_a_lost_answer_of_put_new_is_a_success(store: Store, plain: Store, faults: Faults) -> None:
    faults.plan = [Fault.LOST]
    etag = store.put_new("m/a", b"mine")
    assert (plain.get("m/a").data, plain.get("m/a").etag) == (b"mine", etag)
    assert faults.seen[:2] == ["PUT", "PUT"]  # obstore repeats the request by itself, and is told 412


def test_a_lost_answer_of_put_if_match_is_a_success(store: Store, plain: Store, faults: Faults) -> None:
    before = plain.put_new("m/a", b"old")
    faults.plan = [Fault.LOST]
    etag = store.put_if_match("m/a", b"mine", before)
    assert (plain.get("m/a").data, plain.get("m/a").etag) == (b"mine", etag)


@pytest.mark.parametrize("status", [409, 500, 503, 429, 400])
def test_a_put_new_that_did_not_land_is_repeated(store: Store, plain: Store, faults: Faults, status: int) -> None:
    faults.plan = [status]
    store.put_new("m/a", b"mine")
    assert plain.get("m/a").data == b"mine"


def test_a_409_to_a_put_if_match_is_repeated(store: Store, plain: Store, faults: Faults) -> None:
    before = plain.put_new("m/a", b"old")
    faults.plan = [409, 409]
    store.put_if_match("m/a", b"mine", before)
    assert plain.get("m/a").data == b"mine"


def test_a_409_is_not_believed_where_another_won(store: Store, plain: Store, faults: Faults) -> None:
    before = plain.put_new("m/a", b"theirs")
    faults.plan = [409]
    with pytest.raises(AlreadyExistsError):
        store.put_new("m/a", b"mine")
    plain.put_if_match("m/a", b"newer", before)
    faults.plan = [409]
    with pytest.raises(ConflictError):
        store.put_if_match("m/a", b"mine", before)
    assert plain.get("m/a").data == b"newer"


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_is_neither_absence_nor_an_outage(store: Store, faults: Faults, status: int) -> None:
    uses: list[Callable[[], object]] = [
        lambda: store.find("m/a"),
        lambda: store.exists("m/a"),
        lambda: store.get_if_changed("m/a", '"0"'),
        lambda: store.put_new("m/a", b"1"),
        lambda: store.put_if_match("m/a", b"1", '"0"'),
    ]
    for use in uses:
        faults.plan, faults.seen = [status], []
        with pytest.raises(StoreRefused, match=str(status)):
            use()
        assert len(faults.seen) == 1
    for listing in (store.list, store.folders):
        faults.plan = [status]
        with pytest.raises(StoreUnavailable, match=str(status)):
            listing("m")


def test_an_outage_is_told_after_bounded_tries(store: Store, faults: Faults) -> None:
    faults.plan = [503] * 100
    with pytest.raises(StoreUnavailable, match="503") as caught:
        store.find("m/a")
    assert not isinstance(caught.value, StoreRefused)
    assert len(faults.seen) == 4


def test_a_missing_bucket_is_not_a_missing_object(store: Store, faults: Faults) -> None:
    faults.plan, faults.code = [404, 404], "NoSuchBucket"
    with pytest.raises(StoreRefused, match="NoSuchBucket"):
        store.find("m/a")
    with pytest.raises(StoreRefused, match="NoSuchBucket"):
        store.put_new("m/a", b"1")
    faults.plan, faults.code = [404], "NoSuchKey"
    with pytest.raises(NotFoundError):
        store.get("m/a")


def test_an_answer_cut_short_is_never_taken_for_the_object(store: Store, plain: Store, faults: Faults) -> None:
    data = bytes(range(256)) * 64
    plain.put_new("m/a", data)
    faults.plan = [Fault.TRUNCATED]
    try:
        assert store.get("m/a").data == data
    except StoreUnavailable:
        assert store.get("m/a").data == data


def test_nobody_listening_is_an_outage(bucket: Settings) -> None:
    store = open_store(bucket.model_copy(update={"aws_endpoint_url": "http://127.0.0.1:9"}))
    with pytest.raises(StoreUnavailable):
        store.find("m/a")


@pytest.mark.parametrize("key", ["m/landing//1.csv", "m/landing/../1.csv", "m/landing/a\tb.csv"])
def test_an_object_that_no_listing_may_name_is_told_of_with_the_remedy(
    plain: Store, bucket: Settings, key: str
) -> None:
    plain.put_new("m/landing/1.csv", b"mine")
    other = boto3.client("s3", endpoint_url=bucket.aws_endpoint_url, region_name=bucket.region)
    other.put_object(Bucket=bucket.bucket, Key=key, Body=b"theirs")
    with pytest.raises(StoreRefused) as caught:
        plain.list("m/landing/")
    assert key in caught.value.message
    assert caught.value.remedy is not None and caught.value.remedy.startswith("Remove or rename that object")
