"""Files scored by way of the API, as deployed: links that the function's role signs, and that the bucket judges."""

from __future__ import annotations

import csv
import io
import itertools
import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from lambdas.api.batch_shapes import BatchStatus, CreatedBatch
from perennial import keys
from perennial.deploy.up import LocalStack
from perennial.serving.batch_job import BatchCounts, BatchInput, BatchOutput, BatchResult, Preview, job_of
from perennial.serving.file_names import disposition
from perennial.serving.presign import Links
from perennial.settings import Settings
from perennial.store import Store
from tests.support import models
from tests.support.stack import logged

SECONDS = 120.0
FUNCTIONS = ("api", "access", "capture", "score")
HOUR = timedelta(hours=1)
ROWS = b"sepal_length,sepal_width,petal_length,petal_width\n5.1,3.5,1.4,0.2\n5.9,many,5.1,1.8\n6.2,2.9,4.3,1.3\n"
CSV = "text/csv; charset=utf-8"
NUMBERS = itertools.count()


@pytest.fixture
def began() -> datetime:
    """When the test began: named before whatever it makes."""
    return datetime.now(UTC)


@pytest.fixture
def api(stack: LocalStack) -> httpx.Client:
    return httpx.Client(base_url=stack.api_url, timeout=60)


@pytest.fixture
def links(stack: LocalStack) -> Links:
    """Links signed here, for what the API would never sign."""
    return Links(Settings.load(stack.environment()), stack.environment())


def order(api: httpx.Client, model: str, **said: Any) -> CreatedBatch:
    found = api.post(f"/models/{model}/batches", json=said)
    assert found.status_code == 201, found.text
    return CreatedBatch.model_validate_json(found.content)


def ask(api: httpx.Client, made: CreatedBatch) -> BatchStatus:
    found = api.get(made.status_url)
    assert found.status_code == 200, found.text
    return BatchStatus.model_validate_json(found.content)


def send(url: str, fields: Mapping[str, str], file: bytes = ROWS) -> httpx.Response:
    """As a browser, or `curl -F`, sends a form."""
    return httpx.post(url, data=dict(fields), files={"file": ("whatever.csv", file)}, timeout=60)


def test_a_file_comes_back_with_predictions(api: httpx.Client, store: Store) -> None:
    models.promote(store, models.build(models.make_spec("uploaded")))
    made = order(api, "uploaded", name="Blumen März.csv", size=len(ROWS), keep=["sepal_length"])
    assert (ask(api, made).state, ask(api, made).awaiting) == ("waiting", "upload")
    assert send(made.upload.url, made.upload.fields).status_code == 204
    seen = [ask(api, made)]
    assert (seen[0].state, seen[0].awaiting) != ("waiting", "upload")
    deadline = time.monotonic() + SECONDS
    while seen[-1].state not in ("done", "failed"):
        assert time.monotonic() < deadline, seen[-1]
        time.sleep(0.2)
        seen.append(ask(api, made))
    last = seen[-1]
    assert (last.state, last.reason) == ("done", None)
    assert last.rows.model_dump() == {"read": 3, "scored": 2, "quarantined": 1}
    assert [one.progress for one in seen] == sorted(one.progress for one in seen) and last.progress == 1
    order_of_states = ("waiting", "scoring", "joining", "done")
    assert [order_of_states.index(one.state) for one in seen] == sorted(
        order_of_states.index(one.state) for one in seen
    )
    assert last.results and last.quarantine and last.preview
    results = httpx.get(last.results.url)
    assert results.headers["content-disposition"] == disposition("Blumen März.predictions.csv")
    assert results.headers["content-type"].startswith("text/csv") and len(results.content) == last.results.size
    rows = list(csv.DictReader(io.StringIO(results.text)))
    assert [row["row"] for row in rows] == ["1", "3"] and [row["sepal_length"] for row in rows] == ["5.1", "6.2"]
    assert {row["model_version"] for row in rows} == {last.model.version}
    assert last.preview.columns == list(rows[0]) and len(last.preview.rows) == 2
    (refused,) = csv.DictReader(io.StringIO(httpx.get(last.quarantine.url).text))
    assert (refused["row"], refused["column"]) == ("2", "sepal_width")
    assert api.post("/models/uploaded/predict", json=models.IRIS_RECORD).json()["prediction"] == rows[0]["prediction"]


class TestTheBucketJudges:
    """What a form may bring, whoever sends it."""

    def test_the_upload_lands_byte_for_byte(self, api: httpx.Client, store: Store) -> None:
        models.promote(store, models.build(models.make_spec("landed-file")))
        made = order(api, "landed-file", name="../../weird näme;.csv")
        assert send(made.upload.url, made.upload.fields).status_code == 204
        (entry,) = store.list(keys.batch_uploads("landed-file", job_of(made.id)))
        assert entry.key == made.upload.fields["key"] == keys.batch_upload(
            "landed-file", job_of(made.id), "weird-name.csv"
        )  # fmt: skip
        assert store.get(entry.key).data == ROWS

    @pytest.mark.needs("form-policies")
    def test_and_nothing_else_does(self, api: httpx.Client, store: Store) -> None:
        models.promote(store, models.build(models.make_spec("tampered")))
        fields = order(api, "tampered", name="a.csv").upload.fields
        url = order(api, "tampered").upload.url
        other = order(api, "tampered").upload.fields
        wrong = [
            fields | {"key": keys.landing("tampered", "a.csv")},
            fields | {"key": fields["key"] + "x"},
            fields | {"key": other["key"]},
            fields | {"policy": other["policy"]},
            fields | {"x-amz-signature": "0" * 64},
            fields | {"x-amz-security-token": "0" * 64},
            fields | {"x-amz-date": "20200101T000000Z"},
            fields | {"acl": "public-read"},
            {name: value for name, value in fields.items() if name != "x-amz-signature"},
            {"key": fields["key"]},
        ]
        assert {send(url, one).status_code for one in wrong} <= {400, 403}
        assert list(store.list(keys.batch_in("tampered"))) == list(store.list(keys.landing("tampered"))) == []

    @pytest.mark.parametrize(("size", "status"), [(10, 204), (11, 400)])
    def test_too_large(self, links: Links, store: Store, size: int, status: int) -> None:
        key = keys.batch_upload(f"large-{size}", "0" * 32, "a.csv")
        form = links.upload(key, 10, now=datetime.now(UTC), lasting=HOUR)
        found = send(form.url, form.fields, b"x" * size)
        assert found.status_code == status, found.text
        assert store.exists(key) == (status == 204)
        assert status == 204 or "EntityTooLarge" in found.text

    def test_too_late(self, links: Links, store: Store) -> None:
        key = keys.batch_upload("late", "0" * 32, "a.csv")
        form = links.upload(key, 1000, now=datetime.now(UTC) - HOUR - timedelta(seconds=1), lasting=HOUR)
        found = send(form.url, form.fields)
        assert found.status_code == 403 and "expired" in found.text.lower()
        assert not store.exists(key)

    def test_the_form_s_origin_may_send(self, stack: LocalStack, api: httpx.Client, store: Store) -> None:
        models.promote(store, models.build(models.make_spec("crossed")))
        made, origin = order(api, "crossed"), stack.site_url.split(f"/{stack.site_bucket}")[0]
        asked = {"access-control-request-method": "POST", "access-control-request-headers": "content-type"}
        allowed = httpx.options(made.upload.url, headers={"origin": origin} | asked)
        assert (allowed.status_code, allowed.headers["access-control-allow-origin"]) == (200, origin)
        assert httpx.options(made.upload.url, headers={"origin": "http://evil.example"} | asked).status_code == 403
        put = asked | {"access-control-request-method": "PUT"}
        assert httpx.options(made.upload.url, headers={"origin": origin} | put).status_code == 403


class TestResults:
    @pytest.fixture
    def made(self, api: httpx.Client, store: Store) -> CreatedBatch:
        """A batch that is done, of which nothing was uploaded, so that nobody scores it."""
        model = f"done-{next(NUMBERS)}"
        models.promote(store, models.build(models.make_spec(model)))
        made = order(api, model, name='Q1 "März" 100%.csv')
        job, key, now = job_of(made.id), made.upload.fields["key"], datetime.now(UTC)
        name = key.removeprefix(keys.batch_in(model))
        out, refused = keys.batch_out(model, name, "v", job, "csv"), keys.batch_quarantine(model, name, "v", job)
        store.put_new(out, b"row,prediction\n1,setosa\n")
        store.put_new(refused, b"row,column,reason,record\n")
        result = BatchResult(
            state="done", model=model, version="v", name=name, counts=BatchCounts(rows=2, scored=1, quarantined=1),
            input=BatchInput(bucket="b", key=key, version="1", etag="e", size=3),
            scored=BatchOutput(key=out, size=24, media_type=CSV),
            quarantined=BatchOutput(key=refused, size=25, media_type=CSV),
            preview=Preview(columns=("row",), rows=(("1",),)), started=now, ended=now,
        )  # fmt: skip
        store.put_new(keys.batch_result(model, job), result.to_bytes())
        return made

    def test_are_saved_under_the_name_of_the_file(self, api: httpx.Client, made: CreatedBatch) -> None:
        found = ask(api, made)
        assert (found.state, found.progress) == ("done", 1) and found.results and found.quarantine
        for link, word, body in [
            (found.results, "predictions", b"row,prediction\n1,setosa\n"),
            (found.quarantine, "quarantine", b"row,column,reason,record\n"),
        ]:
            answer = httpx.get(link.url)
            assert (answer.status_code, answer.content) == (200, body), answer.text
            assert answer.headers["content-type"] == CSV
            assert answer.headers["content-disposition"] == (
                f'attachment; filename="Q1 _Marz_ 100_.{word}.csv"; '
                f"filename*=UTF-8''Q1%20%22M%C3%A4rz%22%20100%25.{word}.csv"
            )

    @pytest.mark.needs("iam")
    def test_a_link_gives_one_file_under_one_name(self, api: httpx.Client, made: CreatedBatch) -> None:
        found = ask(api, made)
        assert found.results and found.quarantine
        url = found.results.url
        path, query = url.split("?")
        changed = [
            path.replace("/batch/out/", "/batch/quarantine/") + "?" + query,
            url.replace("predictions", "virus"),
            url.replace("X-Amz-Expires=900", "X-Amz-Expires=604800"),
            url[:-1] + ("0" if url[-1] != "0" else "1"),
            path,
        ]
        assert [httpx.get(one).status_code for one in changed] == [403] * len(changed)
        assert httpx.put(url, content=b"x").status_code == 403

    def test_a_link_ends(self, api: httpx.Client, made: CreatedBatch, links: Links) -> None:
        found = ask(api, made)
        assert found.results
        key = httpx.URL(found.results.url).path.split("/", 2)[2]

        def get(ago: timedelta) -> int:
            now = datetime.now(UTC) - ago
            url = links.download(key, now=now, lasting=HOUR, disposition="attachment", media_type=CSV)
            return httpx.get(url).status_code

        assert [get(ago) for ago in (timedelta(0), HOUR / 2, HOUR + timedelta(seconds=1))] == [200, 200, 403]

    def test_who_has_no_id_learns_nothing(self, api: httpx.Client, store: Store, made: CreatedBatch) -> None:
        model = made.status_url.split("/")[2]
        models.promote(store, models.build(models.make_spec(f"{model}-too")))
        asked = [
            f"/models/{model}-too/batches/{made.id}",
            f"/models/nobody/batches/{made.id}",
            f"/models/{model}/batches/{job_of(made.id)}",
            f"/models/{model}/batches/{made.id[:-1]}{'A' if made.id[-1] != 'A' else 'E'}",
            f"/models/{model}/batches/{'x' * 43}",
            f"/models/{model}/batches/x",
        ]
        found = [api.get(path) for path in asked]
        assert {one.status_code for one in found} == {404}
        assert len({json.dumps(one.json() | {"request_id": ""}) for one in found}) == 1

    def test_no_log_has_the_id_or_a_link(
        self, began: datetime, api: httpx.Client, stack: LocalStack, made: CreatedBatch
    ) -> None:
        found = ask(api, made)
        assert found.results
        api.get(made.status_url + "x")
        deadline = time.monotonic() + SECONDS
        while '"/models/{model}/batches/{id}"' not in "\n".join(logged(stack, "api", began)):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        said = "\n".join(line for function in FUNCTIONS for line in logged(stack, function, began))
        for secret in (made.id, made.upload.fields["x-amz-signature"], found.results.url.rpartition("=")[2]):
            assert secret not in said


def test_an_unknown_model_is_told(api: httpx.Client) -> None:
    found = api.post("/models/nobody-at-all/batches")
    assert (found.status_code, found.json()["type"]) == (404, "urn:perennial:problem:unknown-model")


@pytest.mark.needs("iam")
def test_results_in_a_place_of_its_own_are_read_by_nobody(stack: LocalStack, store: Store) -> None:
    key = keys.batch_out("private", "a.csv", "v", "0" * 32, "csv")
    store.put_new(key, b"secret")
    assert httpx.get(f"{stack.endpoint_url}/{stack.bucket}/{key}").status_code == 403
