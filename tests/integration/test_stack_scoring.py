"""Files scored on the real stack: from their drop, by EventBridge, SQS and the function, to their results."""

from __future__ import annotations

import csv
import gzip
import io
import json
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from perennial import keys
from perennial.deploy.up import LocalStack
from perennial.jobs.redrive import redrive
from perennial.scoring.batch.multipart import S3Uploads
from perennial.scoring.batch.outputs import Outgoing
from perennial.serving.batch_job import (
    BatchCounts,
    BatchInput,
    BatchOptions,
    BatchOutput,
    BatchPlan,
    BatchRequest,
    BatchResult,
)
from perennial.settings import Settings
from perennial.store import Store
from tests.support import models
from tests.support.batch_world import START, csv_of
from tests.support.endpoint import client
from tests.support.stack import logged

SECONDS = 120.0
ROWS = np.round(np.random.default_rng(7).uniform(0, 8, size=(500, 4)), 2)
FILE = csv_of(ROWS, models.MEASURES)
LARGE_ROWS = 60_000


def champion(store: Store, model: str) -> models.Built:
    built = models.build(models.make_spec(model))
    models.promote(store, built)
    return built


def put(stack: LocalStack, key: str, data: bytes) -> BatchInput:
    """Put a file as anyone would; gives what its version is known by."""
    answer = client(stack, "s3").put_object(Bucket=stack.bucket, Key=key, Body=data)
    return BatchInput(bucket=stack.bucket, key=key, version=answer["VersionId"], etag=answer["ETag"], size=len(data))


def result_of(store: Store, model: str, work: str) -> BatchResult:
    """The result of a work, which is waited for."""
    key = keys.batch_result(model, work)
    deadline = time.monotonic() + SECONDS
    while (found := store.find(key)) is None:
        assert time.monotonic() < deadline, f"no {key}"
        time.sleep(0.1)
    return BatchResult.from_bytes(found.data, key)


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def waiting_in(stack: LocalStack, queue: str) -> int:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = client(stack, "sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=names)["Attributes"]
    return sum(int(found[name]) for name in names)


def data_of(store: Store, output: BatchOutput | None) -> bytes:
    assert output is not None
    found = store.get(output.key).data
    assert len(found) == output.size
    return found


def rows_of(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode())))


def assert_answers(built: models.Built, found: Mapping[str, Any], rows: Any) -> None:
    expected = models.answer(built, rows)
    for place, name in enumerate(built.manifest.classes):
        np.testing.assert_allclose(np.array(found[f"probability_{name}"], float), expected[:, place], rtol=1e-12)


@pytest.fixture(scope="module", autouse=True)
def nothing_of_others(stack: LocalStack) -> None:
    """No message waits that another file's tests left in the queue: what cannot be processed comes again for hours."""
    client(stack, "sqs").purge_queue(QueueUrl=stack.scoring_queue)


@pytest.fixture
def impatient(stack: LocalStack) -> Iterator[None]:
    """What fails comes again at once, and is dead after two attempts."""
    sqs = client(stack, "sqs")
    names = ["VisibilityTimeout", "RedrivePolicy"]
    before = sqs.get_queue_attributes(QueueUrl=stack.scoring_queue, AttributeNames=names)["Attributes"]
    policy = json.loads(before["RedrivePolicy"]) | {"maxReceiveCount": 2}
    sqs.set_queue_attributes(
        QueueUrl=stack.scoring_queue, Attributes={"VisibilityTimeout": "2", "RedrivePolicy": json.dumps(policy)}
    )
    yield
    sqs.set_queue_attributes(QueueUrl=stack.scoring_queue, Attributes=before)


@pytest.mark.needs("plain-event-keys")
def test_files_of_every_kind_are_scored_and_bad_ones_say_why(stack: LocalStack, store: Store) -> None:
    built = champion(store, "dropped")
    table = io.BytesIO()
    pq.write_table(pa.table(dict(zip(models.MEASURES, ROWS.T, strict=True))), table)
    lines = "".join(json.dumps(dict(zip(models.MEASURES, row, strict=True))) + "\n" for row in ROWS.tolist())
    good = {
        "a b+ü.csv": FILE, "day=1/semi.csv": FILE.replace(b",", b";"), "lines.jsonl": lines.encode(),
        "packed.csv.gz": gzip.compress(FILE), "table.parquet": table.getvalue(),
    }  # fmt: skip
    bad = {
        "zero.csv": b"", "few.csv": b"sepal_length\n1\n", "cut.csv.gz": gzip.compress(FILE)[:-50],
        "cut.parquet": table.getvalue()[:-30], "zip.csv": b"PK\x03\x04" + bytes(60),
    }  # fmt: skip
    works = {name: put(stack, keys.batch_in("dropped", name), data).work for name, data in {**bad, **good}.items()}
    for name in good:
        result = result_of(store, "dropped", works[name])
        assert (result.state, result.name, result.version) == ("done", name, built.version), result.reason
        assert result.counts == BatchCounts(rows=500, scored=500, quarantined=0)
        data = data_of(store, result.scored)
        found = (
            pq.read_table(io.BytesIO(data)).to_pydict()
            if name.endswith("parquet")
            else {column: [row[column] for row in rows_of(data)] for column in rows_of(data)[0]}
        )
        assert [int(row) for row in found["row"]] == list(range(1, 501))
        assert_answers(built, found, ROWS)
    for name in bad:
        result = result_of(store, "dropped", works[name])
        assert result.state == "failed" and result.reason and result.scored is None
    eventually(lambda: waiting_in(stack, stack.scoring_queue) == 0)
    assert waiting_in(stack, stack.scoring_dead_queue) == 0


def test_a_large_file_is_scored_in_parts_side_by_side(stack: LocalStack, store: Store) -> None:
    """The stack was deployed with small parts; outputs are large enough to go in parts themselves."""
    built = champion(store, "large")
    rows = np.tile(ROWS, (LARGE_ROWS // len(ROWS), 1))
    data = csv_of(rows, models.MEASURES) + b"x,1,1,1\n"
    found = put(stack, keys.batch_in("large", "large.csv"), data)
    result = result_of(store, "large", found.work)
    assert (result.state, result.reason) == ("done", None)
    assert result.counts == BatchCounts(rows=LARGE_ROWS + 1, scored=LARGE_ROWS, quarantined=1)
    key = keys.batch_plan("large", found.work)
    plan = BatchPlan.from_bytes(store.get(key).data, key)
    assert len(plan.parts) > 1 and plan.input == found
    scored = rows_of(data_of(store, result.scored))
    assert [int(row["row"]) for row in scored] == list(range(1, LARGE_ROWS + 1))
    assert_answers(built, {name: [row[name] for row in scored] for name in scored[0]}, rows)
    (refused,) = rows_of(data_of(store, result.quarantined))
    assert (refused["row"], refused["column"]) == (str(LARGE_ROWS + 1), "sepal_length")


def test_an_event_that_comes_again_scores_nothing_again(stack: LocalStack, store: Store) -> None:
    champion(store, "again")
    found = put(stack, keys.batch_in("again", "a.csv"), FILE)
    first = result_of(store, "again", found.work)
    event = {"bucket": {"name": stack.bucket}, "object": {"key": found.key, "version-id": found.version}}
    body = {"source": "aws.s3", "detail-type": "Object Created", "detail": event}
    of_s3 = {"bucket": event["bucket"], "object": {"key": found.key, "versionId": found.version}}
    told = {"Records": [{"eventName": "ObjectCreated:Put", "s3": of_s3}]}
    sqs = client(stack, "sqs")
    for message in (body, told):
        sqs.send_message(QueueUrl=stack.scoring_queue, MessageBody=json.dumps(message))
    eventually(lambda: waiting_in(stack, stack.scoring_queue) == 0)
    assert result_of(store, "again", found.work) == first
    versions = client(stack, "s3").list_object_versions(Bucket=stack.bucket, Prefix="again/batch/out/")["Versions"]
    assert len(versions) == 1


def test_each_version_of_a_file_has_a_result_of_its_own(stack: LocalStack, store: Store) -> None:
    champion(store, "versions")
    key = keys.batch_in("versions", "a.csv")
    first = put(stack, key, FILE)
    assert result_of(store, "versions", first.work).counts.rows == 500
    second = put(stack, key, FILE + b"1,1,1,1\n")
    assert result_of(store, "versions", second.work).counts.rows == 501


def test_a_version_is_scored_that_was_replaced_since_its_event(stack: LocalStack, store: Store) -> None:
    champion(store, "replaced")
    key = keys.batch_in("replaced", "a.csv")
    first = put(stack, key, FILE + b"1,1,1,1\n")
    assert result_of(store, "replaced", put(stack, key, FILE).work).counts.rows == 500
    told = {"key": key, "version-id": first.version, "etag": first.etag.strip('"'), "size": first.size}
    detail = {"bucket": {"name": stack.bucket}, "object": told}
    body = json.dumps({"source": "aws.s3", "detail-type": "Object Created", "detail": detail})
    client(stack, "sqs").send_message(QueueUrl=stack.scoring_queue, MessageBody=body)
    result = result_of(store, "replaced", first.work)
    assert (result.state, result.counts.rows) == ("done", 501), result.reason


def test_a_request_has_a_file_scored_that_waits(stack: LocalStack, store: Store) -> None:
    champion(store, "asked")
    found = put(stack, keys.batch_waiting("asked") + "a.csv", FILE)
    request = BatchRequest(
        model="asked", name="a.csv", options=BatchOptions(output="parquet", keep=True), created=START, input=found
    )
    store.put_new(keys.batch_request("asked", found.work), request.to_bytes())
    result = result_of(store, "asked", found.work)
    assert result.state == "done", result.reason
    columns = pq.read_schema(io.BytesIO(data_of(store, result.scored))).names
    assert columns[:5] == ["row", *models.MEASURES]


def test_only_what_cannot_be_processed_is_dead_until_it_is_redriven(
    stack: LocalStack, store: Store, impatient: None
) -> None:
    built = models.build(models.make_spec("mended"))
    models.promote(store, built)
    graph = keys.registry_blob("mended", built.manifest.files["model.onnx"].digest)
    store.put_if_match(graph, b"tampered", store.get(graph).etag)
    broken = put(stack, keys.batch_in("mended", "a.csv"), FILE)
    champion(store, "sibling")
    sibling = put(stack, keys.batch_in("sibling", "a.csv"), FILE)
    nobody = put(stack, keys.batch_in("nobody", "a.csv"), FILE)
    client(stack, "sqs").send_message(QueueUrl=stack.scoring_queue, MessageBody="garbage")
    assert result_of(store, "sibling", sibling.work).state == "done"
    assert "no champion" in (result_of(store, "nobody", nobody.work).reason or "")
    eventually(lambda: waiting_in(stack, stack.scoring_dead_queue) == 2)
    assert store.find(keys.batch_result("mended", broken.work)) is None
    store.put_if_match(graph, built.onnx, store.get(graph).etag)
    assert redrive(Settings.load()) == 2
    assert result_of(store, "mended", broken.work).state == "done"
    eventually(lambda: waiting_in(stack, stack.scoring_dead_queue) == 1)  # garbage stays garbage
    client(stack, "sqs").purge_queue(QueueUrl=stack.scoring_dead_queue)


def test_an_upload_in_parts_is_made_once(stack: LocalStack, store: Store) -> None:
    key = keys.batch_out("uploads", "a.csv", "v", "w", "csv")
    parts = [b"1" * (6 << 20), b"2" * (6 << 20), b"end"]

    def send(data: list[bytes]) -> Outgoing:
        out = Outgoing(store, S3Uploads(Settings.load()), key, "text/csv", buffer=6 << 20)
        for part in data:
            out.write(part)
        return out

    first, second, third = send(parts), send(parts[:2]), send(parts)
    assert store.find(key) is None
    first.commit()
    second.commit()
    third.discard()
    assert first.size == second.size == len(store.get(key).data) == sum(map(len, parts))
    s3 = client(stack, "s3")
    assert s3.head_object(Bucket=stack.bucket, Key=key)["ContentType"] == "text/csv"
    assert not s3.list_multipart_uploads(Bucket=stack.bucket).get("Uploads")


def test_the_log_tells_outcomes_and_no_rows(stack: LocalStack, store: Store) -> None:
    began = datetime.now(UTC)
    champion(store, "logged")
    found = put(stack, keys.batch_in("logged", "a.csv"), FILE + b"topsecret,1,1,1\n")
    result_of(store, "logged", found.work)

    def lines() -> list[dict[str, Any]]:
        texts = [text.strip() for text in logged(stack, "score", began)]
        assert not any("topsecret" in text for text in texts)
        return [json.loads(text) for text in texts if text.startswith("{")]

    eventually(lambda: any(line.get("work") == found.work for line in lines()))
    (line,) = [line for line in lines() if line.get("work") == found.work and line["state"] == "done"]
    assert {name: line[name] for name in ("level", "model", "rows", "scored", "quarantined")} == {
        "level": "INFO", "model": "logged", "rows": 501, "scored": 500, "quarantined": 1,
    }  # fmt: skip
