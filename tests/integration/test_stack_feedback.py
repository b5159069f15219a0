"""Predictions remembered and ground truth taken, as deployed: API, its log, the subscription, the capture, S3."""

from __future__ import annotations

import base64
import gzip
import json
import time
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from perennial import keys
from perennial.deploy.up import LocalStack
from perennial.serving.captured import CapturedPrediction, parse
from perennial.serving.ids import day_of
from perennial.serving.labels import Label
from perennial.settings import Settings
from perennial.spec import ModelSpec
from perennial.store import Store
from tests.support import models
from tests.support.endpoint import client
from tests.support.stack import logged

SECONDS = 30.0


@pytest.fixture
def api(stack: LocalStack) -> httpx.Client:
    return httpx.Client(base_url=stack.api_url, timeout=60)


def captured(store: Store, model: str, expected: int) -> list[CapturedPrediction]:
    """The lines in S3 once at least ``expected`` of them are there, by number."""
    deadline = time.monotonic() + SECONDS
    while True:
        texts = [store.get(entry.key).data.splitlines() for entry in store.list(keys.predictions(model))]
        found = {line.prediction_id: line for text in texts for line in map(parse, text) if line is not None}
        if len(found) >= expected:
            return sorted(found.values(), key=lambda line: (line.instance, line.number))
        assert time.monotonic() < deadline, f"{len(found)} of {expected} lines arrived"
        time.sleep(0.1)


def predict(api: httpx.Client, model: str, body: object = models.IRIS_RECORD) -> dict[str, Any]:
    answer = api.post(f"/models/{model}/predict", json=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def say(api: httpx.Client, model: str, prediction: dict[str, Any], truth: object, **changes: str) -> httpx.Response:
    body = {name: prediction[name] for name in ("prediction_id", "feedback_token")} | changes | {"ground_truth": truth}
    return api.post(f"/models/{model}/feedback", json=body)


def test_a_prediction_is_found_in_s3_as_it_was_made(api: httpx.Client, store: Store) -> None:
    features = models.MIXED
    entry = models.promote(store, models.build(models.make_spec("remembered", "binary", features), scale=1e-3))
    record = models.MIXED_RECORD | {"City": "Zürich \u2028 京都"}
    answer = predict(api, "remembered", record)
    [line] = captured(store, "remembered", 1)
    assert (line.prediction_id, line.version, line.generation) == (answer["prediction_id"], entry.version, 1)
    assert (line.prediction, line.probabilities) == (answer["prediction"], answer["probabilities"])
    assert line.record == record
    [object_] = store.list(keys.predictions("remembered", day_of(line.prediction_id)))
    assert object_.key.endswith(".jsonl")


def test_a_thousand_at_once_all_arrive(api: httpx.Client, store: Store) -> None:
    models.promote(store, models.build(models.make_spec("many")))
    answers = predict(api, "many", {"instances": [models.IRIS_RECORD] * 1000})["predictions"]
    found = captured(store, "many", 1000)
    assert {line.prediction_id for line in found} == {one["prediction_id"] for one in answers}
    assert [line.number for line in found] == list(range(1, 1001))


def test_nothing_is_kept_where_capture_is_off(api: httpx.Client, store: Store) -> None:
    spec = models.make_spec("unseen").model_dump(mode="json") | {"monitor": {"capture": False}}
    models.promote(store, models.build(ModelSpec.model_validate(spec)))
    models.promote(store, models.build(models.make_spec("seen-after")))
    predict(api, "unseen")
    predict(api, "seen-after")
    captured(store, "seen-after", 1)
    assert list(store.list(keys.predictions("unseen"))) == []


def test_what_is_lost_on_the_way_shows_as_a_gap(api: httpx.Client, stack: LocalStack, store: Store) -> None:
    """The subscription is taken away for one prediction, as if its batch were lost."""
    models.promote(store, models.build(models.make_spec("gapped")))
    logs = client(stack, "logs")
    group = "/perennial/local/api"
    [subscription] = logs.describe_subscription_filters(logGroupName=group)["subscriptionFilters"]
    before = predict(api, "gapped")
    captured(store, "gapped", 1)
    logs.delete_subscription_filter(logGroupName=group, filterName=subscription["filterName"])
    try:
        predict(api, "gapped")
    finally:
        wanted = ("logGroupName", "filterName", "filterPattern", "destinationArn")
        logs.put_subscription_filter(**{name: subscription[name] for name in wanted})
    after = [predict(api, "gapped") for _ in range(8)]  # a burst elsewhere may have left several workers
    found = captured(store, "gapped", 9)
    assert {line.prediction_id for line in found} == {one["prediction_id"] for one in (before, *after)}
    highest = {line.instance: line.number for line in found}  # in order of numbers, so the last one stays
    assert sum(highest.values()) - len(found) == 1


def test_a_repeated_or_damaged_delivery_changes_nothing(stack: LocalStack, store: Store, api: httpx.Client) -> None:
    models.promote(store, models.build(models.make_spec("repeated")))
    predict(api, "repeated")
    captured(store, "repeated", 1)
    [entry] = store.list(keys.predictions("repeated"))
    line = store.get(entry.key).data.decode()
    functions = client(stack, "lambda")

    def deliver(event: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = functions.invoke(FunctionName=stack.capture, Payload=json.dumps(event))
        return answer

    def packed(data: bytes) -> dict[str, Any]:
        return {"awslogs": {"data": base64.b64encode(data).decode()}}

    whole = gzip.compress(json.dumps({"messageType": "DATA_MESSAGE", "logEvents": [{"message": line}]}).encode())
    assert json.load(deliver(packed(whole))["Payload"]) == {"lines": 1, "kept": 1, "objects": 1}
    failed = deliver(packed(whole[:-9]))
    assert failed["FunctionError"] and "cut short" in failed["Payload"].read().decode()
    assert [one.key for one in store.list(keys.predictions("repeated"))] == [entry.key]
    assert json.load(deliver(packed(whole))["Payload"])["kept"] == 1


def test_ground_truth_comes_back_by_http(api: httpx.Client, store: Store) -> None:
    models.promote(store, models.build(models.make_spec("taught")))
    models.promote(store, models.build(models.make_spec("taught-too")))
    prediction = predict(api, "taught")
    stored = say(api, "taught", prediction, "setosa")
    assert (stored.status_code, stored.json()) == (
        202,
        {"status": "stored", "prediction_id": prediction["prediction_id"]},
    )
    label = store.get(keys.label("taught", day_of(prediction["prediction_id"]), prediction["prediction_id"]))
    assert Label.model_validate_json(label.data).truth == "setosa"
    assert say(api, "taught", prediction, "setosa").json()["status"] == "already_stored"

    def problem(answer: httpx.Response) -> tuple[int, str]:
        assert answer.headers["content-type"] == "application/problem+json"
        return answer.status_code, answer.json()["type"].rsplit(":", 1)[-1]

    assert problem(say(api, "taught", prediction, "virginica")) == (409, "contradicting-label")
    assert problem(say(api, "taught", prediction, "tulip")) == (422, "invalid-feedback")
    assert problem(say(api, "taught", prediction, "setosa", feedback_token="A" * 43)) == (403, "invalid-feedback-token")
    assert problem(say(api, "taught-too", prediction, "setosa")) == (403, "invalid-feedback-token")
    assert problem(api.post("/models/taught/feedback", content=b"{")) in [(415, "unsupported-media-type")]
    labels = [entry.key for entry in store.list(keys.feedback("taught"))]
    assert len(labels) == 2 and labels[0].endswith(".contradicted.json")


def test_the_form_s_origin_may_give_feedback(api: httpx.Client, stack: LocalStack) -> None:
    origin = stack.site_url.split(f"/{stack.site_bucket}")[0]
    asked = {"access-control-request-method": "POST", "access-control-request-headers": "content-type"}
    found = api.request("OPTIONS", "/models/any/feedback", headers={"origin": origin} | asked)
    assert found.headers["access-control-allow-origin"] == origin
    assert "POST" in found.headers["access-control-allow-methods"]


def test_new_files_are_told_and_notices_have_a_topic(stack: LocalStack, store: Store) -> None:
    """By the names that the environment gives to every part."""
    settings = Settings.load(stack.environment())
    assert settings.site_bucket == stack.site_bucket
    sqs, sns = client(stack, "sqs"), client(stack, "sns")
    assert sns.publish(TopicArn=settings.topic_arn, Message="told")["MessageId"]
    for name in ("a.csv", "b.csv.gz", "c.parquet", "d.json"):
        store.put_new(keys.landing("landed", name), b"x")
    store.put_new(keys.landing("landed", "last.csv"), b"x")
    told: list[str] = []
    deadline = time.monotonic() + SECONDS
    while keys.landing("landed", "last.csv") not in told:
        assert time.monotonic() < deadline, told
        answer = sqs.receive_message(QueueUrl=settings.landing_queue, MaxNumberOfMessages=10, WaitTimeSeconds=1)
        for message in answer.get("Messages", []):
            records = json.loads(message["Body"]).get("Records", [])
            told += [record["s3"]["object"]["key"] for record in records]
            sqs.delete_message(QueueUrl=settings.landing_queue, ReceiptHandle=message["ReceiptHandle"])
    ours = [key.rsplit("/", 1)[-1] for key in told if key.startswith("landed/")]
    assert sorted(ours) == ["a.csv", "b.csv.gz", "c.parquet", "last.csv"]


def test_the_capture_says_what_it_did_in_a_log_of_its_own(api: httpx.Client, stack: LocalStack, store: Store) -> None:
    began = datetime.now(UTC)
    models.promote(store, models.build(models.make_spec("noted")))
    predict(api, "noted")
    captured(store, "noted", 1)
    deadline = time.monotonic() + SECONDS
    while not (said := [line for line in logged(stack, "capture", began) if '"captured"' in line]):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert json.loads(said[-1])["kept"] >= 1
    assert not any('"captured"' in line for line in logged(stack, "api", began))
