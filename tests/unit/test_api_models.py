"""What is told of the models: list, card, schema, readiness; and what is logged of a request."""

from __future__ import annotations

import json
from typing import Any

import pytest
from obstore.store import MemoryStore

from lambdas.api.app import create_app
from lambdas.api.shapes import Health, ModelCard, Models, Ready
from lambdas.api.telemetry import Telemetry
from perennial import keys
from perennial.registry.manifest import MODEL_FILE
from perennial.settings import Settings
from perennial.store import Store
from tests.support.events import LambdaContext, caller
from tests.support.models import IRIS_RECORD, MIXED, build, make_spec, promote
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


def test_models_lists_what_is_deployed(bucket: Bucket, call: Any) -> None:
    promote(bucket.writer, build(make_spec("b")))
    promote(bucket.writer, build(make_spec("a")))
    found = Models.model_validate_json(call("GET", "/models").body)
    assert [(model.name, model.generation, model.promoted_at) for model in found.models] == [
        ("a", 1, "2026-11-21T09:00:00+00:00"),
        ("b", 1, "2026-11-21T09:00:00+00:00"),
    ]


def test_model_tells_where_it_comes_from(bucket: Bucket, call: Any) -> None:
    built = build()
    promote(bucket.writer, built)
    card = ModelCard.model_validate_json(call("GET", "/models/iris").body)
    assert (card.name, card.version, card.generation) == ("iris", built.version, 1)
    assert (card.dataset, card.code, card.run) == (built.manifest.dataset, "0123abc", "run-1")
    assert (card.metrics["accuracy"].low, card.metrics["accuracy"].value) == (0.85, 0.9)
    assert card.parity.changed_classes == 0


def test_schema_draws_the_form(bucket: Bucket, call: Any) -> None:
    built = build(make_spec("mixed", "binary", MIXED))
    promote(bucket.writer, built)
    schema = call("GET", "/models/mixed/schema").json
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["title"] == "mixed" and schema["description"]
    assert list(schema["properties"]) == list(MIXED)
    assert schema["properties"]["Age"] == {
        "title": "Age", "type": "number", "minimum": 10.0, "maximum": 100.0, "multipleOf": 1,
        "description": "In full years.",
    }  # fmt: skip
    assert schema["properties"]["Sleep Duration"]["enum"] == MIXED["Sleep Duration"]["values"]
    assert schema["properties"]["City"]["examples"] == ["Pune", "Goa"]
    assert schema["required"] == ["Age", "Sleep Duration", "City"]
    assert schema["x-perennial"] == {
        "model": "mixed", "version": built.version, "task": "binary", "target": "target", "classes": ["0", "1"],
        "input": "tabular",
    }  # fmt: skip


def test_docs_escape_what_columns_are_called(bucket: Bucket, call: Any) -> None:
    promote(bucket.writer, build(make_spec("m", "binary", {"<script>alert(1)</script>": {"type": "number"}})))
    found = call("GET", "/docs")
    assert found.status == 200 and not found.is_base64
    assert "&lt;script&gt;" in found.body and "<script" not in found.body
    assert "script-src" not in found.headers["content-security-policy"]
    assert found.headers["content-security-policy"].startswith("default-src 'none'")


class TestReady:
    def ready(self, call: Any) -> tuple[int, Ready]:
        found = call("GET", "/ready")
        return found.status, Ready.model_validate_json(found.body)

    def test_names_what_is_served(self, bucket: Bucket, clock: Clock, call: Any) -> None:
        built = build()
        promote(bucket.writer, built)
        self.ready(call)
        clock.advance(4)
        status, found = self.ready(call)
        assert (status, found.status) == (200, "ready")
        [model] = found.models
        assert (model.version, model.generation, model.checked_seconds_ago) == (built.version, 1, 4.0)

    def test_without_a_model(self, call: Any) -> None:
        assert self.ready(call)[0] == 503

    def test_stale_says_why_and_since_when(self, bucket: Bucket, clock: Clock, call: Any) -> None:
        promote(bucket.writer, build())
        self.ready(call)
        bucket.down = True
        clock.now = 1_795_000_000.0 + 60
        status, found = self.ready(call)
        assert (status, found.status) == (200, "stale")
        failure = found.models[0].failure
        assert failure is not None
        assert (failure.reason, failure.since) == ("store_unavailable", "2026-11-18T11:07:40+00:00")

    def test_unverifiable_from_the_start(self, bucket: Bucket, call: Any) -> None:
        built = build()
        promote(bucket.writer, built)
        bucket.tamper(keys.registry_blob("iris", built.manifest.files[MODEL_FILE].digest), b"x")
        status, found = self.ready(call)
        assert (status, found.models[0].status) == (503, "unavailable")
        assert call("GET", "/health").status == 200

    @pytest.mark.parametrize("lost", [False, True])
    def test_a_damaged_alias_is_told_and_changes_no_other_s_route(self, clock: Clock, lost: bool) -> None:
        """Two models, and one alias is damaged or deleted: it is still served, still listed, and still counted."""
        raw = MemoryStore()
        store = Store(raw)
        promote(store, build(make_spec("a")))
        promote(store, build(make_spec("b")))
        call = caller(create_app(SETTINGS, store, clock=clock))
        assert self.ready(call)[1].status == "ready"
        before, alias = call("GET", "/models").json, keys.alias("a", "champion")
        if lost:
            raw.delete(alias)
        else:
            raw.put(alias, b"{}")
        clock.advance(SETTINGS.refresh_seconds)
        status, found = self.ready(call)
        assert (status, found.status) == (200, "stale")
        assert [(model.name, model.status) for model in found.models] == [("a", "stale"), ("b", "ready")]
        assert found.models[0].failure is not None
        assert found.models[0].failure.reason == ("not_found" if lost else "integrity")
        assert call("GET", "/models").json == before
        assert call("POST", "/predict", json.dumps(IRIS_RECORD)).status == 409
        assert call("POST", "/models/a/predict", json.dumps(IRIS_RECORD)).status == 200

    def test_a_model_that_was_damaged_before_the_start_is_counted(self, bucket: Bucket, call: Any) -> None:
        promote(bucket.writer, build(make_spec("a")))
        promote(bucket.writer, build(make_spec("b")))
        bucket.tamper(keys.alias("a", "champion"), b"{}")
        status, found = self.ready(call)
        assert status == 503
        assert [(model.name, model.status) for model in found.models] == [("a", "unavailable"), ("b", "ready")]
        assert [model["name"] for model in call("GET", "/models").json["models"]] == ["b"]
        assert call("POST", "/predict", json.dumps(IRIS_RECORD)).status == 409
        assert call("POST", "/models/a/predict", json.dumps(IRIS_RECORD)).status == 503

    def test_what_is_loaded_is_told_though_the_list_cannot_be_had(self, bucket: Bucket, call: Any) -> None:
        promote(bucket.writer, build())
        call("GET", "/models/iris")
        bucket.down = True
        status, found = self.ready(call)
        assert (status, found.status, [model.name for model in found.models]) == (200, "stale", ["iris"])

    def test_store_down_from_the_start(self, bucket: Bucket, call: Any) -> None:
        bucket.down = True
        assert self.ready(call) == (503, Ready(status="unavailable", models=[]))


def test_health_reads_nothing(bucket: Bucket, call: Any) -> None:
    bucket.down = True
    assert Health.model_validate_json(call("GET", "/health").body).status == "ok"
    assert bucket.reads == []


def test_cold_start_without_s3_is_503_with_retry_after(bucket: Bucket, clock: Clock, call: Any) -> None:
    promote(bucket.writer, build())
    bucket.down = True
    found = call("POST", "/models/iris/predict", json.dumps(IRIS_RECORD))
    assert (found.status, found.headers["retry-after"]) == (503, "1")
    assert found.json["type"] == "urn:perennial:problem:store-unavailable"
    assert "connection refused" not in found.body
    bucket.down = False
    clock.advance(1)
    assert call("POST", "/models/iris/predict", json.dumps(IRIS_RECORD)).status == 200


def test_warm_without_s3_answers_from_the_last_good_version(bucket: Bucket, clock: Clock, call: Any) -> None:
    promote(bucket.writer, build())
    before = call("POST", "/predict", json.dumps(IRIS_RECORD))
    bucket.down = True
    clock.advance(3600)
    after = call("POST", "/predict", json.dumps(IRIS_RECORD))
    assert after.status == 200 and after.json["model"] == before.json["model"]


class TestLog:
    """One JSON line a request on stdout, its metrics within, and nothing of the input but in lines of predictions."""

    def lines(self, capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
        return [line for line in map(json.loads, capsys.readouterr().out.splitlines()) if "kind" not in line]

    def test_a_prediction(self, bucket: Bucket, clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
        built = build()
        promote(bucket.writer, built)
        telemetry = Telemetry(emit_metrics=True)
        call = caller(create_app(SETTINGS, bucket.store, clock=clock, telemetry=telemetry))
        body = json.dumps({"instances": [{**IRIS_RECORD, "sepal_length": 7.654321}] * 3})
        call("POST", "/predict", body, headers={"x-correlation-id": "order-7"})
        call("POST", "/models/iris/predict", body, headers={"x-correlation-id": "not legal\n"})

        out = capsys.readouterr().out.splitlines()
        own = [line for line in out if not line.startswith('{"kind":"perennial.prediction",')]
        assert len(out) == len(own) + 6
        assert not any("7.654321" in line for line in own)
        first, second = map(json.loads, own)
        expected = {
            "level": "INFO", "message": "request", "service": "perennial-api", "method": "POST", "route": "/predict",
            "status": 200, "request_id": LambdaContext.aws_request_id, "correlation_id": "order-7",
            "cold_start": True, "model": "iris", "version": built.version, "generation": 1, "Predictions": 3,
        }  # fmt: skip
        assert {key: first[key] for key in expected} == expected
        assert first["Latency"] > 0
        assert first["_aws"]["Timestamp"] == int(clock.now * 1000)
        assert first["_aws"]["CloudWatchMetrics"] == [
            {
                "Namespace": "Perennial",
                "Dimensions": [["service", "model"]],
                "Metrics": [{"Name": "Latency", "Unit": "Milliseconds"}, {"Name": "Predictions", "Unit": "Count"}],
            }
        ]
        assert (second["cold_start"], second["correlation_id"]) == (False, LambdaContext.aws_request_id)

    def test_a_refusal(self, bucket: Bucket, capsys: pytest.CaptureFixture[str]) -> None:
        call = caller(create_app(SETTINGS, bucket.store, telemetry=Telemetry(emit_metrics=True)))
        call("GET", "/models/made-up")
        [line] = self.lines(capsys)
        assert (line["status"], line["error"], line["Refused"]) == (404, "NotFoundError", 1)
        assert "model" not in line
        assert line["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["service"]]

    def test_a_stale_model_is_a_warning_and_a_metric(
        self, bucket: Bucket, clock: Clock, capsys: pytest.CaptureFixture[str]
    ) -> None:
        promote(bucket.writer, build())
        call = caller(create_app(SETTINGS, bucket.store, clock=clock, telemetry=Telemetry(emit_metrics=True)))
        call("GET", "/models/iris")
        bucket.down = True
        clock.advance(20)
        call("GET", "/models/iris")
        call("GET", "/models/iris")
        _, story, line, again = self.lines(capsys)
        assert (story["level"], story["exception_name"]) == ("ERROR", "StoreUnavailable")
        assert "connection refused" in story["message"] and story["request_id"] == line["request_id"]
        assert again["StaleModel"] == 1
        assert (line["level"], line["refresh_failure"], line["StaleModel"]) == ("WARNING", "store_unavailable", 1)
        of_model, of_all = line["_aws"]["CloudWatchMetrics"]
        assert of_model["Dimensions"] == [["service", "model"]]
        stale = {"Name": "StaleModel", "Unit": "Count"}
        assert stale in of_model["Metrics"]
        assert of_all == {"Namespace": "Perennial", "Dimensions": [["service"]], "Metrics": [stale]}

    def test_a_model_that_cannot_be_verified_is_counted_whether_or_not_an_older_one_answers(
        self, bucket: Bucket, clock: Clock, capsys: pytest.CaptureFixture[str]
    ) -> None:
        promote(bucket.writer, build(make_spec("a")))
        promote(bucket.writer, build(make_spec("b")))
        call = caller(create_app(SETTINGS, bucket.store, clock=clock, telemetry=Telemetry(emit_metrics=True)))
        call("GET", "/models/a")
        for name in "ab":
            bucket.tamper(keys.alias(name, "champion"), b"{}")
        clock.advance(20)
        assert [call("GET", f"/models/{name}").status for name in "ab"] == [200, 503]
        found = [line for line in self.lines(capsys) if line.get("message") == "request"]
        assert ["IntegrityFailure" in line for line in found] == [False, True, True]
        for line in found[1:]:
            directive = line["_aws"]["CloudWatchMetrics"][-1]
            assert directive["Dimensions"] == [["service"]]
            assert {"Name": "IntegrityFailure", "Unit": "Count"} in directive["Metrics"]

    def test_the_service_is_named_by_its_environment(
        self, bucket: Bucket, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "perennial-staging-api")
        call = caller(create_app(SETTINGS, bucket.store, telemetry=Telemetry(emit_metrics=True)))
        call("GET", "/health")
        [line] = self.lines(capsys)
        assert line["service"] == "perennial-staging-api"

    def test_metrics_read_as_those_of_powertools(self, bucket: Bucket, capsys: pytest.CaptureFixture[str]) -> None:
        """The line's metrics are written by hand, for speed: what CloudWatch sees is what powertools would write."""
        from aws_lambda_powertools.metrics import EphemeralMetrics

        promote(bucket.writer, build())
        call = caller(create_app(SETTINGS, bucket.store, telemetry=Telemetry(emit_metrics=True)))
        call("POST", "/predict", json.dumps(IRIS_RECORD))
        [line] = self.lines(capsys)
        metrics = EphemeralMetrics(namespace="Perennial", service="perennial-api")
        metrics.add_dimension("model", "iris")
        metrics.add_metric("Latency", "Milliseconds", line["Latency"])
        metrics.add_metric("Predictions", "Count", 1)
        theirs: dict[str, Any] = dict(metrics.serialize_metric_set())
        directive, expected = line["_aws"]["CloudWatchMetrics"][0], theirs["_aws"]["CloudWatchMetrics"][0]
        assert directive["Namespace"] == expected["Namespace"]
        assert directive["Metrics"] == expected["Metrics"]
        assert {*directive["Dimensions"][0]} == {*expected["Dimensions"][0]}
        for name in ("service", "model"):
            assert line[name] == theirs[name]
        for name in ("Latency", "Predictions"):
            assert [line[name]] == theirs[name]

    def test_a_bug_is_logged_with_its_stack_and_request(self, bucket: Bucket, capsys: pytest.CaptureFixture[str],
                                                        monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
        from lambdas.api import app as application

        async def broken(request: Any) -> Any:
            raise RuntimeError("a bug")

        monkeypatch.setattr(application, "ROUTES", (("GET", "/broken", broken),))
        caller(create_app(SETTINGS, bucket.store))("GET", "/broken")
        lines = [line for line in self.lines(capsys) if "exception" in line]
        assert [line["request_id"] for line in lines] == [LambdaContext.aws_request_id]
        assert "RuntimeError: a bug" in lines[0]["exception"]

    def test_no_metrics_outside_a_function(self, bucket: Bucket, capsys: pytest.CaptureFixture[str]) -> None:
        caller(create_app(SETTINGS, bucket.store))("GET", "/health")
        [line] = self.lines(capsys)
        assert "_aws" not in line and line["status"] == 200
