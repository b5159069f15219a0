"""Pictures through the Lambda handler: each way to send one, what comes back, and what is remembered of it."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from typing import Any

import httpx
import pytest

from lambdas.api.app import create_app
from lambdas.api.shapes import Answer, Answers
from lambdas.api.workers import Workers
from perennial import keys
from perennial.images.decode import decode
from perennial.images.pixels import framed
from perennial.images.record import read_record
from perennial.serving.captured import CapturedPrediction, parse
from perennial.serving.picture_requests import MAX_BYTES
from perennial.serving.predictor import Predictor
from perennial.settings import Settings
from tests.support.events import Reply, caller
from tests.support.models import IRIS_RECORD, build, make_spec, promote
from tests.support.picture_models import BuiltPictures, answer, build_pictures
from tests.support.pictures import image_spec, pet_bytes
from tests.support.stores import Bucket

SETTINGS = Settings(bucket="bucket")
PREDICT = "/models/pets/predict"
PHOTO = pet_bytes(1)
DIGEST = hashlib.sha256(PHOTO).hexdigest()


@pytest.fixture
def bucket() -> Bucket:
    return Bucket()


@pytest.fixture
def built(bucket: Bucket) -> BuiltPictures:
    built = build_pictures()
    promote(bucket.writer, built)
    return built


@pytest.fixture
def call(bucket: Bucket) -> Any:
    return caller(create_app(SETTINGS, bucket.store))


def form(*pictures: bytes, field: str = "image", name: str = "photo.png") -> tuple[bytes, dict[str, str]]:
    """A form as a browser would write it, with its headers."""
    request = httpx.Request("POST", "http://api", files=[(field, (name, picture, "image/png")) for picture in pictures])
    return request.read(), {"content-type": request.headers["content-type"]}


def upload(call: Any, picture: bytes, kind: str = "image/png", path: str = PREDICT, **options: Any) -> Reply:
    found: Reply = call("POST", path, picture, headers={"content-type": kind}, encode=True, **options)
    return found


def captured(text: str) -> list[CapturedPrediction]:
    return [line for line in map(parse, text.splitlines()) if line is not None]


def request_line(text: str) -> dict[str, Any]:
    [line] = [json.loads(line) for line in text.splitlines() if '"message":"request"' in line]
    return dict(line)


def coded(picture: bytes) -> str:
    return base64.b64encode(picture).decode()


class TestOnePicture:
    def ways(self) -> dict[str, tuple[bytes, dict[str, str]]]:
        text = coded(PHOTO)
        return {
            "raw": (PHOTO, {"content-type": "image/png"}),
            "as a lie": (PHOTO, {"content-type": "image/jpeg"}),
            "as bytes": (PHOTO, {"content-type": "application/octet-stream"}),
            "in a form": form(PHOTO),
            "in JSON": (json.dumps({"image": text}).encode(), {}),
            "as an address": (json.dumps({"image": f"data:image/png;base64,{text}"}).encode(), {}),
        }

    @pytest.mark.parametrize("way", ["raw", "as a lie", "as bytes", "in a form", "in JSON", "as an address"])
    def test_is_answered_as_a_record_is(self, call: Any, built: BuiltPictures, way: str) -> None:
        body, headers = self.ways()[way]
        found = call("POST", PREDICT, body, headers=headers, encode=True)
        assert (found.status, found.headers["content-type"], found.is_base64) == (200, "application/json", False)
        assert list(found.json) == ["prediction", "probabilities", "prediction_id", "feedback_token", "model"]
        given = Answer.model_validate_json(found.body)
        numbers = answer(built, framed(decode(PHOTO), built.frame)).tolist()
        expected = dict(zip(built.manifest.classes, numbers, strict=True))
        assert given.probabilities == pytest.approx(expected, abs=1e-12)
        assert given.prediction == max(expected, key=expected.__getitem__)
        assert given.model.version == built.version and given.feedback_token

    def test_comes_to_the_one_model_that_is_deployed(self, call: Any, built: BuiltPictures) -> None:
        assert upload(call, PHOTO, path="/predict").json["model"]["version"] == built.version

    def test_gets_the_same_answer_bit_for_bit_however_it_comes(self, call: Any, built: BuiltPictures) -> None:
        answers = [call("POST", PREDICT, body, headers=headers, encode=True) for body, headers in self.ways().values()]
        assert len({json.dumps(found.json["probabilities"]) for found in answers}) == 1


class TestManyPictures:
    pictures = tuple(pet_bytes(seed) for seed in range(3))

    def test_are_answered_in_order(self, call: Any, built: BuiltPictures) -> None:
        body, headers = form(*self.pictures)
        instances = json.dumps({"instances": [{"image": coded(picture)} for picture in self.pictures]})
        alone = [upload(call, picture).json["probabilities"] for picture in self.pictures]
        for found in (call("POST", PREDICT, body, headers=headers, encode=True), call("POST", PREDICT, instances)):
            answers = Answers.model_validate_json(found.body)
            assert [line.probabilities for line in answers.predictions] == alone
            assert len({line.prediction_id for line in answers.predictions}) == 3

    def test_one_among_instances_is_answered_as_one_of_many(self, call: Any, built: BuiltPictures) -> None:
        found = call("POST", PREDICT, json.dumps({"instances": [{"image": coded(PHOTO)}]}))
        assert len(Answers.model_validate_json(found.body).predictions) == 1

    def test_are_all_or_nothing(self, call: Any, built: BuiltPictures, bucket: Bucket, capsys: Any) -> None:
        body, headers = form(PHOTO, b"no picture", PHOTO, b"")
        found = call("POST", PREDICT, body, headers=headers, encode=True)
        assert (found.status, found.json["type"]) == (415, "urn:perennial:problem:unsupported-picture")
        assert [error["field"] for error in found.json["errors"]] == ["instances.1.image", "instances.3.image"]
        assert not captured(capsys.readouterr().out) and not list(bucket.writer.list("pets/images"))

    def test_have_a_limit(self, call: Any, built: BuiltPictures) -> None:
        body, headers = form(*[pet_bytes(0, size=(8, 8))] * 17)
        found = call("POST", PREDICT, body, headers=headers, encode=True)
        assert found.status == 422 and found.json["errors"][0]["field"] == "image"
        found = call("POST", PREDICT, json.dumps({"instances": [{"image": coded(PHOTO)}] * 17}))
        assert found.status == 422 and found.json["errors"][0]["field"] == "instances"


class TestExplained:
    def ask(self, call: Any, query: str = "explain=1") -> Any:
        found = upload(call, PHOTO, query=query)
        assert found.status == 200, found.body
        return found.json

    def test_says_where_the_model_looked(self, bucket: Bucket, call: Any) -> None:
        """Of a model that looks at one cell alone, covering any other changes nothing."""
        built = build_pictures(cell=(slice(4, 6), slice(10, 12)))
        promote(bucket.writer, built)
        explanation = self.ask(call)["explanation"]
        assert list(explanation) == ["method", "class", "rows", "columns", "drops"]
        assert (explanation["method"], explanation["rows"], explanation["columns"]) == ("occlusion", 8, 8)
        touched = [
            (row, column) for row, line in enumerate(explanation["drops"]) for column, drop in enumerate(line) if drop
        ]
        assert touched == [(2, 5)]

    def test_is_of_the_class_that_is_predicted(self, call: Any, built: BuiltPictures) -> None:
        answer = self.ask(call)
        assert answer["explanation"]["class"] == answer["prediction"]
        Answer.model_validate(answer)

    def test_is_only_what_is_asked_for(self, call: Any, built: BuiltPictures) -> None:
        assert "explanation" not in self.ask(call, "explain=0") and "explanation" not in self.ask(call, "")

    @pytest.mark.parametrize("query", ["explain=yes", "explain=", "explain=1&explain=0", "explain=%00"])
    def test_is_asked_for_by_0_or_1(self, call: Any, built: BuiltPictures, query: str) -> None:
        found = upload(call, PHOTO, query=query)
        assert found.status == 422 and found.json["errors"] == [
            {"field": "explain", "reason": "Input should be 0 or 1"}
        ]

    def test_is_for_one_picture(self, call: Any, built: BuiltPictures) -> None:
        body, headers = form(PHOTO, PHOTO)
        found = call("POST", PREDICT, body, headers=headers, encode=True, query="explain=1")
        assert found.status == 422 and found.json["errors"][0]["field"] == "explain"


class TestRemembered:
    def test_line_and_bytes(self, call: Any, built: BuiltPictures, bucket: Bucket, capsys: Any) -> None:
        found = upload(call, PHOTO)
        [line] = captured(capsys.readouterr().out)
        assert line.prediction_id == found.json["prediction_id"]
        assert line.record == read_record(PHOTO).model_dump() and line.record["image"] == DIGEST
        assert bucket.writer.get(keys.image("pets", DIGEST)).data == PHOTO

    def test_a_picture_that_comes_again_is_stored_once(self, call: Any, built: BuiltPictures, bucket: Bucket) -> None:
        assert upload(call, PHOTO).status == upload(call, PHOTO).status == 200
        body, headers = form(PHOTO, PHOTO)
        assert call("POST", PREDICT, body, headers=headers, encode=True).status == 200
        assert len(list(bucket.writer.list("pets/images"))) == 1

    @pytest.mark.parametrize("share", [0, 1e-12])
    def test_what_is_not_sampled_is_not_stored(self, bucket: Bucket, call: Any, capsys: Any, share: float) -> None:
        promote(bucket.writer, build_pictures(image_spec(monitor={"capture": share})))
        assert upload(call, PHOTO).status == 200
        assert not captured(capsys.readouterr().out) and not list(bucket.writer.list("pets/images"))

    def test_no_line_claims_a_picture_that_was_not_stored(
        self, call: Any, built: BuiltPictures, bucket: Bucket, capsys: Any
    ) -> None:
        """S3 goes down between two predictions: both are answered, and the lost line shows as a gap."""
        upload(call, PHOTO)
        bucket.down = True
        assert upload(call, pet_bytes(2)).status == 200
        bucket.down = False
        assert upload(call, pet_bytes(3)).status == 200
        out = capsys.readouterr().out
        assert [(line.number, line.served) for line in captured(out)] == [(1, 1), (3, 3)]
        requests = [json.loads(line) for line in out.splitlines() if '"message":"request"' in line]
        assert [line.get("CaptureLost") for line in requests] == [None, 1, None]
        assert "StoreUnavailable" in out

    def test_a_silent_store_is_not_waited_for(
        self, call: Any, built: BuiltPictures, bucket: Bucket, capsys: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("lambdas.api.pictures.STORE_SECONDS", 0.05)
        upload(call, PHOTO)
        capsys.readouterr()
        gate = threading.Event()
        bucket.before = lambda key: None if "/images/" not in key else _wait(gate)
        try:
            assert upload(call, pet_bytes(2)).status == 200
            out = capsys.readouterr().out
        finally:
            gate.set()
        assert not captured(out) and request_line(out)["CaptureLost"] == 1

    def test_feedback_is_taken(self, call: Any, built: BuiltPictures) -> None:
        answer = upload(call, PHOTO).json
        body = {name: answer[name] for name in ("prediction_id", "feedback_token")} | {"ground_truth": "dog"}
        assert call("POST", "/models/pets/feedback", json.dumps(body)).status == 202


def _wait(gate: threading.Event) -> None:
    assert gate.wait(30)


class TestSchema:
    def test_of_a_model_of_pictures(self, call: Any, built: BuiltPictures) -> None:
        schema = call("GET", "/models/pets/schema").json
        assert schema["required"] == ["image"] and schema["additionalProperties"] is False
        assert schema["properties"] == {
            "image": {
                "type": "string", "contentEncoding": "base64", "contentMediaType": "image/*", "title": "Picture",
            }
        }  # fmt: skip
        assert schema["x-perennial"] == {
            "model": "pets", "version": built.version, "task": "binary", "target": "label",
            "classes": ["cat", "dog"], "input": "image",
            "image": {
                "size": 16, "color": "rgb", "fit": "stretch", "max_bytes": 4_500_000,
                "media_types": ["image/bmp", "image/gif", "image/jpeg", "image/png", "image/tiff", "image/webp"],
            },
        }  # fmt: skip

    def test_the_model_says_what_it_takes(self, call: Any, built: BuiltPictures, bucket: Bucket) -> None:
        promote(bucket.writer, build())
        assert call("GET", "/models/pets").json["input"] == "image"
        assert call("GET", "/models/iris").json["input"] == "tabular"

    def test_the_document_lists_it(self, call: Any, built: BuiltPictures) -> None:
        document = call("GET", "/openapi.json").json
        assert "image" in document["components"]["schemas"]["Record.pets"]["properties"]
        taken = document["paths"]["/models/{model}/predict"]["post"]["requestBody"]["content"]
        assert {"application/json", "multipart/form-data", "image/*", "application/octet-stream"} == set(taken)
        assert call("GET", "/docs").status == 200


class TestTables:
    @pytest.mark.parametrize("kind", ["image/png", "application/octet-stream", "multipart/form-data; boundary=b"])
    def test_take_no_pictures(self, bucket: Bucket, call: Any, kind: str) -> None:
        promote(bucket.writer, build(make_spec("iris")))
        found = upload(call, PHOTO, kind, "/models/iris/predict")
        assert (found.status, found.json["type"]) == (415, "urn:perennial:problem:unsupported-media-type")

    def test_are_answered_while_pictures_are_looked_at(
        self, built: BuiltPictures, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Both threads for pictures are busy; a record is answered all the same, and the pictures after it."""
        import asyncio

        promote(bucket.writer, build())
        gate, begun = threading.Event(), threading.Semaphore(0)

        def held(*args: Any, **options: Any) -> Any:
            begun.release()
            _wait(gate)
            return read_record(*args, **options)

        monkeypatch.setattr("perennial.images.record.read_record", held)

        async def serve() -> tuple[int, list[int]]:
            transport = httpx.ASGITransport(create_app(SETTINGS, bucket.store))
            async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
                headers = {"content-type": "image/png"}
                waiting = [asyncio.create_task(client.post(PREDICT, content=PHOTO, headers=headers)) for _ in range(4)]
                try:
                    await asyncio.to_thread(lambda: [begun.acquire(timeout=30) for _ in range(2)])
                    record = await asyncio.wait_for(client.post("/models/iris/predict", json=IRIS_RECORD), 10)
                finally:
                    gate.set()
                return record.status_code, [found.status_code for found in await asyncio.gather(*waiting)]

        assert asyncio.run(serve()) == (200, [200] * 4)


def test_a_picture_that_was_begun_is_answered_before_the_next_is(
    built: BuiltPictures, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who came first would else wait for all who came after, and could be refused once their picture was read."""
    import asyncio

    told: list[str] = []

    def read(*args: Any, **options: Any) -> Any:
        told.append("read")
        return read_record(*args, **options)

    def predicted(self: Predictor, *args: Any) -> Any:
        told.append("predicted")
        return predict_framed(self, *args)

    predict_framed = Predictor.predict_framed
    monkeypatch.setattr("perennial.images.record.read_record", read)
    monkeypatch.setattr(Predictor, "predict_framed", predicted)
    app = create_app(SETTINGS, bucket.store)
    object.__setattr__(app.state.services, "_workers", Workers(threads=1))

    async def serve() -> list[int]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api") as client:
            headers = {"content-type": "image/png"}
            posts = [client.post(PREDICT, content=PHOTO, headers=headers) for _ in range(4)]
            return [found.status_code for found in await asyncio.gather(*posts)]

    assert asyncio.run(serve()) == [200] * 4
    assert told == ["read", "predicted"] * 4


def test_a_line_that_is_too_long_is_a_503(
    built: BuiltPictures, bucket: Bucket, capsys: pytest.CaptureFixture[str]
) -> None:
    app = create_app(SETTINGS, bucket.store)
    object.__setattr__(app.state.services, "_workers", Workers(limit=0))
    found = upload(caller(app), PHOTO)
    assert (found.status, found.json["type"]) == (503, "urn:perennial:problem:busy")
    assert found.headers["retry-after"] == "1"
    assert "Traceback" not in capsys.readouterr().out  # many are turned away at once, and each has its line


class TestTooLarge:
    def test_raw(self, call: Any, built: BuiltPictures) -> None:
        assert upload(call, bytes(MAX_BYTES + 1)).json["type"] == "urn:perennial:problem:body-too-large"
        assert upload(call, b"BM" + bytes(MAX_BYTES - 2)).status == 422  # damaged, and not too large

    def test_in_a_form(self, call: Any, built: BuiltPictures) -> None:
        body, headers = form(bytes(MAX_BYTES + 1))
        found = call("POST", PREDICT, body, headers=headers, encode=True)
        assert (found.status, found.json["type"]) == (413, "urn:perennial:problem:picture-too-large")

    def test_in_json(self, call: Any, built: BuiltPictures) -> None:
        found = call("POST", PREDICT, json.dumps({"image": coded(bytes(MAX_BYTES + 1))}))
        assert (found.status, found.json["type"]) == (413, "urn:perennial:problem:picture-too-large")
        assert call("POST", PREDICT, json.dumps({"image": "A" * 8_000_000})).status == 413

    def test_together(self, call: Any, built: BuiltPictures) -> None:
        body, headers = form(bytes(MAX_BYTES // 2), bytes(MAX_BYTES // 2 + 1))
        assert call("POST", PREDICT, body, headers=headers, encode=True).status == 413

    def test_is_said_of_the_declared_length(self, call: Any, built: BuiltPictures) -> None:
        headers = {"content-type": "image/png", "content-length": "99999999"}
        assert call("POST", PREDICT, PHOTO, headers=headers, encode=True).status == 413
