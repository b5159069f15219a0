"""Predictions through the Lambda handler: the shapes of answers, in order, each from one version."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest

from lambdas.api.app import create_app
from perennial.registry.manifest import MODEL_FILE
from perennial.serving.ids import uuid7
from perennial.settings import Settings
from tests.support.events import Reply, caller
from tests.support.models import IRIS, IRIS_RECORD, Built, build, make_spec, promote
from tests.support.stores import Bucket, Clock

SETTINGS = Settings(bucket="bucket")


@pytest.fixture
def bucket() -> Bucket:
    return Bucket()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def call(bucket: Bucket, clock: Clock) -> Any:
    return caller(create_app(SETTINGS, bucket.store, clock=clock))


def model_of(built: Built) -> dict[str, str]:
    return {
        "name": built.manifest.model,
        "version": built.version,
        "digest": built.manifest.files[MODEL_FILE].digest,
        "dataset": built.manifest.dataset,
    }


def test_one_record_is_answered_by_one_object(bucket: Bucket, call: Any) -> None:
    built = build()
    promote(bucket.writer, built)

    found = call("POST", "/models/iris/predict", json.dumps(IRIS_RECORD))

    assert (found.status, found.headers["content-type"], found.is_base64) == (200, "application/json", False)
    assert list(found.json) == ["prediction", "probabilities", "prediction_id", "feedback_token", "model"]
    probabilities = found.json["probabilities"]
    assert list(probabilities) == list(built.manifest.classes)
    assert sum(probabilities.values()) == pytest.approx(1, abs=1e-12)
    assert found.json["prediction"] == max(probabilities, key=probabilities.__getitem__)
    assert found.json["model"] == model_of(built)
    assert uuid.UUID(found.json["prediction_id"]).version == 7


def test_many_are_answered_in_order_without_model_each(bucket: Bucket, call: Any) -> None:
    built = build()
    promote(bucket.writer, built)
    records = [{**IRIS_RECORD, "sepal_length": length} for length in (4.0, 5.1, 9.0)]

    found = call("POST", "/models/iris/predict", json.dumps({"instances": records}))

    assert found.status == 200 and list(found.json) == ["predictions", "model"]
    assert found.json["model"] == model_of(built)
    alone = [call("POST", "/models/iris/predict", json.dumps(record)).json for record in records]
    for one, many in zip(alone, found.json["predictions"], strict=True):
        assert list(many) == ["prediction", "probabilities", "prediction_id", "feedback_token"]
        assert (many["prediction"], many["probabilities"]) == (one["prediction"], one["probabilities"])
    ids = [line["prediction_id"] for line in [*found.json["predictions"], *alone]]
    assert len(set(ids)) == len(ids)


def test_a_regression_has_no_probabilities(bucket: Bucket, call: Any) -> None:
    promote(bucket.writer, build(make_spec("rent", "regression")))
    found = call("POST", "/models/rent/predict", json.dumps(IRIS_RECORD)).json
    assert list(found) == ["prediction", "prediction_id", "feedback_token", "model"]
    assert isinstance(found["prediction"], float)


def test_a_binary_prediction_is_a_key_of_its_probabilities(bucket: Bucket, call: Any) -> None:
    promote(bucket.writer, build(make_spec("b", "binary")))
    found = call("POST", "/models/b/predict", json.dumps(IRIS_RECORD)).json
    assert found["prediction"] in found["probabilities"]


def test_a_base64_body_is_the_same_body(bucket: Bucket, call: Any) -> None:
    promote(bucket.writer, build())
    plain, encoded = (call("POST", "/predict", json.dumps(IRIS_RECORD), encode=encode).json for encode in (False, True))
    assert plain["probabilities"] == encoded["probabilities"]


class TestTheOnlyModel:
    def test_needs_no_name(self, bucket: Bucket, call: Any) -> None:
        promote(bucket.writer, build())
        assert call("POST", "/predict", json.dumps(IRIS_RECORD)).json["model"]["name"] == "iris"

    def test_of_several_has_to_be_named(self, bucket: Bucket, call: Any) -> None:
        promote(bucket.writer, build())
        promote(bucket.writer, build(make_spec("rent", "regression")))
        found = call("POST", "/predict", json.dumps(IRIS_RECORD))
        assert (found.status, found.json["type"]) == (409, "urn:perennial:problem:several-models")
        assert "/models/iris/predict, /models/rent/predict" in found.json["detail"]

    def test_of_none(self, call: Any) -> None:
        found = call("POST", "/predict", json.dumps(IRIS_RECORD))
        assert (found.status, found.json["type"]) == (404, "urn:perennial:problem:no-model")


def test_a_promotion_is_served_after_the_refresh(bucket: Bucket, clock: Clock, call: Any) -> None:
    old, new = build(seed=1), build(seed=2)
    promote(bucket.writer, old)

    def version() -> str:
        return str(call("POST", "/models/iris/predict", json.dumps(IRIS_RECORD)).json["model"]["version"])

    assert version() == old.version
    promote(bucket.writer, new)
    assert version() == old.version
    clock.advance(SETTINGS.refresh_seconds)
    assert version() == new.version


def test_an_answer_too_large_for_a_number_is_a_problem(bucket: Bucket, call: Any) -> None:
    features = {name: {"type": "number"} for name in IRIS}
    promote(bucket.writer, build(make_spec("m", "regression", features), scale=100.0))
    huge, fine = dict.fromkeys(IRIS, 1.7e308), dict.fromkeys(IRIS, 1.0)

    def fields(body: object) -> list[str]:
        found: Reply = call("POST", "/models/m/predict", json.dumps(body))
        assert found.status == 422
        return [error["field"] for error in found.json["errors"]]

    assert fields(huge) == ["body"]
    assert fields({"instances": [fine, huge]}) == ["instances.1"]


class TestIds:
    def test_are_version_7_and_sort_by_time(self) -> None:
        ids = [uuid7(seconds, b"\xff" * 10) for seconds in (0.0, 1.0, 1_795_000_000.001, 1_795_000_000.002)]
        assert ids == sorted(ids)
        assert all(uuid.UUID(one).version == 7 and uuid.UUID(one).variant == uuid.RFC_4122 for one in ids)

    def test_keep_the_millisecond_and_the_randomness(self) -> None:
        found = uuid.UUID(uuid7(1_795_000_000.123, bytes(range(10))))
        assert found.int >> 80 == 1_795_000_000_123
        assert found.int & (1 << 62) - 1 == int.from_bytes(bytes(range(10)), "big") & (1 << 62) - 1
