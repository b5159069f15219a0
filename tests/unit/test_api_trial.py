"""A trial through the Lambda handler: who is who, what is told of it, and what is written."""

from __future__ import annotations

import json
from typing import Any

import pytest
from starlette.requests import Request

from lambdas.api.app import create_app
from lambdas.api.callers import caller_of
from lambdas.api.shapes import ModelCard, Ready
from lambdas.api.telemetry import Telemetry
from perennial import keys
from perennial.registry.entries import LogEntry, Mode
from perennial.registry.manifest import MODEL_FILE
from perennial.registry.trials import start_trial
from perennial.serving.captured import CapturedPrediction, parse
from perennial.settings import Settings
from tests.support.events import caller
from tests.support.models import IRIS_RECORD, NOW, build, promote, register
from tests.support.picture_models import build_pictures
from tests.support.pictures import image_spec, pet_bytes
from tests.support.stores import Bucket, Clock

SETTINGS = Settings(bucket="bucket")
CHAMPION, CHALLENGER = build(seed=1), build(seed=2)


@pytest.fixture
def bucket() -> Bucket:
    bucket = Bucket()
    promote(bucket.writer, CHAMPION)
    register(bucket.writer, CHALLENGER)
    return bucket


def begin(bucket: Bucket, model: str, version: str, mode: Mode, share: float) -> LogEntry:
    return start_trial(
        bucket.writer, model, version, mode=mode, share=share, op_id="try", actor="ada", reason="", now=NOW
    )


def serve(bucket: Bucket) -> Any:
    return caller(create_app(SETTINGS, bucket.store, clock=Clock(), telemetry=Telemetry(emit_metrics=True)))


def version_for(call: Any, who: str) -> str:
    found = call("POST", "/models/iris/predict", json.dumps(IRIS_RECORD), headers={"x-caller-id": who})
    assert found.status == 200
    return str(found.json["model"]["version"])


def captured(text: str) -> list[CapturedPrediction]:
    return [line for line in map(parse, text.splitlines()) if line is not None]


def request_lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines() if '"message":"request"' in line]


def test_the_same_caller_is_answered_by_the_same_version_by_every_server(bucket: Bucket) -> None:
    begin(bucket, "iris", CHALLENGER.version, "canary", 0.3)
    one, two = serve(bucket), serve(bucket)
    whose = {who: version_for(one, who) for who in map(str, range(60))}
    assert set(whose.values()) == {CHAMPION.version, CHALLENGER.version}
    assert 5 <= list(whose.values()).count(CHALLENGER.version) <= 32  # 18 are expected, and 3.5 the deviation
    assert whose == {who: version_for(two, who) for who in whose}
    assert version_for(one, "7") == whose["7"]


def test_the_answer_and_its_lines_say_who_answered(bucket: Bucket, capsys: pytest.CaptureFixture[str]) -> None:
    begin(bucket, "iris", CHALLENGER.version, "canary", 0.5)
    call = serve(bucket)
    who = next(who for who in map(str, range(60)) if version_for(call, who) == CHALLENGER.version)
    capsys.readouterr()
    found = call("POST", "/models/iris/predict", json.dumps(IRIS_RECORD), headers={"x-caller-id": who})
    out = capsys.readouterr().out
    answered, shadow = captured(out)
    assert found.json["model"]["digest"] == CHALLENGER.manifest.files[MODEL_FILE].digest
    assert (answered.role, answered.version, shadow.role, shadow.version) == (
        "canary", CHALLENGER.version, "shadow", CHAMPION.version,
    )  # fmt: skip
    assert answered.prediction_id == shadow.prediction_id == found.json["prediction_id"]
    [line] = request_lines(out)
    assert (line["version"], line["generation"]) == (CHALLENGER.version, 2)
    assert who not in [str(value) for value in line.values()] and "x-caller-id" not in out


def test_a_shadow_changes_nothing_of_an_answer(bucket: Bucket, capsys: pytest.CaptureFixture[str]) -> None:
    batch = json.dumps({"instances": [IRIS_RECORD] * 3})
    before = serve(bucket)("POST", "/models/iris/predict", batch).json
    begin(bucket, "iris", CHALLENGER.version, "shadow", 1.0)
    call = serve(bucket)
    capsys.readouterr()
    after = call("POST", "/models/iris/predict", batch).json
    assert after["model"] == before["model"]
    assert [one["probabilities"] for one in after["predictions"]] == [
        one["probabilities"] for one in before["predictions"]
    ]
    lines = captured(capsys.readouterr().out)
    assert [line.role for line in lines] == ["champion"] * 3 + ["shadow"] * 3
    assert [line.prediction_id for line in lines[:3]] == [line.prediction_id for line in lines[3:]]


def test_the_trial_is_told_of_and_the_champion_is_since_its_promotion(bucket: Bucket) -> None:
    begin(bucket, "iris", CHALLENGER.version, "canary", 0.25)
    call = serve(bucket)
    card = ModelCard.model_validate_json(call("GET", "/models/iris").body)
    assert card.trial is not None
    assert card.trial.model_dump() == {
        "version": CHALLENGER.version, "mode": "canary", "share": 0.25, "status": "on",
    }  # fmt: skip
    assert (card.version, card.promoted_at) == (CHAMPION.version, NOW.isoformat())
    assert call("GET", "/models").json["models"][0]["promoted_at"] == NOW.isoformat()
    [model] = Ready.model_validate_json(call("GET", "/ready").body).models
    assert (model.status, model.trial) == ("ready", card.trial)


def test_without_a_trial_there_is_none_to_tell_of(bucket: Bucket) -> None:
    call = serve(bucket)
    assert call("GET", "/models/iris").json["trial"] is None
    assert "trial" not in call("GET", "/ready").json["models"][0]


def test_a_damaged_challenger_is_counted_and_the_champion_answers_all(
    bucket: Bucket, capsys: pytest.CaptureFixture[str]
) -> None:
    begin(bucket, "iris", CHALLENGER.version, "shadow", 1.0)
    bucket.tamper(keys.registry_blob("iris", CHALLENGER.manifest.files[MODEL_FILE].digest), b"damaged")
    call = serve(bucket)
    assert version_for(call, "ada") == version_for(call, "bob") == CHAMPION.version
    out = capsys.readouterr().out
    lines = request_lines(out)
    assert [line["ChallengerOff"] for line in lines] == [1, 1]
    assert [line.get("IntegrityFailure") for line in lines] == [1, None]  # an alarm tells it once a look
    assert all(line["level"] == "WARNING" for line in lines)
    assert out.count("does not match its digest") >= 1
    assert call("GET", "/ready").json["models"][0]["trial"]["status"] == "off"


def test_a_challenger_that_overflows_is_stood_in_for_and_counted(
    bucket: Bucket, capsys: pytest.CaptureFixture[str]
) -> None:
    wild = build(seed=3, scale=5e307)
    register(bucket.writer, wild)
    begin(bucket, "iris", wild.version, "shadow", 1.0)
    call = serve(bucket)
    assert version_for(call, "ada") == CHAMPION.version
    out = capsys.readouterr().out
    [line] = captured(out)
    assert (line.role, line.challenger_error) == ("champion", "overflow")
    [request] = request_lines(out)
    assert request["ChallengerErrors"] == 1
    assert {"Name": "ChallengerErrors", "Unit": "Count"} in request["_aws"]["CloudWatchMetrics"][0]["Metrics"]


def test_pictures_are_framed_for_each_of_the_two(capsys: pytest.CaptureFixture[str]) -> None:
    bucket, photo = Bucket(), pet_bytes(1)
    small = build_pictures()
    frame = small.frame.model_copy(update={"size": 2 * small.frame.size})
    large = build_pictures(image_spec(), seed=2, frame=frame)
    promote(bucket.writer, small)
    register(bucket.writer, large)
    begin(bucket, "pets", large.version, "shadow", 1.0)
    found = serve(bucket)("POST", "/models/pets/predict", photo, headers={"content-type": "image/png"}, encode=True)
    assert (found.status, found.json["model"]["version"]) == (200, small.version)
    answered, shadow = captured(capsys.readouterr().out)
    assert (answered.version, shadow.version, shadow.role) == (small.version, large.version, "shadow")
    assert answered.probabilities != shadow.probabilities and answered.challenger_error is None


@pytest.mark.parametrize(
    ("authorizer", "headers", "expected"),
    [
        ({"jwt": {"claims": {"sub": "ada"}}}, [(b"x-caller-id", b"bob")], "jwt:ada"),
        ({"iam": {"userArn": "arn:aws:iam::1:user/ada"}}, [], "iam:arn:aws:iam::1:user/ada"),
        (None, [(b"x-caller-id", b"bob")], "id:bob"),
        ({"jwt": {"claims": None}}, [(b"x-caller-id", b"")], "at:192.0.2.1"),
        ({"jwt": []}, [(b"x-caller-id", b"b" * 1000)], f"id:{'b' * 256}"),
        ("odd", [], "at:192.0.2.1"),
    ],
)
def test_a_caller_is_whom_the_api_knows_else_who_they_say_else_where_they_are(
    authorizer: Any, headers: list[tuple[bytes, bytes]], expected: str
) -> None:
    scope: dict[str, Any] = {"type": "http", "headers": headers, "client": ("192.0.2.1", 1)}
    scope["aws.event"] = {"requestContext": {"authorizer": authorizer}}
    assert caller_of(Request(scope)) == expected


def test_without_a_gateway_or_an_address_there_is_one_caller() -> None:
    assert caller_of(Request({"type": "http", "headers": [], "client": None})) == "at:"
