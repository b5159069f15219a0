"""The fault-injecting proxy: every fault as obstore meets it, what S3 saw of it, and the same ones in each run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import obstore
import pytest
from moto.server import ThreadedMotoServer
from obstore.exceptions import AlreadyExistsError, GenericError
from obstore.store import S3Store

from perennial.deploy.ministack import ACCESS_KEY, REGION, SECRET_KEY
from perennial.settings import Settings
from perennial.store_opening import Patience, open_store
from tests.support.chaos.faults import Asked
from tests.support.chaos.faulty import Fault, Faulty, Plan, faulty

BUCKET = "faults"
AT_ONCE = Patience(request=5.0, silence=1.0, retries=0)


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The bucket without faults; what a test left is gone before the next."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    bucket = boto3.resource("s3", endpoint_url=endpoint, region_name=REGION).Bucket(BUCKET)
    bucket.create()
    bucket.Versioning().enable()
    yield bucket
    bucket.object_versions.delete()
    bucket.delete()


def opened(url: str, patience: Patience = AT_ONCE) -> S3Store:
    """As the program opens it, without what the program does about faults."""
    raw = open_store(Settings(bucket=BUCKET, aws_endpoint_url=url, region=REGION), patience=patience)._raw
    assert isinstance(raw, S3Store)
    return raw


def first(fault: Fault, number: int = 1) -> Plan:
    return Plan(1, script={"": {number: fault}})


def create(store: S3Store, key: str = "a", data: bytes = b"mine") -> None:
    store.put(key, data, mode="create", use_multipart=False)


def held(s3: Any) -> dict[str, bytes]:
    return {one.key: one.get()["Body"].read() for one in s3.objects.all()}


def times_written(s3: Any, key: str = "a") -> int:
    return len(list(s3.object_versions.filter(Prefix=key)))


@pytest.mark.parametrize(
    ("fault", "told", "landed"),
    [
        (Fault.INTERNAL, "500", False),
        (Fault.SLOW_DOWN, "503", False),
        (Fault.REFUSED, "error sending request", False),
        (Fault.PARTIAL, "error sending request", False),
        (Fault.LOST, "error sending request", True),
    ],
)
def test_a_write_fails_and_did_or_did_not_land(s3: Any, endpoint: str, fault: Fault, told: str, landed: bool) -> None:
    with faulty(endpoint, first(fault)) as proxy:
        with pytest.raises(GenericError, match=told):
            create(opened(proxy.url))
        assert proxy.injected == {fault: 1}
    assert held(s3) == ({"a": b"mine"} if landed else {})


def test_a_conflict_without_effect_looks_as_if_the_object_existed(s3: Any, endpoint: str) -> None:
    with faulty(endpoint, first(Fault.CONFLICT)) as proxy:
        with pytest.raises(AlreadyExistsError):
            create(opened(proxy.url))
        assert held(s3) == {}
        create(opened(proxy.url))
        assert held(s3) == {"a": b"mine"}


@pytest.mark.parametrize("seed", [1, 2, 3, 4, 5])
def test_a_client_that_waits_in_vain_gives_up_and_may_have_written(s3: Any, endpoint: str, seed: int) -> None:
    plan = Plan(seed, script={"": {1: Fault.TIMEOUT}})
    with faulty(endpoint, plan) as proxy:
        patience = Patience(request=0.3, silence=0.3, retries=0)
        with pytest.raises(GenericError, match=r"operation timed out|error sending request"):
            create(opened(proxy.url, patience))
        assert proxy.injected == {Fault.TIMEOUT: 1}
    assert bool(held(s3)) == (plan.decide(Asked("", 1, "PUT", "/")).draw < 0.5)


def test_a_truncated_answer_is_an_error_and_never_half_an_object(s3: Any, endpoint: str) -> None:
    s3.put_object(Key="a", Body=bytes(5_000))
    plan = Plan(1, script={"": {1: Fault.TRUNCATED, 2: Fault.TRUNCATED}})
    with faulty(endpoint, plan) as proxy:
        store = opened(proxy.url)
        with pytest.raises(GenericError):
            store.get("a").bytes()
        with pytest.raises(GenericError):
            create(store, "b")
        assert bytes(store.get("a").bytes()) == bytes(5_000)
    assert held(s3)["b"] == b"mine"


def test_a_stale_read_is_an_earlier_answer_and_one_without_a_difference_is_none(s3: Any, endpoint: str) -> None:
    plan = Plan(1, script={"": {2: Fault.STALE, 4: Fault.STALE, 6: Fault.STALE}})
    with faulty(endpoint, plan) as proxy:
        store = opened(proxy.url)
        with pytest.raises(FileNotFoundError):
            store.get("a")
        with pytest.raises(FileNotFoundError):
            store.get("a")
        assert proxy.injected == {}
        create(store)
        with pytest.raises(FileNotFoundError):
            store.get("a")
        assert proxy.injected == {Fault.STALE: 1}
        assert bytes(store.get("a").bytes()) == b"mine"
        with pytest.raises(FileNotFoundError):
            store.get("a")


def test_a_write_delivered_twice_meets_itself(s3: Any, endpoint: str) -> None:
    with faulty(endpoint, Plan(1, script={"": {1: Fault.DUPLICATED, 2: Fault.DUPLICATED}})) as proxy:
        with pytest.raises(AlreadyExistsError):
            create(opened(proxy.url))
        assert times_written(s3) == 1
        opened(proxy.url).put("a", b"other", mode="overwrite", use_multipart=False)
    assert times_written(s3) == 3


def test_a_write_delivered_again_later_changes_nothing_that_was_swapped_since(s3: Any, endpoint: str) -> None:
    with faulty(endpoint, Plan(1, script={"": {2: Fault.ECHOED}}, late=0.3)) as proxy:
        store = opened(proxy.url)
        etag: str | None = None
        for data in (b"1", b"2", b"3"):
            mode: Any = {"e_tag": etag} if etag else "create"
            etag = store.put("a", data, mode=mode, use_multipart=False)["e_tag"]
        proxy.settle()
        assert proxy.requests == 3 and proxy.injected == {Fault.ECHOED: 1}
    assert held(s3) == {"a": b"3"} and times_written(s3) == 3


def test_a_late_write_lands_after_its_client_was_told_that_it_failed(s3: Any, endpoint: str) -> None:
    with faulty(endpoint, first(Fault.LATE)) as proxy:
        with pytest.raises(GenericError, match="error sending request"):
            create(opened(proxy.url))
        proxy.settle()
        assert held(s3) == {"a": b"mine"}


def test_obstore_itself_repeats_what_it_may_unless_told_not_to(s3: Any, endpoint: str) -> None:
    with faulty(endpoint, first(Fault.INTERNAL)) as proxy:
        create(opened(proxy.url, Patience()))
        assert proxy.requests == 2


@pytest.mark.parametrize(("fault", "landed"), [(Fault.KILL_BEFORE, {}), (Fault.KILL_AFTER, {"a": b"mine"})])
def test_a_kill_is_over_before_the_client_learns_anything(
    s3: Any, endpoint: str, fault: Fault, landed: dict[str, bytes]
) -> None:
    killed: list[tuple[str, dict[str, bytes]]] = []
    plan = Plan(1, script={"worker 3": {1: fault}})
    with faulty(endpoint, plan, on_kill=lambda client: killed.append((client, held(s3)))) as proxy:
        create(opened(proxy.url), "b")
        with pytest.raises(GenericError, match="error sending request"):
            create(opened(proxy.url_for("worker 3")))
        assert killed == [("worker 3", landed | {"b": b"mine"})]


def test_a_plan_that_kills_needs_somebody_who_does(endpoint: str) -> None:
    with pytest.raises(ValueError, match="on_kill"), faulty(endpoint, Plan(1, rates={Fault.KILL_AFTER: 0.1})):
        pass


def test_shares_beyond_all_requests_are_refused() -> None:
    with pytest.raises(ValueError, match="at most 1"):
        Plan(1, rates={Fault.LOST: 0.6, Fault.REFUSED: 0.6})


def test_nobody_is_there_while_it_is_down_and_nothing_goes_wrong_while_it_is_calm(s3: Any, endpoint: str) -> None:
    with faulty(endpoint, Plan(1, rates={Fault.INTERNAL: 1.0})) as proxy:
        store = opened(proxy.url)
        proxy.calm = True
        create(store)
        proxy.down = True
        with pytest.raises(GenericError, match="error sending request"):
            create(store, "b")
        proxy.down = False
        create(store, "b")
        proxy.calm = False
        with pytest.raises(GenericError, match="500"):
            create(store, "c")
        assert proxy.injected == {Fault.INTERNAL: 1}
    assert set(held(s3)) == {"a", "b"}


def outcomes(proxy: Faulty, client: str) -> list[str]:
    """What becomes of each of 40 reads, one after another."""
    store, found = opened(proxy.url_for(client)), []
    for _ in range(40):
        try:
            store.get("a").bytes()
        except GenericError as error:
            found.append(next(word for word in ("500", "503", "sending", "body") if word in str(error)))
        else:
            found.append("")
    return found


def test_the_same_seed_gives_each_client_the_same_faults(s3: Any, endpoint: str) -> None:
    s3.put_object(Key="a", Body=b"0" * 100)
    rates = {Fault.INTERNAL: 0.2, Fault.SLOW_DOWN: 0.1, Fault.LOST: 0.2, Fault.TRUNCATED: 0.1}
    runs: list[Counter[Fault]] = []
    seen: list[dict[str, list[str]]] = []
    for seed, names in ((7, ("a", "b")), (7, ("b", "a")), (8, ("a", "b"))):
        with faulty(endpoint, Plan(seed, rates=rates)) as proxy:
            seen.append({name: outcomes(proxy, name) for name in names})
            runs.append(proxy.injected)
    assert seen[0] == seen[1] and runs[0] == runs[1]
    assert seen[0]["a"] != seen[0]["b"] and seen[0]["a"] != seen[2]["a"]
    assert set(runs[0]) == set(rates)


def test_a_fault_happens_only_to_requests_that_it_can_happen_to() -> None:
    rates = {Fault.CONFLICT: 0.25, Fault.STALE: 0.25, Fault.LATE: 0.25, Fault.LOST: 0.25}
    plan = Plan(1, rates=rates, only={Fault.LOST: "^PUT .*/log/"})
    asked: Callable[[str, str], set[object]] = lambda method, target: {  # noqa: E731
        plan.decide(Asked("", number, method, target)).fault for number in range(200)
    }
    assert asked("GET", "/b/m/log/1") == {Fault.STALE, None}
    assert asked("PUT", "/b/m/log/1") == {Fault.CONFLICT, Fault.LATE, Fault.LOST, None}
    assert asked("PUT", "/b/m/alias/1") == {Fault.CONFLICT, Fault.LATE, None}


def test_a_plan_crosses_to_another_process_unchanged() -> None:
    plan = Plan(3, rates={Fault.LOST: 0.1}, only={Fault.LOST: "alias"}, script={"a": {7: Fault.KILL_AFTER}}, late=0.1)
    assert Plan.from_json(plan.to_json()) == plan


def test_listings_parts_and_large_objects_pass_unharmed(s3: Any, endpoint: str) -> None:
    data = bytes(range(256)) * 50_000
    with faulty(endpoint, Plan(1)) as proxy:
        store = opened(proxy.url)
        obstore.put(store, "large/1", data, use_multipart=True, chunk_size=5 << 20)
        assert bytes(store.get("large/1").bytes()) == data
        client = boto3.client("s3", endpoint_url=proxy.url, region_name=REGION)
        client.put_object(Bucket=BUCKET, Key="large/2", Body=data)
        assert client.get_object(Bucket=BUCKET, Key="large/2")["Body"].read() == data
        assert sorted(one["path"] for page in store.list("large") for one in page) == ["large/1", "large/2"]
    assert len(held(s3)) == 2
