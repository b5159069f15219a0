"""The stores that every contract is tested against: memory, moto over HTTP, and the embedded local AWS.

moto's conditional writes are not atomic, so it takes no part in races.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import boto3
import pytest
from moto.server import ThreadedMotoServer

from perennial.deploy.ministack import ACCESS_KEY, REGION, SECRET_KEY, MiniStack
from perennial.settings import Settings
from perennial.store import Store, memory_store
from perennial.store_opening import open_store

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def moto_endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="session")
def ministack_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with MiniStack(tmp_path_factory.mktemp("ministack")) as stack:
        yield stack.endpoint_url


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """The emulator's own, and no developer's profile."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
    monkeypatch.delenv("AWS_PROFILE", raising=False)


@pytest.fixture
def fresh_bucket(credentials: None) -> Callable[[str], Settings]:
    """Makes a new, empty bucket at an endpoint."""

    def create(endpoint_url: str) -> Settings:
        bucket = f"contract-{next(_numbers)}"
        boto3.client("s3", endpoint_url=endpoint_url, region_name=REGION).create_bucket(Bucket=bucket)
        return Settings(bucket=bucket, aws_endpoint_url=endpoint_url, region=REGION)

    return create


@pytest.fixture(params=["moto", "ministack"])
def remote(request: pytest.FixtureRequest, fresh_bucket: Callable[[str], Settings]) -> Settings:
    """An empty bucket that is reached over HTTP."""
    return fresh_bucket(request.getfixturevalue(f"{request.param}_endpoint"))


@pytest.fixture(params=["memory", "moto", "ministack"])
def store(request: pytest.FixtureRequest, fresh_bucket: Callable[[str], Settings]) -> Store:
    """An empty bucket, behind each kind of store in turn."""
    if request.param == "memory":
        return memory_store()
    return open_store(fresh_bucket(request.getfixturevalue(f"{request.param}_endpoint")))


@pytest.fixture(params=["memory", "ministack"])
def atomic_store(request: pytest.FixtureRequest, fresh_bucket: Callable[[str], Settings]) -> Store:
    """An empty bucket whose conditional writes are atomic, as S3's are."""
    if request.param == "memory":
        return memory_store()
    return open_store(fresh_bucket(request.getfixturevalue(f"{request.param}_endpoint")))
