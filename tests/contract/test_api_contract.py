"""The API as a client sees it over ASGI: the committed document, CORS, and one version an answer under concurrency."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from lambdas.api.app import ROUTES, create_app
from lambdas.api.openapi import OPERATIONS, document
from lambdas.api.shapes import Answer, Answers, Feedback, Kept, Problem
from perennial.settings import Settings
from tests.support.models import IRIS_RECORD, MEASURES, answer, build, make_spec, promote
from tests.support.stores import Bucket, Clock

COMMITTED = Path(__file__).parents[2] / "docs" / "openapi.json"
SETTINGS = Settings(bucket="bucket")
PREFLIGHT = {"access-control-request-method": "POST", "access-control-request-headers": "content-type"}


@asynccontextmanager
async def client_of(bucket: Bucket, settings: Settings = SETTINGS, **options: Any) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_app(settings, bucket.store, **options))
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
        yield client


class TestDocument:
    def test_is_the_committed_one(self) -> None:
        """`python -m lambdas.api.openapi` writes it; commit what it writes."""
        assert document(create_app(SETTINGS, Bucket().store), {}) == json.loads(COMMITTED.read_text())

    def test_describes_every_route(self) -> None:
        assert {(path, method.lower()) for method, path, _ in ROUTES} == set(OPERATIONS)

    def test_resolves_every_reference(self) -> None:
        found = json.loads(COMMITTED.read_text())

        def references(value: Any) -> list[str]:
            if isinstance(value, dict):
                own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
                return own + [ref for inner in value.values() for ref in references(inner)]
            return [ref for inner in value for ref in references(inner)] if isinstance(value, list) else []

        names = {reference.removeprefix("#/components/schemas/") for reference in references(found)}
        assert names and names <= set(found["components"]["schemas"])

    def test_carries_the_schema_of_what_is_deployed(self) -> None:
        async def fetch() -> Any:
            bucket = Bucket()
            promote(bucket.writer, build())
            async with client_of(bucket) as client:
                return (await client.get("/openapi.json")).json()

        schema = asyncio.run(fetch())["components"]["schemas"]["Record.iris"]
        assert list(schema["properties"]) == list(MEASURES)


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_answers_have_the_documented_shapes(task: str) -> None:
    async def ask() -> tuple[Answer, Answers]:
        bucket = Bucket()
        promote(bucket.writer, build(make_spec("m", task)))
        async with client_of(bucket) as client:
            one = await client.post("/models/m/predict", json=IRIS_RECORD)
            many = await client.post("/models/m/predict", json={"instances": [IRIS_RECORD] * 2})
        return Answer.model_validate_json(one.content), Answers.model_validate_json(many.content)

    one, many = asyncio.run(ask())
    assert one.feedback_token and len({prediction.feedback_token for prediction in many.predictions}) == 2
    assert [prediction.prediction for prediction in many.predictions] == [one.prediction] * 2


@pytest.mark.parametrize(("task", "truth"), [("binary", 1), ("multiclass", "setosa"), ("regression", 4.5)])
def test_feedback_takes_what_its_documented_shape_takes(task: str, truth: str | float) -> None:
    async def ask() -> list[Kept]:
        bucket = Bucket()
        promote(bucket.writer, build(make_spec("m", task)))
        async with client_of(bucket) as client:
            answer = Answer.model_validate_json((await client.post("/models/m/predict", json=IRIS_RECORD)).content)
            given = Feedback(
                prediction_id=answer.prediction_id, feedback_token=answer.feedback_token or "", ground_truth=truth
            )
            routes = ("/models/m/feedback", "/feedback")
            found = [await client.post(route, json=given.model_dump()) for route in routes]
        assert [one.status_code for one in found] == [202, 202]
        return [Kept.model_validate_json(one.content) for one in found]

    assert [one.status for one in asyncio.run(ask())] == ["stored", "already_stored"]


def test_every_answer_is_of_one_version_while_versions_change() -> None:
    """Promotions between and during requests: what is predicted is always what the version named in it predicts."""
    bucket, clock = Bucket(), Clock()
    versions = [build(seed=seed, scale=0.3) for seed in range(6)]
    row = np.array([[IRIS_RECORD[name] for name in MEASURES]])
    expected = {built.version: answer(built, row)[0].tolist() for built in versions}
    promote(bucket.writer, versions[0])

    async def ask(client: httpx.AsyncClient) -> str:
        found = (await client.post("/models/iris/predict", json={"instances": [IRIS_RECORD] * 3})).json()
        version = str(found["model"]["version"])
        for prediction in found["predictions"]:
            assert list(prediction["probabilities"].values()) == pytest.approx(expected[version], rel=1e-12)
        return version

    async def serve() -> list[str]:
        settings = SETTINGS.model_copy(update={"refresh_seconds": 1.0})
        seen: list[str] = []
        async with client_of(bucket, settings, clock=clock) as client:
            for built in versions[1:]:
                asking = [asyncio.create_task(ask(client)) for _ in range(25)]
                await asyncio.sleep(0)
                promote(bucket.writer, built)
                clock.advance(1.0)
                seen += await asyncio.gather(*asking, *(ask(client) for _ in range(25)))
                clock.advance(1.0)
                assert await ask(client) == built.version
        return seen

    assert set(asyncio.run(serve())) >= {built.version for built in versions[1:]}


def test_a_slow_look_does_not_hold_up_an_answer() -> None:
    """With an answer at hand, S3 is waited for at most a second, and others do not wait at all."""
    bucket, clock, gate = Bucket(), Clock(), threading.Event()
    promote(bucket.writer, build(seed=1))

    def hold(key: str) -> None:
        assert gate.wait(30)

    async def serve() -> tuple[int, str]:
        async with client_of(bucket, clock=clock) as client:
            first = (await client.post("/models/iris/predict", json=IRIS_RECORD)).json()["model"]["version"]
            bucket.before = hold
            clock.advance(60)
            try:
                async with asyncio.timeout(10):
                    found = await client.post("/models/iris/predict", json=IRIS_RECORD)
            finally:
                gate.set()
            assert found.json()["model"]["version"] == first
            return found.status_code, first

    assert asyncio.run(serve())[0] == 200


class TestCors:
    SITE = "http://localhost:8080"

    def ask(self, allowed: str | None, method: str, origin: str, **headers: str) -> httpx.Response:
        async def send() -> httpx.Response:
            bucket = Bucket()
            promote(bucket.writer, build())
            settings = Settings(bucket="bucket", allowed_origin=allowed)
            async with client_of(bucket, settings) as client:
                return await client.request(method, "/models/iris/predict", headers={"origin": origin, **headers},
                                            json=IRIS_RECORD)  # fmt: skip

        return asyncio.run(send())

    def test_the_one_origin_may_call(self) -> None:
        assert self.ask(self.SITE, "OPTIONS", self.SITE, **PREFLIGHT).status_code == 200
        found = self.ask(self.SITE, "POST", self.SITE)
        assert (found.status_code, found.headers["access-control-allow-origin"]) == (200, self.SITE)
        assert "x-request-id" in found.headers["access-control-expose-headers"].lower()

    @pytest.mark.parametrize("origin", ["http://evil.example", "http://localhost:8081", "null", ""])
    def test_no_other_may(self, origin: str) -> None:
        assert self.ask(self.SITE, "OPTIONS", origin, **PREFLIGHT).status_code == 400
        assert "access-control-allow-origin" not in self.ask(self.SITE, "POST", origin).headers

    def test_a_refused_preflight_is_a_problem(self) -> None:
        found = self.ask(self.SITE, "OPTIONS", "http://evil.example", **PREFLIGHT)
        assert found.headers["content-type"] == "application/problem+json"
        shape = Problem.model_validate_json(found.content)
        assert (shape.status, shape.type) == (400, "urn:perennial:problem:cross-origin")
        assert shape.request_id == found.headers["x-request-id"]
        assert "evil" not in found.text and "access-control-allow-origin" not in found.headers

    def test_nothing_is_said_where_the_gateway_says_it(self) -> None:
        assert "access-control-allow-origin" not in self.ask(None, "POST", self.SITE).headers

    def test_a_wildcard_is_no_origin(self) -> None:
        with pytest.raises(ValueError, match="allowed_origin"):
            Settings(bucket="bucket", allowed_origin="*")
