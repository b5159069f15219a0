"""What scores files, done for real: the function of a stage and a run of Spark, each under its own role."""

from __future__ import annotations

import hashlib
import io
import json
import time
from datetime import UTC, datetime
from unittest.mock import patch

import pyarrow as pa
import pyarrow.parquet as pq

from perennial import keys
from perennial.jobs.scoring import run_scoring
from perennial.jobs.workspace import Workspace
from perennial.scoring import spark_tasks
from perennial.scoring.batch import folder
from perennial.scoring.batch.multipart import S3Uploads
from perennial.scoring.batch.outputs import Outgoing
from perennial.scoring.spark_job import read_job
from perennial.serving.batch_job import SPARK_BYTES, BatchInput, BatchOptions, BatchRequest, SparkRequest
from perennial.settings import Settings
from perennial.spec_policy import Batch
from perennial.store import Store
from perennial.store_opening import open_store
from tests.support import models
from tests.support.iam_jobs import CYCLE, bad_weather
from tests.support.iam_serving import BAD, PETS, ROWS, table, until
from tests.support.iam_world import DATA, LAKE, World
from tests.support.pictures import image_spec, pet_bytes

PART = 5 << 20  # the least that S3 takes for a part of an upload
SPARK = "infra/spark/template.yaml JobRole"


def score(w: World) -> None:
    """Files of every kind, from the bucket and from another, whole and in parts, replaced meanwhile, and told twice."""
    sink = io.BytesIO()
    pq.write_table(pa.table({name: [1.0, 2.0] for name in models.MEASURES}), sink)
    picture = pet_bytes(7)
    w.store.put_new(keys.image(PETS, digest := hashlib.sha256(picture).hexdigest()), picture)
    listing = f"file\n{digest}\n../waiting/p.png\n".encode()
    w.store.put_new(f"{keys.batch_waiting(PETS)}p.png", picture)
    dropped = [
        (ROWS, "a.csv", table(3, BAD)), (ROWS, "large.csv", table(4_000, BAD)), (ROWS, "b.parquet", sink.getvalue()),
        (PETS, "listing.csv", listing),
    ]  # fmt: skip
    found = [(model, _put(w, DATA, keys.batch_in(model, name), data)) for model, name, data in dropped]
    lake = _put(w, LAKE, "tables/lake.csv", table(2))
    replaced = _put(w, DATA, f"{keys.batch_waiting(ROWS)}r.csv", table(5))
    _put(w, DATA, replaced.key, table(6))
    gone = _put(w, LAKE, "tables/replaced.csv", table(5))
    _put(w, LAKE, gone.key, table(6))
    for one in (lake, replaced, gone):
        _ask(w.store, one)
        found.append((ROWS, one))
    for model, one in found:
        until(lambda: w.store.exists(keys.batch_result(model, one.work)))  # noqa: B023
    _again(w, found[1][1])


def _put(w: World, bucket: str, key: str, data: bytes) -> BatchInput:
    told = w.root.client("s3").put_object(Bucket=bucket, Key=key, Body=data)
    return BatchInput(bucket=bucket, key=key, version=told.get("VersionId"), etag=told["ETag"], size=len(data))


def _ask(store: Store, found: BatchInput) -> None:
    name = found.key.rpartition("/")[2]
    request = BatchRequest(model=ROWS, name=name, options=BatchOptions(), created=datetime.now(UTC), input=found)
    store.put_new(keys.batch_request(ROWS, found.work), request.to_bytes())


def _again(w: World, found: BatchInput) -> None:
    """SQS delivers at least once."""
    told = {"key": found.key, "version-id": found.version, "etag": found.etag.strip('"'), "size": found.size}
    detail = {"bucket": {"name": DATA}, "object": told}
    body = json.dumps({"source": "aws.s3", "detail-type": "Object Created", "detail": detail})
    sqs, queue = w.root.client("sqs"), w.stack.scoring_queue
    sqs.send_message(QueueUrl=queue, MessageBody=body)


def score_in_bad_weather(w: World, holder: str, run: str) -> None:
    """The work on files in this process, under a role: in parts, with lost answers, and with uploads that end badly."""
    given = {"huge.csv": table(5_000, BAD), "large.csv": table(3_000, BAD), "small.csv": table(2, BAD), "cut.csv": b""}
    inputs = tuple(_put(w, DATA, f"{keys.batch_waiting(ROWS)}{run}/{name}", data) for name, data in given.items())
    inputs += (_put(w, LAKE, f"tables/{run}.csv", table(2)),)
    for one in (inputs[2], inputs[4]):  # replaced since
        _put(w, one.bucket, one.key, table(9))
    head = w.store.get(keys.alias(ROWS, "champion")).data
    names = tuple(f"{run}-{one.key.rpartition('/')[2]}" for one in inputs)
    request = SparkRequest(
        model=ROWS, version=json.loads(head)["version"], inputs=inputs, names=names, options=BatchOptions()
    )
    w.store.put_new(keys.batch_spark_request(ROWS, run), request.to_bytes())
    huge = inputs[0].size if holder == SPARK else SPARK_BYTES  # what functions do not take
    acting = w.acting(w.roles[holder], PERENNIAL_PART_BYTES="20000")
    with bad_weather(), acting as settings, patch.object(folder, "SPARK_BYTES", huge):
        spark_tasks._bench.cache_clear()
        spark_tasks._PLANS.clear()
        job = read_job(DATA, ROWS, run)
        for number in range(len(inputs)):
            place = spark_tasks.Place(number)
            told = spark_tasks.begin(job, place)
            for part in range(told.parts):
                spark_tasks.score(job, spark_tasks.Place(number, part))
            if told.parts:
                told = spark_tasks.join(job, place)
            assert told.state == ("failed" if names[number].endswith("cut.csv") else "done"), told
        spark_tasks._bench.cache_clear()
        _upload_in_parts(open_store(settings), settings, run)


def _upload_in_parts(store: Store, settings: Settings, run: str) -> None:
    """Of two who write the same the second finds it there; and one gives up halfway."""
    for key in (
        keys.batch_out(ROWS, f"{run}.csv", "v", "w", "csv"), keys.batch_quarantine(ROWS, f"{run}.csv", "v", "w"),
        keys.batch_piece(ROWS, run, 0, "scored"),
    ):  # fmt: skip
        for end in ("commit", "commit", "discard"):
            out = Outgoing(store, S3Uploads(settings), key, "text/csv", buffer=PART)
            out.write(b"1" * PART + b"end")
            getattr(out, end)()


def score_new(w: World) -> None:
    """What is new in a bucket of others and among pictures that wait, as ``perennial score-new`` has it scored."""
    _put(w, LAKE, "tables/new/n.csv", table(2))
    for spec in (
        models.make_spec(ROWS).model_copy(update={"batch": Batch(source=f"s3://{LAKE}/tables/new/", engine="lambda")}),
        image_spec(name=PETS),
    ):
        with bad_weather(), w.acting(w.roles[CYCLE]) as settings:
            mine = Workspace(
                spec=spec, store=open_store(settings), run="new", code="0123abc", api_url=None,
                progress=lambda line: None, now=lambda: datetime.now(UTC), settings=settings,
            )  # fmt: skip
            _, summary = run_scoring(mine, sleep=time.sleep)
            assert summary is not None and not summary.failed, summary
