"""The API as its users meet it: HTTP, API Gateway, a Lambda function from the built package, S3."""

from __future__ import annotations

import base64
import json
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest

from perennial.deploy.up import LocalStack
from perennial.registry.registry import Registry
from perennial.store import Store
from tests.support import models
from tests.support.endpoint import client


@pytest.fixture
def api(stack: LocalStack) -> httpx.Client:
    return httpx.Client(base_url=stack.api_url, timeout=60)


def test_health_answers_while_no_model_is_needed(api: httpx.Client) -> None:
    answer = api.get("/health")
    assert (answer.status_code, answer.json()["status"]) == (200, "ok")


def test_a_registered_model_is_served_with_its_own_numbers(api: httpx.Client, store: Store) -> None:
    built = models.build(models.make_spec("served"), seed=3)
    entry = models.promote(store, built)
    answer = api.post("/models/served/predict", json=models.IRIS_RECORD)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    expected = models.answer(built, np.array([[models.IRIS_RECORD[name] for name in models.MEASURES]]))[0]
    classes = built.manifest.classes
    assert body["prediction"] == classes[int(expected.argmax())]
    assert body["probabilities"] == pytest.approx(dict(zip(classes, expected.tolist(), strict=True)), abs=1e-12)
    assert body["model"]["version"] == entry.version == built.version
    assert "served" in {model["name"] for model in api.get("/ready").json()["models"]}


def test_a_promotion_and_a_rollback_are_seen_by_the_next_request(api: httpx.Client, store: Store) -> None:
    spec = models.make_spec("refreshed")
    first, second = models.build(spec, seed=1), models.build(spec, seed=2)

    def served() -> str:
        answer = api.post("/models/refreshed/predict", json=models.IRIS_RECORD)
        return str(answer.json()["model"]["version"])

    models.promote(store, first)
    assert served() == first.version
    models.promote(store, second)
    assert served() == second.version
    Registry(store).rollback("refreshed", op_id="back", actor="test", reason="", now=models.NOW)
    assert served() == first.version


def test_an_unknown_model_is_a_404_not_a_403(api: httpx.Client) -> None:
    """The role may list, so S3 answers that a key is missing rather than that it is forbidden."""
    answer = api.post("/models/no-such-model/predict", json={})
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("application/problem+json")


def test_a_bad_record_is_a_problem_document_through_the_gateway(api: httpx.Client, store: Store) -> None:
    models.promote(store, models.build(models.make_spec("strict")))
    answer = api.post("/models/strict/predict", json=models.IRIS_RECORD | {"petal_width": "wide"})
    assert answer.status_code == 422
    assert "petal_width" in answer.text
    assert "wide" not in answer.text


def test_bodies_that_are_not_text_reach_the_function(api: httpx.Client, store: Store) -> None:
    models.promote(store, models.build(models.make_spec("bytes")))
    answer = api.post("/models/bytes/predict", content=b"\xff\xfe\x00", headers={"content-type": "application/json"})
    assert 400 <= answer.status_code < 500
    assert base64.b64encode(b"\xff\xfe\x00").decode() not in answer.text


def test_only_the_form_may_call_from_a_browser(api: httpx.Client, stack: LocalStack, store: Store) -> None:
    models.promote(store, models.build(models.make_spec("cors")))
    site = urlsplit(stack.site_url)
    origin = f"{site.scheme}://{site.netloc}"
    assert origin != f"{urlsplit(stack.api_url).scheme}://{urlsplit(stack.api_url).netloc}"
    asked = {"access-control-request-method": "POST", "access-control-request-headers": "content-type"}
    allowed = api.request("OPTIONS", "/models/cors/predict", headers={"origin": origin} | asked)
    assert allowed.headers["access-control-allow-origin"] == origin
    assert "POST" in allowed.headers["access-control-allow-methods"]
    assert "content-type" in allowed.headers["access-control-allow-headers"]
    answer = api.post("/models/cors/predict", json=models.IRIS_RECORD, headers={"origin": origin})
    assert answer.headers.get_list("access-control-allow-origin") == [origin]
    other = api.request("OPTIONS", "/models/cors/predict", headers={"origin": "https://evil.example"} | asked)
    assert "access-control-allow-origin" not in other.headers


def test_a_burst_starts_more_workers_and_loses_nothing(api: httpx.Client, store: Store) -> None:
    models.promote(store, models.build(models.make_spec("burst")))
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda _: api.post("/models/burst/predict", json=models.IRIS_RECORD), range(24)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["prediction_id"] for answer in answers}) == 24


def test_a_request_leaves_its_line_after_its_prediction_s_in_the_function_s_group(
    api: httpx.Client, stack: LocalStack, store: Store
) -> None:
    models.promote(store, models.build(models.make_spec("logged")))
    request = api.post("/models/logged/predict", json=models.IRIS_RECORD).headers["x-request-id"]
    logs = client(stack, "logs")
    deadline, found = time.monotonic() + 20, list[str]()
    while len(found) < 2 and time.monotonic() < deadline:  # logs come after the answer
        events = logs.filter_log_events(logGroupName="/perennial/local/api", filterPattern=f'"{request}"')["events"]
        found = [one["message"] for one in events if one["message"].startswith("{") and request in one["message"]]
    prediction, line = map(json.loads, found)
    assert (prediction["kind"], prediction["request_id"]) == ("perennial.prediction", request)
    assert (line["model"], line["status"]) == ("logged", 200)
