"""Batches through the Lambda handler: what is ordered, what is told of it, and to whom."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import uvicorn
from hypothesis import given, settings
from hypothesis import strategies as st

from lambdas.api.app import create_app
from lambdas.api.batch_bodies import MAX_BYTES
from lambdas.api.batch_shapes import BatchStatus, CreatedBatch
from lambdas.api.shapes import Problem as ProblemShape
from perennial import keys
from perennial.serving.batch_job import (
    BatchCounts,
    BatchInput,
    BatchOutput,
    BatchProgress,
    BatchRequest,
    BatchResult,
    Preview,
    State,
    job_of,
    uploaded_job,
)
from perennial.settings import Settings
from perennial.spec import ModelSpec
from tests.support.events import Reply, caller
from tests.support.models import IRIS_RECORD, build, make_spec, promote
from tests.support.stores import Bucket, Clock

SETTINGS = Settings(bucket="bucket", upload_bytes=1000)
SECRET = "5e3ce7-secret"
VERSION = "435e28176c33ef83"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_SESSION_TOKEN", "session-token")


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


def order(call: Any, body: object = None, path: str = "/models/iris/batches") -> CreatedBatch:
    found = call("POST", path, None if body is None else json.dumps(body))
    assert found.status == 201, found.body
    assert found.headers["cache-control"] == "no-store"
    return CreatedBatch.model_validate_json(found.body)


def ask(call: Any, made: CreatedBatch, model: str = "iris") -> BatchStatus:
    found = call("GET", f"/models/{model}/batches/{made.id}")
    assert found.status == 200, found.body
    assert found.headers["cache-control"] == "no-store"
    return BatchStatus.model_validate_json(found.body)


def refused(found: Reply, status: int, kind: str) -> ProblemShape:
    assert found.headers["content-type"] == "application/problem+json"
    shape = ProblemShape.model_validate_json(found.body)
    assert (found.status, shape.type) == (status, f"urn:perennial:problem:{kind}"), found.body
    return shape


def ordered(bucket: Bucket, made: CreatedBatch, model: str = "iris") -> BatchRequest:
    key = keys.batch_request(model, job_of(made.id))
    return BatchRequest.from_bytes(bucket.writer.get(key).data, key)


class Scoring:
    """What the scoring of one upload leaves in S3."""

    def __init__(self, bucket: Bucket, made: CreatedBatch, clock: Clock, model: str = "iris") -> None:
        self.store, self.model, self.job = bucket.writer, model, job_of(made.id)
        self.key = made.upload.fields["key"]
        self.now = datetime.fromtimestamp(clock.now, UTC)

    def upload(self) -> None:
        self.store.put_new(self.key, b"a,b\n1,2\n")

    def progress(self, state: State, done: int = 0, total: int = 100, rows: int = 0) -> None:
        key = keys.batch_progress(self.model, self.job)
        counts = BatchCounts(rows=rows, scored=rows)
        found = BatchProgress(
            state=state, model=self.model, version=VERSION, counts=counts, bytes_done=done, bytes_total=total,
            parts_done=0, parts=1, updated=self.now,
        )  # fmt: skip
        old = self.store.find(key)
        if old is None:
            self.store.put_new(key, found.to_bytes())
        else:
            self.store.put_if_match(key, found.to_bytes(), old.etag)

    def result(self, **changes: Any) -> None:
        name = self.key.removeprefix(keys.batch_in(self.model))
        values: dict[str, Any] = {
            "state": "done", "model": self.model, "version": VERSION, "name": name,
            "input": BatchInput(bucket="bucket", key=self.key, version="v", etag="e", size=8),
            "counts": BatchCounts(rows=3, scored=2, quarantined=1), "warnings": ("A column is missing.",),
            "scored": BatchOutput(key=keys.batch_out(self.model, name, VERSION, self.job, "csv"), size=77,
                                  media_type="text/csv; charset=utf-8"),
            "quarantined": BatchOutput(key=keys.batch_quarantine(self.model, name, VERSION, self.job), size=9,
                                       media_type="text/csv; charset=utf-8"),
            "preview": Preview(columns=("row", "prediction"), rows=(("1", "setosa"), ("2", "virginica"))),
            "started": self.now, "ended": self.now,
        }  # fmt: skip
        self.store.put_new(keys.batch_result(self.model, self.job), BatchResult(**values | changes).to_bytes())


class TestOrdered:
    def test_a_form_for_one_file_and_an_id(self, bucket: Bucket, clock: Clock, call: Any) -> None:
        made = order(call, {"name": "Kunden März.csv", "output": "parquet", "keep": ["sepal_length", "target"]})
        assert made.job_id == made.id and len(base64.urlsafe_b64decode(made.id + "=")) == 32
        assert made.status_url == f"/models/iris/batches/{made.id}"
        assert (made.upload.url, made.upload.max_bytes) == ("https://bucket.s3.us-east-1.amazonaws.com/", 1000)
        key = made.upload.fields["key"]
        assert (key.rpartition("/")[2], uploaded_job("iris", key)) == ("Kunden-Marz.csv", job_of(made.id))
        policy = json.loads(base64.b64decode(made.upload.fields["policy"]))
        assert ["content-length-range", 0, 1000] in policy["conditions"] and {"key": key} in policy["conditions"]
        found = ordered(bucket, made)
        assert (found.model, found.name) == ("iris", "Kunden März.csv")
        assert (found.options.output, found.options.keep) == ("parquet", ("sepal_length", "target"))
        assert found.created.timestamp() == clock.now and found.expires == found.created + timedelta(hours=1)
        assert datetime.fromisoformat(made.upload.expires_at) == found.expires
        assert policy["expiration"].rstrip("Z") == made.upload.expires_at.removesuffix("+00:00")

    def test_the_id_is_nowhere_in_the_bucket(self, bucket: Bucket, call: Any) -> None:
        made = order(call, {"name": "a.csv"})
        for entry in bucket.writer.list(""):
            assert made.id not in entry.key and made.id.encode() not in bucket.writer.get(entry.key).data
        assert made.id not in json.dumps(made.upload.model_dump())

    def test_nothing_has_to_be_said(self, bucket: Bucket, call: Any) -> None:
        for body in (None, {}, {"name": None, "output": None, "keep": None, "size": None}, {"name": ""}):
            made = order(call, body)
            found = ordered(bucket, made)
            assert (found.name, found.options.output, found.options.keep) == ("file", None, False)
            assert made.upload.fields["key"].endswith("/file")

    def test_nothing_has_to_be_sent(self, bucket: Bucket) -> None:
        async def send() -> list[int]:
            app = create_app(SETTINGS, bucket.store)
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api") as client:
                found = [await client.post("/models/iris/batches"), await client.post("/batches", json={})]
                found.append(await client.post("/models/iris/batches", content=b"{}"))
            return [one.status_code for one in found]

        assert asyncio.run(send()) == [201, 201, 415]

    def test_what_is_not_said_is_as_the_spec_says(self, bucket: Bucket, call: Any) -> None:
        spec = make_spec("kept").model_dump(mode="json") | {"batch": {"output": "parquet", "keep": ["customer"]}}
        promote(bucket.writer, build(ModelSpec.model_validate(spec)))
        path = "/models/kept/batches"
        assert ordered(bucket, order(call, {}, path), "kept").options.model_dump() == {
            "output": "parquet", "keep": ("customer",),
        }  # fmt: skip
        said = ordered(bucket, order(call, {"output": "csv", "keep": False}, path), "kept").options
        assert (said.output, said.keep) == ("csv", False)

    def test_the_only_model_needs_no_name(self, bucket: Bucket, call: Any) -> None:
        assert order(call, {}, "/batches").status_url.startswith("/models/iris/batches/")
        promote(bucket.writer, build(make_spec("other")))
        found = refused(caller(create_app(SETTINGS, bucket.store))("POST", "/batches", "{}"), 409, "several-models")
        assert "/models/iris/batches" in found.detail

    def test_each_has_an_id_of_its_own(self, call: Any) -> None:
        assert len({order(call).id for _ in range(20)}) == 20

    def test_an_announced_size_is_kept_and_bounded(self, bucket: Bucket, call: Any) -> None:
        for size in (1000, 1000.0):  # one number, as JSON has them
            assert ordered(bucket, order(call, {"size": size})).size == 1000
        found = refused(call("POST", "/models/iris/batches", '{"size": 1001}'), 413, "upload-too-large")
        assert "1,000 bytes" in found.detail


class TestRefused:
    @pytest.mark.parametrize(
        ("body", "fields"),
        [
            ([], ["body"]),
            ("text", ["body"]),
            ({"name": 7, "output": "xlsx", "keep": SECRET, "size": -1}, ["name", "output", "keep", "size"]),
            ({"name": "x" * 256}, ["name"]),
            ({"keep": [SECRET, 7]}, ["keep"]),
            ({"keep": ["a"] * 1001}, ["keep"]),
            ({"size": True}, ["size"]),
            ({"size": 1.5}, ["size"]),
            ({"output": ["csv"]}, ["output"]),
            ({SECRET: SECRET}, ["body"]),
        ],
    )
    def test_a_wrong_member_is_named(self, bucket: Bucket, call: Any, body: object, fields: list[str]) -> None:
        found = call("POST", "/models/iris/batches", json.dumps(body))
        assert [one.field for one in refused(found, 422, "invalid-batch").errors or []] == fields
        assert SECRET not in found.body
        assert not any("/batch/" in entry.key for entry in bucket.writer.list("iris/"))

    def test_a_column_to_keep_that_nobody_knows_is_named(self, call: Any) -> None:
        body = {"keep": ["sepal_length", "sepal_lenght", "target", "colour"]}
        found = refused(call("POST", "/models/iris/batches", json.dumps(body)), 422, "invalid-batch")
        assert [one.field for one in found.errors or []] == ["keep.sepal_lenght", "keep.colour"]
        assert all("true keeps every column" in one.reason for one in found.errors or [])

    def test_a_member_twice(self, call: Any) -> None:
        found = refused(call("POST", "/models/iris/batches", '{"name": "a", "name": "b"}'), 422, "invalid-batch")
        assert [one.field for one in found.errors or []] == ["name"]

    @pytest.mark.parametrize("body", [b"{", b"\xff", b'{"name": "\\ud800"}', b"[" * 3000, b'{"size": NaN}'])
    def test_broken_json(self, call: Any, body: bytes) -> None:
        refused(call("POST", "/models/iris/batches", body, encode=True), 400, "broken-json")

    @pytest.mark.parametrize("digits", [19, 20, 4000, 20_000])
    def test_a_number_of_any_length(self, call: Any, digits: int) -> None:
        found = call("POST", "/models/iris/batches", '{"size": ' + "9" * digits + "}")
        assert found.status in (400, 413, 422) and "999" not in found.body

    def test_a_large_body(self, call: Any) -> None:
        refused(call("POST", "/models/iris/batches", "{}" + " " * MAX_BYTES), 413, "body-too-large")

    def test_an_unknown_model(self, call: Any) -> None:
        refused(call("POST", "/models/nobody/batches", "{}"), 404, "unknown-model")

    def test_without_s3(self, bucket: Bucket, call: Any) -> None:
        made = order(call)
        bucket.down = True
        found = call("POST", "/models/iris/batches", "{}")
        refused(found, 503, "batches-unavailable")
        assert found.headers["retry-after"] == "1" and "connection refused" not in found.body
        refused(call("GET", f"/models/iris/batches/{made.id}"), 503, "batches-unavailable")
        bucket.down = False
        assert ask(call, made).state == "waiting"

    def test_a_silent_s3_is_503_in_bounded_time(self, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("lambdas.api.batches.COLD_LOOK_SECONDS", 0.3)
        over = threading.Event()
        call = caller(create_app(SETTINGS, bucket.store))
        made = order(call)

        def hang(key: str) -> None:
            if "/batch/" in key:
                assert over.wait(60)

        bucket.before = hang
        started = time.monotonic()
        try:
            refused(call("POST", "/models/iris/batches", "{}"), 503, "batches-unavailable")
            refused(call("GET", f"/models/iris/batches/{made.id}"), 503, "batches-unavailable")
            assert call("POST", "/models/iris/predict", json.dumps(IRIS_RECORD)).status == 200
            assert time.monotonic() - started < 5
        finally:
            over.set()

    @pytest.mark.parametrize("profile", [None, "me"])
    def test_without_keys_to_sign_with(
        self, bucket: Bucket, clock: Clock, call: Any, monkeypatch: pytest.MonkeyPatch, profile: str | None
    ) -> None:
        made = order(call)
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
            monkeypatch.delenv(name)
        if profile:
            monkeypatch.setenv("AWS_PROFILE", profile)
        before = len(list(bucket.writer.list("")))
        assert "AWS keys" in refused(call("POST", "/models/iris/batches", "{}"), 503, "links-unavailable").detail
        assert len(list(bucket.writer.list(""))) == before
        assert ask(call, made).state == "waiting"
        Scoring(bucket, made, clock).result()
        refused(call("GET", f"/models/iris/batches/{made.id}"), 503, "links-unavailable")

    @settings(derandomize=True, max_examples=200, deadline=None)
    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(st.sampled_from(["name", "output", "keep", "size", "x"]), inner, max_size=4)
            ),
            max_leaves=8,
        )
    )
    def test_any_json_is_never_a_5xx(self, value: Any) -> None:
        found = _hostile()("POST", "/models/iris/batches", json.dumps(value))
        assert found.status == 201 or 400 <= found.status < 500


_CALL: list[Any] = []


def _hostile() -> Any:
    """One server for all examples."""
    if not _CALL:
        bucket = Bucket()
        promote(bucket.writer, build(make_spec("iris")))
        _CALL.append(caller(create_app(SETTINGS, bucket.store)))
    return _CALL[0]


class TestTold:
    def test_the_whole_way(self, bucket: Bucket, clock: Clock, call: Any) -> None:
        made = order(call, {"name": "in.csv"})
        scoring = Scoring(bucket, made, clock)
        seen = [ask(call, made)]
        scoring.upload()
        seen.append(ask(call, made))
        steps: list[tuple[State, int]] = [("waiting", 0), ("scoring", 0), ("scoring", 50), ("scoring", 100)]
        for state, done in [*steps, ("joining", 100), ("done", 100)]:
            scoring.progress(state, done, rows=done)
            seen.append(ask(call, made))
        scoring.result()
        seen.append(ask(call, made))
        scoring.progress("scoring", 10)
        seen.append(ask(call, made))
        assert [(one.state, one.awaiting) for one in seen] == [
            ("waiting", "upload"), ("waiting", "start"), ("waiting", "start"),
            *[("scoring", None)] * 3, *[("joining", None)] * 2, *[("done", None)] * 2,
        ]  # fmt: skip
        progress = [one.progress for one in seen]
        assert progress == sorted(progress) and (progress[0], progress[-1]) == (0, 1)
        assert [one.rows.read for one in seen] == [0, 0, 0, 0, 50, 100, 100, 100, 3, 3]
        assert [one.model.version for one in seen] == [None] * 3 + [VERSION] * 7
        assert {(one.id, one.name, one.model.name) for one in seen} == {(made.id, "in.csv", "iris")}

    def test_what_came_of_it(self, bucket: Bucket, clock: Clock, call: Any) -> None:
        made = order(call, {"name": "Kunden März.csv"})
        Scoring(bucket, made, clock).result()
        found = ask(call, made)
        assert found.rows.model_dump() == {"read": 3, "scored": 2, "quarantined": 1}
        assert found.warnings == ["A column is missing."] and found.reason is None
        assert found.preview is not None and found.preview.rows == [["1", "setosa"], ["2", "virginica"]]
        assert found.results is not None and found.quarantine is not None
        assert (found.results.name, found.results.size) == ("Kunden März.predictions.csv", 77)
        assert found.quarantine.name == "Kunden März.quarantine.csv"
        query = parse_qs(urlsplit(found.results.url).query)
        [header] = query["response-content-disposition"]
        assert header.startswith('attachment; filename="Kunden Marz.predictions.csv";') and "M%C3%A4rz" in header
        assert (query["X-Amz-Expires"], query["X-Amz-Security-Token"]) == (["900"], ["session-token"])
        assert datetime.fromisoformat(found.results.expires_at).timestamp() == clock.now + 900
        assert SECRET not in found.model_dump_json()

    def test_links_are_new_each_time(self, bucket: Bucket, clock: Clock, call: Any) -> None:
        made = order(call)
        Scoring(bucket, made, clock).result()
        first = ask(call, made)
        clock.advance(86_400)
        second = ask(call, made)
        assert first.results and second.results and first.results.url != second.results.url
        assert second.results.expires_at > first.results.expires_at

    def test_why_it_failed(self, bucket: Bucket, clock: Clock, call: Any) -> None:
        made = order(call)
        Scoring(bucket, made, clock).result(
            state="failed", reason=f"api/{job_of(made.id)}/file: has no rows.", version=None, counts=BatchCounts(),
            preview=Preview(), scored=None, quarantined=None, warnings=(),
        )  # fmt: skip
        found = ask(call, made)
        assert (found.state, found.reason, found.progress) == ("failed", "file: has no rows.", 1.0)
        assert {found.results, found.quarantine, found.preview, found.model.version} == {None}

    def test_an_upload_that_never_came(self, bucket: Bucket, clock: Clock, call: Any) -> None:
        made, late = order(call), order(call)
        clock.advance(2 * 3600)
        assert ask(call, made).state == "waiting"
        Scoring(bucket, late, clock).upload()
        clock.advance(1)
        found = ask(call, made)
        assert (found.state, found.progress) == ("failed", 1.0)
        assert found.reason is not None and "before the link ended" in found.reason
        assert (ask(call, late).state, ask(call, late).awaiting) == ("waiting", "start")

    def test_takes_few_reads(self, bucket: Bucket, clock: Clock, call: Any) -> None:
        made = order(call)
        bucket.reads.clear()
        ask(call, made)
        assert len(bucket.reads) == 4
        Scoring(bucket, made, clock).result()
        bucket.reads.clear()
        ask(call, made)
        assert len(bucket.reads) == 2

    def test_what_several_tell_by_turns_never_goes_back(self) -> None:
        told: BatchProgress | None = None
        fractions = []
        for state, rows, done, parts in [
            ("scoring", 50, 40, 0), ("scoring", 20, 10, 0), ("scoring", 60, 55, 1), ("scoring", 55, 70, 0),
            ("joining", 80, 60, 2), ("scoring", 90, 90, 1),
        ]:  # fmt: skip
            one = BatchProgress.model_validate(
                {"state": state, "model": "m", "version": VERSION, "counts": {"rows": rows, "scored": rows},
                 "bytes_done": done, "bytes_total": 100, "parts_done": parts, "parts": 2, "updated": datetime.now(UTC)}
            )  # fmt: skip
            told = one.not_behind(told) if told else one
            fractions.append((told.state, told.counts.rows, told.bytes_done, told.parts_done))
        assert fractions == [
            ("scoring", 50, 40, 0), ("scoring", 50, 40, 0), ("scoring", 60, 55, 1), ("scoring", 60, 70, 1),
            ("joining", 80, 70, 2), ("joining", 90, 90, 2),
        ]  # fmt: skip

    def test_what_cannot_be_read_is_no_answer(self, bucket: Bucket, call: Any) -> None:
        made = order(call)
        bucket.writer.put_new(keys.batch_result("iris", job_of(made.id)), b"{}")
        refused(call("GET", f"/models/iris/batches/{made.id}"), 503, "batches-unavailable")


class TestSecret:
    def test_who_has_no_id_learns_nothing(self, bucket: Bucket, clock: Clock, call: Any) -> None:
        promote(bucket.writer, build(make_spec("other")))
        made = order(call)
        Scoring(bucket, made, clock).result()
        job = job_of(made.id)
        wrong = "A" if made.id[0] != "A" else "B"
        asked = [
            f"/models/iris/batches/{wrong}{made.id[1:]}",
            f"/models/other/batches/{made.id}",
            f"/models/nobody/batches/{made.id}",
            f"/models/Iris/batches/{made.id}",
            f"/models/iris/batches/{job}",
            f"/models/iris/batches/{made.id}=",
            f"/models/iris/batches/{made.id[:-1]}",
            f"/models/iris/batches/{made.id.lower() if made.id.lower() != made.id else made.id.upper()}",
            "/models/iris/batches/é",
            "/models/iris/batches/x%00",
            f"/models/iris/batches/{'x' * 5000}",
        ]
        found = [call("GET", path) for path in asked]
        assert {one.status for one in found} == {404}
        unlike = {json.dumps(one.json | {"request_id": ""}) for one in found}
        headers = {tuple(sorted((n, v) for n, v in one.headers.items() if n != "x-request-id")) for one in found}
        assert len(unlike) == len(headers) == 1
        refused(found[0], 404, "unknown-batch")
        assert job not in found[0].body

    def test_no_id_link_or_key_is_logged(
        self, bucket: Bucket, clock: Clock, call: Any, capsys: pytest.CaptureFixture[str]
    ) -> None:
        made = order(call, {"name": f"{SECRET}.csv"})
        Scoring(bucket, made, clock).result()
        ask(call, made)
        bucket.down = True
        call("GET", f"/models/iris/batches/{made.id}")
        call("GET", f"/models/iris/batches/{made.id}/more")
        bucket.down = False
        said = capsys.readouterr()
        lines = [json.loads(line) for line in said.out.splitlines()]
        assert [line["route"] for line in lines if line["message"] == "request"] == [
            "/models/{model}/batches", "/models/{model}/batches/{id}", "/models/{model}/batches/{id}", "unmatched",
        ]  # fmt: skip
        for secret in (made.id, SECRET, made.upload.fields["x-amz-signature"], "X-Amz", "setosa"):
            assert secret not in said.out + said.err

    def test_nor_by_uvicorn(self, bucket: Bucket, caplog: pytest.LogCaptureFixture) -> None:
        server = uvicorn.Server(
            uvicorn.Config(create_app(SETTINGS, bucket.store), host="127.0.0.1", port=0, lifespan="off")
        )
        access = logging.getLogger("uvicorn.access")
        access.addHandler(caplog.handler)
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        try:
            deadline = time.monotonic() + 30
            while not server.started and time.monotonic() < deadline:
                time.sleep(0.01)
            port = server.servers[0].sockets[0].getsockname()[1]
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
                made = CreatedBatch.model_validate_json(client.post("/models/iris/batches").content)
                assert client.get(made.status_url, params={"again": "1"}).status_code == 200
        finally:
            server.should_exit = True
            thread.join(30)
            access.removeHandler(caplog.handler)
        logged = [record.getMessage() for record in caplog.records if record.name == "uvicorn.access"]
        assert any("/models/iris/batches/***?again=1" in line for line in logged)
        assert not any(made.id in line for line in logged)
