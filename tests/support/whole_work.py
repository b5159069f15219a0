"""All that the functions do, each kind of it once or more, sent to their real handlers in a bare interpreter."""

from __future__ import annotations

import base64
import gzip
import io
import json
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from perennial import keys
from perennial.deploy.ministack import ACCESS_KEY, REGION, SECRET_KEY, MiniStack
from perennial.deploy.recording import Recorder
from perennial.deploy.up import embedded
from perennial.registry.manifest import MODEL_FILE
from perennial.settings import Settings
from perennial.store import Store
from perennial.store_opening import open_store
from tests.support.batch_world import created, csv_of
from tests.support.events import event
from tests.support.models import IRIS_RECORD, MEASURES, MIXED, MIXED_RECORD, build, make_spec, promote
from tests.support.picture_models import build_pictures
from tests.support.pictures import SUFFIXES, blotches, image_spec, pet_bytes, picture_bytes

API, CAPTURE, SCORE = "lambdas.api.handler", "lambdas.capture.handler", "lambdas.score.handler"
BUCKET = "work"
ROWS, MANY_ROWS = 3_000, 200_000  # of many, the joined outcome goes up in several pieces
BOUNDARY = "b0undary"


@contextmanager
def working_bucket(folder: Path) -> Iterator[tuple[Store, dict[str, str]]]:
    """A bucket of the embedded AWS with three champions, and the environment in which functions find it."""
    with MiniStack(folder) as emulator:
        embedded(emulator.endpoint_url).client("s3").create_bucket(Bucket=BUCKET)
        env = {
            "AWS_ENDPOINT_URL": emulator.endpoint_url, "AWS_REGION": REGION, "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY, "PERENNIAL_BUCKET": BUCKET, "PERENNIAL_PART_BYTES": "2000000",
            "PERENNIAL_REFRESH_SECONDS": "0",
        }  # fmt: skip
        settings = Settings.load(env)
        store = open_store(settings)
        promote(store, build(make_spec("iris")))
        promote(store, build(make_spec("mixed", "binary", MIXED)))
        promote(store, build_pictures(image_spec(name="pets")))
        spoilt = build(make_spec("spoilt"), seed=7)
        promote(store, spoilt)
        key = keys.registry_blob("spoilt", spoilt.manifest.files[MODEL_FILE].digest)
        store.put_if_match(key, b"other", store.get(key).etag)
        yield store, env


def use_api(recorder: Recorder) -> None:
    """Every route, answered and refused; pictures of each kind, in each way they may be sent."""
    for path in ("/health", "/models", "/models/mixed", "/models/mixed/schema", "/openapi.json", "/docs"):
        _called(recorder, 200, "GET", path)
    for path, status in (
        ("/ready", 503),
        ("/nowhere", 404),
        ("/models/none/schema", 404),
        ("/models/mixed/batches/none", 404),
    ):
        _called(recorder, status, "GET", path)
    many = {"instances": [MIXED_RECORD, MIXED_RECORD | {"City": "Delhi", "CGPA": None}]}
    _called(recorder, 200, "POST", "/models/mixed/predict", json.dumps(many))
    _called(recorder, 200, "POST", "/models/mixed/predict", json.dumps(MIXED_RECORD), query="explain=1")
    for body in ("{", "[]", '{"Age": "old"}', json.dumps(MIXED_RECORD)[:-1] + ', "more": NaN}'):
        _called(recorder, (400, 422), "POST", "/models/mixed/predict", body)
    _called(recorder, 409, "POST", "/predict", json.dumps(IRIS_RECORD))
    answer = _called(recorder, 200, "POST", "/models/iris/predict", json.dumps(IRIS_RECORD))
    label = {"prediction_id": answer["prediction_id"], "feedback_token": answer["feedback_token"]}
    truth = json.dumps(label | {"ground_truth": "setosa"})
    _called(recorder, 202, "POST", "/models/iris/feedback", truth)
    _called(recorder, (401, 403, 422), "POST", "/models/iris/feedback", truth.replace(label["feedback_token"], "no"))
    made = _called(recorder, 201, "POST", "/models/iris/batches", json.dumps({"name": "a.csv"}))
    _called(recorder, 200, "GET", f"/models/iris/batches/{made['id']}")
    _called(recorder, 503, "POST", "/models/spoilt/predict", json.dumps(IRIS_RECORD))
    for format in (*SUFFIXES, "MPO"):
        for data in _shades(format):
            _picture(recorder, data, "image/x")
    png = pet_bytes(3)
    _picture(recorder, json.dumps({"image": base64.b64encode(png).decode()}).encode(), "application/json")
    _picture(recorder, _form(png), f"multipart/form-data; boundary={BOUNDARY}")
    for damaged in (png[:60], b"<svg/>", picture_bytes(blotches(1), "TIFF")[:-40], picture_bytes(format="JPEG")[:200]):
        _picture(recorder, damaged, "image/x", (415, 422))


def use_capture(recorder: Recorder) -> None:
    """One delivery with a line that is none of ours."""
    lines = [json.dumps({"message": "perennial.prediction"}), "other"]
    events = [{"id": str(place), "timestamp": 0, "message": line} for place, line in enumerate(lines)]
    told = {"messageType": "DATA_MESSAGE", "logGroup": "g", "logEvents": events}
    data = base64.b64encode(gzip.compress(json.dumps(told).encode())).decode()
    assert recorder.call(CAPTURE, {"awslogs": {"data": data}})["lines"] == 2


def use_scoring(recorder: Recorder, store: Store) -> None:
    """Files of each kind, whole and in parts, good and bad; the tasks that it gives itself follow."""
    rows = [[place % 10, 3.5, 1.4, 0.2] for place in range(ROWS)]
    table = pa.table({name: [row[place] for row in rows] for place, name in enumerate(MEASURES)})
    records = "".join(json.dumps(dict(zip(MEASURES, row, strict=True))) + "\n" for row in rows)
    comma = csv_of(rows, MEASURES)
    pets = [(f"pet{suffix}", pet_bytes(1, "cat", format)) for format, suffix in SUFFIXES.items()]
    files = {
        ("iris", "a.csv"): comma, ("iris", "a.csv.gz"): gzip.compress(comma), ("iris", "bad.csv"): b"no,such\n1,x\n",
        ("iris", "a.jsonl"): records.encode(), ("iris", "a.parquet"): _parquet(table),
        ("iris", "c.parquet"): _parquet(table, compression="zstd", row_group_size=200),
        ("iris", "many.csv"): comma.split(b"\n", 1)[0] + b"\n" + comma.split(b"\n", 1)[1] * (MANY_ROWS // ROWS),
        ("iris", "few.csv"): b"sepal_length,sepal_width,petal_length,petal_width\n5,3,1,0\n5,x,1,0\n",
        ("pets", "all.zip"): _zip(pets), ("pets", "many.zip"): _zip((f"{i}-{n}", d) for i in range(9) for n, d in pets),
        ("pets", "one.png"): pets[0][1], ("pets", "broken.zip"): b"PK\x03\x04", ("iris", "b.snappy.parquet"):
        _parquet(table, compression="snappy"),
    }  # fmt: skip
    done: set[str] = set()
    for (model, name), data in files.items():
        store.put_new(keys.batch_in(model, name), data)
    for _ in range(5):  # a split leaves its parts, the last part its join
        waiting = [key for key in _keys(store, "batch/") if _tells(key) and key not in done]
        for key in waiting:
            body = created(key, bucket=BUCKET)
            assert recorder.call(SCORE, {"Records": [_message(body)]}) == {"batchItemFailures": []}, key
        done |= set(waiting)
    results = [key for key in _keys(store, "batch/status/") if key.endswith("result.json")]
    states = [json.loads(store.get(key).data)["state"] for key in results]
    assert states.count("done") >= 9 and states.count("failed") == 2, states


def _keys(store: Store, prefix: str) -> list[str]:
    return [entry.key for model in ("iris", "pets") for entry in store.list(f"{model}/{prefix}")]


def _tells(key: str) -> bool:
    return any(f"/batch/{folder}/" in key for folder in ("in", "tasks"))


def _called(
    recorder: Recorder, status: int | Iterable[int], method: str, path: str, body: Any = None, **how: Any
) -> Any:
    answer = recorder.call(API, event(method, path, body, **how))
    assert answer["statusCode"] in ({status} if isinstance(status, int) else set(status)), (path, answer)
    return json.loads(answer["body"]) if "json" in answer["headers"].get("content-type", "") else None


def _picture(recorder: Recorder, body: bytes, kind: str, status: int | Iterable[int] = 200) -> None:
    _called(recorder, status, "POST", "/models/pets/predict", body, headers={"content-type": kind}, encode=True)


def _shades(format: str) -> Iterator[bytes]:
    """A picture as a format keeps it in color, and in other ways that decoders have code of their own for."""
    yield picture_bytes(blotches(1), format)
    yield picture_bytes(blotches(1), format, mode="L")
    match format:
        case "PNG":
            for mode in ("RGBA", "P", "1", "LA"):
                yield picture_bytes(blotches(1), format, mode=mode)
            yield picture_bytes(Image.fromarray(np.arange(768, dtype=np.uint16).reshape(24, 32) * 80), format)
        case "TIFF":
            for compression in ("tiff_lzw", "tiff_deflate", "jpeg", "packbits"):
                yield picture_bytes(blotches(1), format, compression=compression)
        case "WEBP":
            yield picture_bytes(blotches(1), format, mode="RGBA", lossless=True)
        case "JPEG":
            yield picture_bytes(blotches(1), format, mode="CMYK", progressive=True)


def _form(data: bytes) -> bytes:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'
    return head.encode() + data + f"\r\n--{BOUNDARY}--\r\n".encode()


def _zip(files: Iterable[tuple[str, bytes]]) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in files:
            file.writestr(name, data)
    return sink.getvalue()


def _parquet(table: pa.Table, **how: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, **how)
    return sink.getvalue()


def _message(body: str) -> dict[str, Any]:
    return {
        "messageId": "m", "receiptHandle": "r", "body": body, "eventSource": "aws:sqs", "awsRegion": REGION,
        "attributes": {"ApproximateReceiveCount": "1"}, "messageAttributes": {}, "md5OfBody": "",
        "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:scoring",
    }  # fmt: skip
