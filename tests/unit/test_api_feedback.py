"""Ground truth through the Lambda handler: each outcome, stored before it is acknowledged, and counted once."""

from __future__ import annotations

import asyncio
import hmac
import json
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lambdas.api import services as api_services
from lambdas.api.app import create_app
from lambdas.api.feedback import MAX_BYTES, read_feedback
from lambdas.api.problems import Problem
from lambdas.api.shapes import Kept
from lambdas.api.shapes import Problem as ProblemShape
from perennial import keys
from perennial.serving.feedback import FIELD
from perennial.serving.ids import day_of, uuid7
from perennial.serving.labels import Label
from perennial.serving.requests import BrokenJson
from perennial.settings import Settings
from perennial.spec import ModelSpec
from tests.support.events import Reply, caller
from tests.support.models import IRIS_RECORD, build, make_spec, promote
from tests.support.stores import Bucket, Clock

SETTINGS = Settings(bucket="bucket")
SECRET = "5e3ce7-secret"


@pytest.fixture
def bucket() -> Bucket:
    bucket = Bucket()
    promote(bucket.writer, build(make_spec("iris")))
    return bucket


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def call(bucket: Bucket, clock: Clock) -> Any:
    return caller(create_app(SETTINGS, bucket.store, clock=clock))


def predicted(call: Any, model: str = "iris") -> dict[str, str]:
    """A prediction's id and token, as the body of feedback wants them."""
    answer = call("POST", f"/models/{model}/predict", json.dumps(IRIS_RECORD)).json
    return {"prediction_id": answer["prediction_id"], "feedback_token": answer["feedback_token"]}


def say(call: Any, body: dict[str, Any], truth: object, model: str = "iris") -> Reply:
    found: Reply = call("POST", f"/models/{model}/feedback", json.dumps({**body, "ground_truth": truth}))
    return found


def refused(found: Reply, status: int, kind: str) -> ProblemShape:
    assert found.headers["content-type"] == "application/problem+json"
    shape = ProblemShape.model_validate_json(found.body)
    assert (found.status, shape.type) == (status, f"urn:perennial:problem:{kind}"), found.body
    return shape


def stored(bucket: Bucket, model: str = "iris") -> list[Label]:
    labels = [entry.key for entry in bucket.writer.list(keys.feedback(model))]
    return [Label.model_validate_json(bucket.writer.get(key).data) for key in labels if "contradicted" not in key]


class TestTaken:
    def test_label_is_stored_before_it_is_acknowledged(self, bucket: Bucket, clock: Clock, call: Any) -> None:
        body = predicted(call)
        found = say(call, body, "setosa")
        assert found.status == 202
        assert Kept.model_validate_json(found.body) == Kept(status="stored", prediction_id=body["prediction_id"])
        key = keys.label("iris", day_of(body["prediction_id"]), body["prediction_id"])
        label = Label.model_validate_json(bucket.writer.get(key).data)
        assert (label.model, label.truth, label.source) == ("iris", "setosa", "api")
        assert label.at.timestamp() == clock.now

    def test_each_of_many_has_its_own_token(self, bucket: Bucket, call: Any) -> None:
        answer = call("POST", "/models/iris/predict", json.dumps({"instances": [IRIS_RECORD] * 3})).json
        for line in answer["predictions"]:
            body = {name: line[name] for name in ("prediction_id", "feedback_token")}
            assert say(call, body, "virginica").status == 202
        assert len(stored(bucket)) == 3

    def test_a_repeated_label_counts_once(self, bucket: Bucket, clock: Clock, call: Any) -> None:
        body = predicted(call)
        statuses = []
        for _ in range(20):
            clock.advance(1)
            statuses.append(say(call, body, "setosa").json["status"])
        assert statuses == ["stored"] + ["already_stored"] * 19
        assert len(stored(bucket)) == 1

    def test_the_token_may_be_checked_by_another_server(self, bucket: Bucket, clock: Clock, call: Any) -> None:
        body = predicted(call)
        other = caller(create_app(SETTINGS, bucket.store, clock=clock))
        assert say(other, body, "setosa").status == 202

    @pytest.mark.parametrize("truth", ["truth", "label", "ground_truth"])
    @pytest.mark.parametrize("token", ["token", "feedback_token"])
    def test_shorter_names_mean_the_same(self, call: Any, token: str, truth: str) -> None:
        given = predicted(call)
        body = {"prediction_id": given["prediction_id"], token: given["feedback_token"], truth: "setosa"}
        assert call("POST", "/models/iris/feedback", json.dumps(body)).status == 202

    @pytest.mark.parametrize(("truth", "canonical"), [(1, "1"), (1.0, "1"), ("1", "1"), (" 1.0 ", "1"), (0, "0")])
    def test_classes_are_told_in_any_spelling(self, bucket: Bucket, call: Any, truth: object, canonical: str) -> None:
        promote(bucket.writer, build(make_spec("b", "binary")))
        assert say(call, predicted(call, "b"), truth, "b").status == 202
        assert [label.truth for label in stored(bucket, "b")] == [canonical]

    def test_a_regression_takes_a_number(self, bucket: Bucket, clock: Clock, call: Any) -> None:
        promote(bucket.writer, build(make_spec("rent", "regression")))
        body = predicted(call, "rent")
        assert say(call, body, 1200, "rent").json["status"] == "stored"
        clock.advance(1)
        assert say(call, body, 1200.0, "rent").json["status"] == "already_stored"
        assert [label.truth for label in stored(bucket, "rent")] == [1200.0]

    def test_the_only_model_needs_no_name(self, bucket: Bucket, call: Any) -> None:
        body = json.dumps(predicted(call) | {"ground_truth": "setosa"})
        assert call("POST", "/feedback", body).status == 202
        promote(bucket.writer, build(make_spec("other")))
        fresh = caller(create_app(SETTINGS, bucket.store))
        found = refused(fresh("POST", "/feedback", body), 409, "several-models")
        assert "/models/iris/feedback" in found.detail

    def test_a_label_is_counted_in_the_log(self, call: Any, clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
        body = predicted(call)
        say(call, body, "setosa")
        clock.advance(1)
        say(call, body, "setosa")
        lines = [
            json.loads(line) for line in capsys.readouterr().out.splitlines() if '"/models/{model}/feedback"' in line
        ]
        assert [line.get("Labels") for line in lines] == [1, None]
        assert not any("setosa" in json.dumps(line) for line in lines)


class TestRefused:
    def test_a_forged_token(self, bucket: Bucket, call: Any) -> None:
        body = predicted(call)
        forged = hmac.digest(b"\0" * 32, f"iris/{body['prediction_id']}".encode(), "sha256").hex()
        for token in (forged, "", body["feedback_token"][:-1], body["feedback_token"] + "=", "é" * 43, "\0"):
            refused(say(call, body | {"feedback_token": token}, "setosa"), 403, "invalid-feedback-token")
        assert stored(bucket) == []

    def test_an_unknown_or_malformed_id(self, call: Any, clock: Clock) -> None:
        body = predicted(call)
        for identifier in (uuid7(clock.now, b"\1" * 10), "", "../x", SECRET, body["prediction_id"].upper(), "\n"):
            found = say(call, body | {"prediction_id": identifier}, "setosa")
            refused(found, 403, "invalid-feedback-token")
            assert SECRET not in found.body

    def test_the_id_of_another_model(self, bucket: Bucket, call: Any) -> None:
        promote(bucket.writer, build(make_spec("other")))
        refused(say(call, predicted(call, "other"), "setosa"), 403, "invalid-feedback-token")
        assert stored(bucket) == stored(bucket, "other") == []

    def test_an_unknown_model(self, call: Any) -> None:
        refused(say(call, predicted(call), "setosa", "nobody"), 404, "unknown-model")

    def test_a_month_is_not_late_and_three_are(self, call: Any, clock: Clock) -> None:
        early, late = predicted(call), predicted(call)
        clock.advance(timedelta(days=30).total_seconds())
        assert say(call, early, "setosa").status == 202
        clock.advance(timedelta(days=60, milliseconds=2).total_seconds())
        refused(say(call, late, "setosa"), 410, "feedback-too-late")
        refused(say(call, early, "setosa"), 410, "feedback-too-late")

    def test_how_late_is_the_spec_s_word(self, bucket: Bucket, clock: Clock) -> None:
        spec = make_spec("hasty").model_dump(mode="json") | {"monitor": {"feedback_within": "1h"}}
        promote(bucket.writer, build(ModelSpec.model_validate(spec)))
        call = caller(create_app(SETTINGS, bucket.store, clock=clock))
        body = predicted(call, "hasty")
        clock.advance(3601)
        refused(say(call, body, "setosa", "hasty"), 410, "feedback-too-late")

    def test_the_first_of_contradicting_labels_stands(self, bucket: Bucket, clock: Clock, call: Any) -> None:
        body = predicted(call)
        assert say(call, body, "setosa").status == 202
        clock.advance(1)
        for other in ("virginica", "versicolor", "virginica"):
            refused(say(call, body, other), 409, "contradicting-label")
        assert say(call, body, "setosa").json["status"] == "already_stored"
        assert [label.truth for label in stored(bucket)] == ["setosa"]
        key = keys.contradiction("iris", day_of(body["prediction_id"]), body["prediction_id"])
        assert Label.model_validate_json(bucket.writer.get(key).data).truth == "virginica"

    @pytest.mark.parametrize("truth", ["tulip", SECRET, "", 7, True, 1e300, 10**400, -0.5])
    def test_a_class_the_model_does_not_know(self, bucket: Bucket, call: Any, truth: object) -> None:
        found = say(call, predicted(call), truth)
        shape = refused(found, 422, "invalid-feedback")
        assert [error.field for error in shape.errors or []] == [FIELD]
        assert SECRET not in found.body and "tulip" not in found.body and "'setosa'" in found.body
        assert stored(bucket) == []

    @pytest.mark.parametrize("truth", ["12", "", True, None, [1.0], {"value": 1.0}, 10**400, 1e39, -1e300])
    def test_no_number_for_a_regression(self, bucket: Bucket, call: Any, truth: object) -> None:
        promote(bucket.writer, build(make_spec("rent", "regression")))
        shape = refused(say(call, predicted(call, "rent"), truth, "rent"), 422, "invalid-feedback")
        assert [error.field for error in shape.errors or []] == [FIELD]
        assert stored(bucket, "rent") == []

    @pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
    def test_no_finite_number(self, bucket: Bucket, call: Any, number: str) -> None:
        promote(bucket.writer, build(make_spec("rent", "regression")))
        body = json.dumps(predicted(call, "rent") | {"ground_truth": 0}).replace(": 0}", f": {number}}}")
        assert call("POST", "/models/rent/feedback", body).status in (400, 422)
        assert stored(bucket, "rent") == []

    def test_a_long_list_of_classes_is_not_told(self) -> None:
        from perennial.errors import InvalidRecord
        from perennial.serving.feedback import truth_of

        manifest = build().manifest.model_copy(update={"classes": tuple(f"class-{i}" for i in range(1000))})
        assert truth_of(manifest, "class-7") == "class-7"
        with pytest.raises(InvalidRecord) as caught:
            truth_of(manifest, "none")
        assert len(str(caught.value)) < 200


class TestBodies:
    @pytest.mark.parametrize(
        ("body", "fields"),
        [
            ({}, ["prediction_id", "feedback_token", "ground_truth"]),
            ([], ["body"]),
            ("text", ["body"]),
            (
                {"prediction_id": 7, "feedback_token": None, "ground_truth": None},
                ["prediction_id", "feedback_token", FIELD],
            ),
            ({"prediction_id": "a", "token": "b", "feedback_token": "b", "truth": 1}, ["feedback_token"]),
            ({"prediction_id": "a", "token": "b", "truth": 1, "label": 1}, [FIELD]),
            ({"prediction_id": "a", "token": "b", "truth": 1, SECRET: SECRET}, ["body"]),
            ({"prediction_id": "a" * 501, "token": "b", "truth": "x" * 501}, ["prediction_id", FIELD]),
        ],
    )
    def test_a_wrong_shape_is_422_naming_the_member(self, call: Any, body: object, fields: list[str]) -> None:
        found = call("POST", "/models/iris/feedback", json.dumps(body))
        shape = refused(found, 422, "invalid-feedback")
        assert [error.field for error in shape.errors or []] == fields
        assert SECRET not in found.body

    def test_a_repeated_member(self, call: Any) -> None:
        body = json.dumps(predicted(call) | {"ground_truth": "setosa"})[:-1] + ',"ground_truth":"virginica"}'
        shape = refused(call("POST", "/models/iris/feedback", body), 422, "invalid-feedback")
        assert [error.field for error in shape.errors or []] == [FIELD]

    @pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"truth": "\\ud800"}', b"[" * 3000, b'{"truth": NaN}'])
    def test_broken_json(self, call: Any, body: bytes) -> None:
        refused(call("POST", "/models/iris/feedback", body, encode=True), 400, "broken-json")

    def test_is_small(self, call: Any) -> None:
        body = json.dumps(predicted(call) | {"ground_truth": "setosa"})
        padded = body + " " * (MAX_BYTES - len(body))
        assert call("POST", "/models/iris/feedback", padded).status == 202
        refused(call("POST", "/models/iris/feedback", padded + " "), 413, "body-too-large")

    def test_has_room_for_the_longest_texts(self, call: Any) -> None:
        """However they are escaped: 500 letters beyond the first plane are 6,000 bytes."""
        texts = dict.fromkeys(("prediction_id", "feedback_token", "ground_truth"), "\U0001f4a3" * 500)
        refused(call("POST", "/models/iris/feedback", json.dumps(texts)), 403, "invalid-feedback-token")

    @pytest.mark.parametrize(("digits", "status"), [(501, 422), (4_300, 422), (4_301, 400), (20_000, 400)])
    def test_a_number_of_any_length_is_refused(self, call: Any, digits: int, status: int) -> None:
        said = json.dumps(predicted(call) | {"ground_truth": 0})
        body = said.replace('"ground_truth": 0', '"ground_truth": ' + "9" * digits)
        kind = "invalid-feedback" if status == 422 else "broken-json"
        refused(call("POST", "/models/iris/feedback", body), status, kind)

    def test_is_json(self, call: Any) -> None:
        found = call("POST", "/models/iris/feedback", "{}", headers={"content-type": "text/plain"})
        refused(found, 415, "unsupported-media-type")

    @settings(derandomize=True, max_examples=200, deadline=None)
    @given(st.binary(max_size=120))
    def test_any_bytes_are_read_or_refused(self, body: bytes) -> None:
        with suppress(BrokenJson, Problem):
            read_feedback(body)

    @settings(derandomize=True, max_examples=200, deadline=None)
    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(st.sampled_from(["prediction_id", "token", "truth", "label", "x"]), inner, max_size=4)
            ),
            max_leaves=8,
        )
    )
    def test_any_json_is_never_a_5xx(self, value: Any) -> None:
        found = _hostile()("POST", "/models/iris/feedback", json.dumps(value))
        assert 400 <= found.status < 500
        assert found.headers["content-type"] == "application/problem+json"


_CALL: list[Any] = []


def _hostile() -> Any:
    """One server for all examples."""
    if not _CALL:
        bucket = Bucket()
        promote(bucket.writer, build(make_spec("iris")))
        _CALL.append(caller(create_app(SETTINGS, bucket.store)))
    return _CALL[0]


class TestStorage:
    def test_down_is_503_and_sending_again_is_safe(self, bucket: Bucket, call: Any) -> None:
        body = predicted(call)
        bucket.down = True
        found = say(call, body, "setosa")
        refused(found, 503, "feedback-unavailable")
        assert found.headers["retry-after"] == "1" and "connection refused" not in found.body
        assert stored(bucket) == []
        bucket.down = False
        assert say(call, body, "setosa").json["status"] == "stored"

    def test_what_is_stored_and_is_no_label_takes_no_other(self, bucket: Bucket, call: Any) -> None:
        body = predicted(call)
        bucket.writer.put_new(keys.label("iris", day_of(body["prediction_id"]), body["prediction_id"]), b"{}")
        refused(say(call, body, "setosa"), 503, "feedback-unavailable")

    @pytest.fixture
    def over(self) -> Iterator[threading.Event]:
        over = threading.Event()
        yield over
        over.set()

    @pytest.mark.parametrize("silent", ["feedback/", keys.FEEDBACK_KEY])
    def test_silence_is_503_in_bounded_time(
        self, bucket: Bucket, clock: Clock, over: threading.Event, monkeypatch: pytest.MonkeyPatch, silent: str
    ) -> None:
        monkeypatch.setattr("lambdas.api.feedback.COLD_LOOK_SECONDS", 0.3)
        body = predicted(caller(create_app(SETTINGS, bucket.store, clock=clock)))

        def hang(key: str) -> None:
            if silent in key:
                assert over.wait(60)

        bucket.before = hang

        async def ask() -> list[httpx.Response]:
            app = create_app(SETTINGS, bucket.store, clock=clock)
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api") as client:
                truths = ("setosa", "virginica", "versicolor")
                return await asyncio.gather(
                    *(client.post("/models/iris/feedback", json=body | {"ground_truth": truth}) for truth in truths)
                )

        started = time.monotonic()
        found = asyncio.run(ask())
        assert {answer.status_code for answer in found} == {503}
        assert time.monotonic() - started < 5

    def test_a_flood_of_labels_is_bounded(
        self, bucket: Bucket, clock: Clock, over: threading.Event, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("lambdas.api.feedback.COLD_LOOK_SECONDS", 0.5)
        monkeypatch.setattr(api_services, "MAX_LABELS", 4)
        calls = caller(create_app(SETTINGS, bucket.store, clock=clock))
        bodies = [predicted(calls) for _ in range(20)]

        def hang(key: str) -> None:
            if "/feedback/" in key:
                assert over.wait(60)

        bucket.before = hang

        async def ask() -> list[httpx.Response]:
            app = create_app(SETTINGS, bucket.store, clock=clock)
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api") as client:
                await client.get("/models/iris")
                return await asyncio.gather(
                    *(client.post("/models/iris/feedback", json=body | {"ground_truth": "setosa"}) for body in bodies)
                )

        assert {answer.status_code for answer in asyncio.run(ask())} == {503}
        assert len([key for key in bucket.reads if "/feedback/" in key]) <= 4


class TestKey:
    def test_is_made_once_by_whoever_is_first(self, bucket: Bucket, clock: Clock) -> None:
        calls = [caller(create_app(SETTINGS, bucket.store, clock=clock)) for _ in range(3)]
        bodies = [predicted(call) for call in calls]
        assert len(bucket.writer.get(keys.FEEDBACK_KEY).data) == 32
        assert [say(call, body, "setosa").status for call, body in zip(reversed(calls), bodies, strict=True)] == [
            202
        ] * 3

    def test_feedback_before_any_prediction_is_nobody_s_and_makes_no_key(self, bucket: Bucket, call: Any) -> None:
        """Who takes feedback may not be who may make the key; and a 503 would ask to send it again, and alarm."""
        body = {"prediction_id": uuid7(Clock().now, bytes(10)), "feedback_token": "x"}
        refused(say(call, body, "setosa"), 403, "invalid-feedback-token")
        assert not bucket.writer.exists(keys.FEEDBACK_KEY)
        assert say(call, predicted(call), "setosa").status == 202

    def test_unreadable_costs_the_token_and_nothing_else(
        self, bucket: Bucket, clock: Clock, capsys: pytest.CaptureFixture[str]
    ) -> None:
        broken = [True]

        def fail(key: str) -> None:
            if key == keys.FEEDBACK_KEY and broken[0]:
                raise PermissionError("403 AccessDenied")

        bucket.before = fail
        call = caller(create_app(SETTINGS, bucket.store, clock=clock))
        answers = [call("POST", "/models/iris/predict", json.dumps(IRIS_RECORD)) for _ in range(3)]
        assert [answer.status for answer in answers] == [200] * 3
        assert [answer.json["feedback_token"] for answer in answers] == [None] * 3
        refused(say(call, predicted(call) | {"feedback_token": "x"}, "setosa"), 503, "feedback-unavailable")
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"kind"' not in line]
        told = [line for line in lines if line.get("exception_name")]
        assert keys.FEEDBACK_KEY in told[0]["message"]
        assert [line.get("NoFeedbackToken") for line in lines if line["message"] == "request"][:3] == [1] * 3
        assert lines[1]["level"] == "WARNING"
        broken[0] = False
        clock.advance(10)
        deadline = time.monotonic() + 10
        while predicted(call)["feedback_token"] is None:  # looked for beside a request, and there for one after it
            assert time.monotonic() < deadline
        assert say(call, predicted(call), "setosa").status == 202

    def test_silence_holds_up_the_first_answer_for_a_moment_only(self, bucket: Bucket, clock: Clock) -> None:
        over = threading.Event()

        def hang(key: str) -> None:
            if key == keys.FEEDBACK_KEY:
                assert over.wait(60)

        bucket.before = hang
        call = caller(create_app(SETTINGS, bucket.store, clock=clock))
        try:
            started = time.monotonic()
            assert [predicted(call)["feedback_token"] for _ in range(5)] == [None] * 5
            assert time.monotonic() - started < 3
        finally:
            over.set()

    def test_what_is_no_key_signs_nothing(self, bucket: Bucket, call: Any) -> None:
        bucket.writer.put_new(keys.FEEDBACK_KEY, b"short")
        assert predicted(call)["feedback_token"] is None
