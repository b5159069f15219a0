"""S3 that accepts connections and says nothing: every answer still comes long before the function is ended."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import httpx
import pytest
from fastapi import FastAPI

from lambdas.api import services
from lambdas.api.app import PATIENCE, create_app
from lambdas.api.looks import Looks
from perennial import keys
from perennial.errors import StoreUnavailable
from perennial.settings import Settings
from perennial.store_opening import open_store
from tests.support.models import IRIS_RECORD, build, make_spec, promote
from tests.support.stores import Bucket, Clock
from tests.support.templates import stack_resources

SETTINGS = Settings(bucket="bucket")
TIMEOUT: int = stack_resources()["ApiFunction"]["Properties"]["Timeout"]


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """An endpoint whose connections are accepted by the system, and never read."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    with socket.create_server(("127.0.0.1", 0), backlog=100) as server:
        yield SETTINGS.model_copy(update={"aws_endpoint_url": f"http://127.0.0.1:{server.getsockname()[1]}"})


@asynccontextmanager
async def client_of(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api") as client:
        yield client


async def each(client: httpx.AsyncClient, *asked: tuple[str, str]) -> list[httpx.Response]:
    """Ask all at once; none may take as long as the function has."""
    async with asyncio.timeout(TIMEOUT):
        return await asyncio.gather(
            *(client.request(method, path, json=IRIS_RECORD if method == "POST" else None) for method, path in asked)
        )


ALL = (
    ("GET", "/ready"),
    ("GET", "/models"),
    ("POST", "/predict"),
    ("POST", "/models/iris/predict"),
    ("GET", "/models/iris"),
)


def test_two_looks_and_a_cold_start_fit_into_the_function_s_time() -> None:
    """A request makes two looks at most, and a start takes a second."""
    assert 2 * services.COLD_LOOK_SECONDS + 2 <= TIMEOUT
    assert 2 * services.LOOK_SECONDS + 2 <= TIMEOUT
    assert (PATIENCE.retries + 1) * PATIENCE.silence < services.COLD_LOOK_SECONDS, "the store's own reason is told"


def test_the_store_gives_up_when_it_says(silent: Settings) -> None:
    started = time.monotonic()
    with pytest.raises(StoreUnavailable):
        open_store(silent, patience=PATIENCE).get("iris/registry/alias/champion.json")
    assert time.monotonic() - started < TIMEOUT / 2


def test_a_cold_server_says_503_with_retry_after(silent: Settings) -> None:
    async def ask() -> list[httpx.Response]:
        async with client_of(create_app(silent)) as client:
            return await each(client, *ALL, ("GET", "/models/made-up"))

    started = time.monotonic()
    found = asyncio.run(ask())
    assert time.monotonic() - started < TIMEOUT - 2
    assert {answer.status_code for answer in found} == {503}
    assert all(answer.headers["retry-after"] == "1" for answer in found)


class TestSilence:
    """The looks of a server hang until the test is over."""

    @pytest.fixture
    def bucket(self) -> Iterator[Bucket]:
        bucket, self.over = Bucket(), threading.Event()
        promote(bucket.writer, build())
        yield bucket
        self.over.set()

    def fall_silent(self, bucket: Bucket) -> None:
        def hang(key: str) -> None:
            assert self.over.wait(60)

        bucket.before = hang

    @pytest.mark.parametrize("made_up", [0, 40])
    def test_a_warm_server_answers_from_what_it_knows(
        self, bucket: Bucket, made_up: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(services, "LOOK_SECONDS", 0.1)
        monkeypatch.setattr(services, "COLD_LOOK_SECONDS", 2.0)
        clock = Clock()

        async def ask() -> tuple[list[httpx.Response], list[httpx.Response], list[httpx.Response]]:
            async with client_of(create_app(SETTINGS, bucket.store, clock=clock)) as client:
                await each(client, *ALL)
                self.fall_silent(bucket)
                clock.advance(60)
                names = [("GET", f"/models/made-up-{i}") for i in range(made_up)]
                unknown = asyncio.create_task(each(client, *names))
                await asyncio.sleep(0.05)
                first = await each(client, *ALL)
                second = await each(client, *ALL)
                assert not made_up or not unknown.done()
                return first, second, await unknown

        first, second, unknown = asyncio.run(ask())
        assert [answer.status_code for answer in first + second] == [200] * 2 * len(ALL)
        assert [answer.status_code for answer in unknown] == [503] * made_up

    def test_what_a_late_look_found_amiss_is_told_by_the_next_request(
        self, bucket: Bucket, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(services, "LOOK_SECONDS", 0.1)
        clock, ask = Clock(), ("POST", "/models/iris/predict")

        async def tell() -> list[httpx.Response]:
            async with client_of(create_app(SETTINGS, bucket.store, clock=clock)) as client:
                await each(client, ask)
                bucket.tamper(keys.alias("iris", "champion"), b"{}")
                self.fall_silent(bucket)
                clock.advance(60)
                late = await each(client, ask)
                self.over.set()
                capsys.readouterr()
                deadline = time.monotonic() + 10
                while "is malformed" not in (said := capsys.readouterr().out):
                    assert time.monotonic() < deadline, said
                    late += await each(client, ask)
                late += await each(client, ask)
                assert "is malformed" not in capsys.readouterr().out, "it is told once a look"
                return late

        assert {answer.status_code for answer in asyncio.run(tell())} == {200}

    def test_a_model_that_is_listed_does_not_wait_for_made_up_names(
        self, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(services, "COLD_LOOK_SECONDS", 5.0)
        promote(bucket.writer, build(make_spec("other")))

        def hang(key: str) -> None:
            if key.startswith("made-up"):
                assert self.over.wait(60)

        bucket.before = hang

        async def ask() -> list[httpx.Response]:
            async with client_of(create_app(SETTINGS, bucket.store)) as client:
                await each(client, ("GET", "/models"))
                unknown = asyncio.create_task(each(client, *[("GET", f"/models/made-up-{i}") for i in range(20)]))
                await asyncio.sleep(0.05)
                found = await each(client, ("POST", "/models/other/predict"))
                assert not unknown.done()
                self.over.set()
                await unknown
                return found

        assert [answer.status_code for answer in asyncio.run(ask())] == [200]

    def test_looks_for_made_up_names_are_bounded(self, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(services, "COLD_LOOK_SECONDS", 1.0)
        self.fall_silent(bucket)

        async def ask() -> list[httpx.Response]:
            async with client_of(create_app(SETTINGS, bucket.store)) as client:
                names = [("GET", f"/models/made-up-{i}") for i in range(services.MAX_UNKNOWN_LOOKS + 20)]
                found = await each(client, *names)
                assert len(bucket.reads) <= services.THREADS
                return found

        found = asyncio.run(ask())
        assert {answer.status_code for answer in found} == {503}
        assert all("retry-after" in answer.headers for answer in found)


def test_a_look_is_made_once_and_again_when_it_is_over() -> None:
    looks: Looks[int] = Looks(threads=1)
    go_on = threading.Event()
    calls: list[int] = []

    def look() -> int:
        assert go_on.wait(10)
        calls.append(len(calls))
        return calls[-1]

    first, new = looks.start("a", look)
    assert new and looks.start("a", look) == (first, False)
    go_on.set()
    assert first.result(10) == 0
    deadline = time.monotonic() + 10
    while looks.start("a", look)[0] is first:  # forgotten right after its result is set
        assert time.monotonic() < deadline
    assert calls[0] == 0
