"""Bad input: always a 4xx problem that names the field, never a 5xx, never a value given back."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lambdas.api.app import create_app
from lambdas.api.bodies import MAX_BYTES
from lambdas.api.shapes import Problem as ProblemShape
from perennial.settings import Settings
from tests.support.events import LambdaContext, Reply, caller
from tests.support.models import MIXED, MIXED_RECORD, build, make_spec, promote
from tests.support.stores import Bucket

SECRET = "5e3ce7-secret"
PREDICT = "/models/mixed/predict"


def problem(found: Reply, status: int, kind: str) -> ProblemShape:
    """The problem in an answer, with all that every problem has."""
    assert found.status == status, found.body
    assert found.headers["content-type"] == "application/problem+json"
    assert not found.is_base64
    shape = ProblemShape.model_validate_json(found.body)
    assert (shape.status, shape.type) == (status, f"urn:perennial:problem:{kind}")
    assert shape.request_id == LambdaContext.aws_request_id == found.headers["x-request-id"]
    assert "Traceback" not in found.body
    return shape


def fields(shape: ProblemShape) -> list[str]:
    return [error.field for error in shape.errors or []]


@pytest.fixture(scope="module")
def call() -> Any:
    bucket = Bucket()
    promote(bucket.writer, build(make_spec("mixed", "binary", MIXED), scale=1e-3))
    return caller(create_app(Settings(bucket="bucket"), bucket.store))


def with_(**changes: Any) -> dict[str, Any]:
    return {**MIXED_RECORD, **{key.replace("_", " "): value for key, value in changes.items()}}


@pytest.mark.parametrize(
    ("record", "field"),
    [
        (with_(Age=SECRET), "Age"),
        (with_(Age="33"), "Age"),
        (with_(Age=[SECRET]), "Age"),
        (with_(Age={"deep": SECRET}), "Age"),
        (with_(Age=True), "Age"),
        (with_(Age=None), "Age"),
        (with_(Age=9.99), "Age"),
        (with_(Age=100.5), "Age"),
        (with_(Age=33.5), "Age"),
        (with_(Sleep_Duration=SECRET), "Sleep Duration"),
        (with_(Sleep_Duration=1), "Sleep Duration"),
        (with_(City=1), "City"),
        (with_(City=SECRET * 100), "City"),
        (with_(Since=SECRET), "Since"),
        (with_(Since=20261121), "Since"),
        (with_(Height=SECRET), "Height"),
        ({key: value for key, value in MIXED_RECORD.items() if key != "Age"}, "Age"),
        ({}, "Age"),
        ([], "body"),
        ([MIXED_RECORD], "body"),
        ("text", "body"),
        (None, "body"),
        ({"instances": [MIXED_RECORD, with_(Age=SECRET)]}, "instances.1.Age"),
        ({"instances": []}, "instances"),
        ({"instances": [MIXED_RECORD] * 1001}, "instances"),
        ({"instances": [MIXED_RECORD], "Age": 3}, "Age"),
    ],
)
def test_a_wrong_record_is_422_naming_the_field(call: Any, record: object, field: str) -> None:
    found = call("POST", PREDICT, json.dumps(record))
    assert field in fields(problem(found, 422, "invalid-record"))
    assert SECRET not in found.body


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_no_finite_number(call: Any, number: str) -> None:
    body = json.dumps(MIXED_RECORD).replace("8.97", number)
    assert fields(problem(call("POST", PREDICT, body), 422, "invalid-record")) == ["CGPA"]


def test_a_repeated_key(call: Any) -> None:
    body = json.dumps(MIXED_RECORD)[:-1] + ',"Age":34}'
    assert fields(problem(call("POST", PREDICT, body), 422, "invalid-record")) == ["Age"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"Age": 33,}',
        b"[" * 200_000,
        b'{"Age":' * 100_000,
        b'{"Age": ' + b"9" * 5_000 + b"}",
        b'{"City": "\\ud800"}',
        b"\xff\xfe\x00",
        b'{"City": "\xed\xa0\x80"}',
        b'{"Age": ' + SECRET.encode() + b"}",
    ],
    ids=lambda body: repr(body[:12]),
)
def test_broken_json_is_400(call: Any, body: bytes) -> None:
    found = call("POST", PREDICT, body, encode=True)
    assert fields(problem(found, 400, "broken-json")) == ["body"]
    assert SECRET not in found.body


def test_no_body_at_all(call: Any) -> None:
    problem(call("POST", PREDICT), 400, "broken-json")


@pytest.mark.parametrize("encode", [False, True])
@pytest.mark.parametrize("size", [MAX_BYTES + 1, 10_000_000])
def test_too_large_a_body_is_413_unparsed(call: Any, size: int, encode: bool) -> None:
    problem(call("POST", PREDICT, b" " * size, encode=encode), 413, "body-too-large")


def test_a_declared_length_is_enough_to_refuse(call: Any) -> None:
    problem(call("POST", PREDICT, b"{}", headers={"content-length": "9" * 30}), 413, "body-too-large")


def test_the_largest_body_is_taken(call: Any) -> None:
    record = json.dumps(MIXED_RECORD).encode()
    assert call("POST", PREDICT, b" " * (MAX_BYTES - len(record)) + record, encode=True).status == 200


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin-1", "json"]
)
def test_any_other_content_type_is_415(call: Any, kind: str) -> None:
    found = call("POST", PREDICT, json.dumps(MIXED_RECORD), headers={"content-type": kind})
    problem(found, 415, "unsupported-media-type")


@pytest.mark.parametrize(
    "kind", ["application/json", "Application/JSON; charset=UTF-8", 'application/json;charset="utf-8"']
)
def test_json_by_any_spelling_is_taken(call: Any, kind: str) -> None:
    assert call("POST", PREDICT, json.dumps(MIXED_RECORD), headers={"content-type": kind}).status == 200


@pytest.mark.parametrize("encoding", ["gzip", "br", "identity, gzip", "GZIP"])
def test_an_encoded_body_is_415_naming_the_header(call: Any, encoding: str) -> None:
    found = call("POST", PREDICT, json.dumps(MIXED_RECORD), headers={"content-encoding": encoding})
    assert "content-encoding" in problem(found, 415, "unsupported-media-type").detail
    assert found.headers["accept-encoding"] == "identity"


def test_an_identity_encoding_is_none(call: Any) -> None:
    assert call("POST", PREDICT, json.dumps(MIXED_RECORD), headers={"content-encoding": "identity"}).status == 200


@pytest.mark.parametrize(("method", "path"), [("POST", "/predict/"), ("GET", "/models/"), ("GET", "/health/"),
                                              ("POST", PREDICT + "/"), ("GET", "/models/mixed/")])  # fmt: skip
def test_a_trailing_slash_is_no_redirect_to_a_host_the_client_names(call: Any, method: str, path: str) -> None:
    found = call(method, path, headers={"host": "evil.example"})
    problem(found, 404, "unknown-route")
    assert "location" not in found.headers and "evil" not in found.body


@pytest.mark.parametrize(
    "name", ["other", "Mixed", "..", "a" * 3000, "%00", "%E2%82%AC", "mixed%2Fregistry", "mixed%0A"]
)
@pytest.mark.parametrize(("method", "path"), [("POST", "/models/{}/predict"), ("GET", "/models/{}/schema")])
def test_no_such_model_is_404(call: Any, method: str, path: str, name: str) -> None:
    found = call(method, path.format(name), json.dumps(MIXED_RECORD))
    assert found.status == 404 and found.headers["content-type"] == "application/problem+json"


def test_an_unknown_model_is_told_from_an_unknown_route(call: Any) -> None:
    problem(call("GET", "/models/other"), 404, "unknown-model")
    problem(call("GET", "/other"), 404, "unknown-route")


@pytest.mark.parametrize(("method", "path", "allowed"), [("GET", PREDICT, "POST"), ("POST", "/models", "GET"),
                                                         ("DELETE", "/health", "GET"), ("OPTIONS", PREDICT, "POST"),
                                                         ("QUERY", "/predict", "POST")])  # fmt: skip
def test_another_method_is_405(call: Any, method: str, path: str, allowed: str) -> None:
    found = call(method, path)
    problem(found, 405, "method-not-allowed")
    assert found.headers["allow"] == allowed


def test_head_is_get_without_a_body(call: Any) -> None:
    got, head = call("GET", "/models"), call("HEAD", "/models")
    assert (head.status, head.body) == (200, "")
    assert head.headers["content-length"] == got.headers["content-length"]


def test_a_server_is_left_to_know_that_it_was_asked_for_a_head() -> None:
    """uvicorn looks at the scope that it gave, and takes a body that is left out of a GET for an answer cut short."""
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    scope: dict[str, Any] = {"type": "http", "method": "HEAD", "path": "/health", "headers": [], "query_string": b""}
    asyncio.run(create_app(Settings(bucket="bucket"), Bucket().store)(scope, receive, send))
    assert (sent[0]["status"], sent[1]["body"], scope["method"]) == (200, b"", "HEAD")


def test_a_bug_is_500_without_a_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    from lambdas.api import app as application

    async def broken(request: Any) -> Any:
        raise RuntimeError(SECRET)

    monkeypatch.setattr(application, "ROUTES", (("GET", "/broken", broken),))
    found = caller(create_app(Settings(bucket="bucket"), Bucket().store))("GET", "/broken")
    problem_shape = ProblemShape.model_validate_json(found.body)
    assert (found.status, problem_shape.type) == (500, "urn:perennial:problem:internal")
    assert problem_shape.request_id == LambdaContext.aws_request_id
    assert SECRET not in found.body and "RuntimeError" not in found.body


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text() | st.sampled_from([*MIXED_RECORD, "instances"]), inner, max_size=5)
    ),
    max_leaves=10,
)


@settings(derandomize=True, max_examples=250, deadline=None)
@given(value=json_values)
def test_any_json_is_an_answer_or_a_4xx_problem(call: Any, value: Any) -> None:
    answer_or_problem(call("POST", PREDICT, json.dumps(value)))


@settings(derandomize=True, max_examples=150, deadline=None)
@given(changes=st.dictionaries(st.sampled_from(list(MIXED_RECORD)), json_values, max_size=2))
def test_a_changed_record_is_an_answer_or_a_4xx_problem(call: Any, changes: dict[str, Any]) -> None:
    answer_or_problem(call("POST", PREDICT, json.dumps({**MIXED_RECORD, **changes})))


@settings(derandomize=True, max_examples=150, deadline=None)
@given(body=st.binary(max_size=200), path=st.text(max_size=20), method=st.sampled_from(["GET", "POST", "PUT", "HEAD"]))
def test_any_bytes_anywhere_are_never_a_5xx(call: Any, body: bytes, path: str, method: str) -> None:
    assert call(method, "/" + path.encode(errors="replace").decode(), body, encode=True).status < 500
    answer_or_problem(call("POST", PREDICT, body, encode=True))


def answer_or_problem(found: Reply) -> None:
    if found.status != 200:
        assert 400 <= found.status < 500, found.body
        assert found.headers["content-type"] == "application/problem+json"
        shape = ProblemShape.model_validate_json(found.body)
        assert shape.errors and all(error.field and error.reason for error in shape.errors)
    assert sys.getsizeof(found.body) < 100_000
