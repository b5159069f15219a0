"""What the capture function makes of what CloudWatch Logs delivers: each line once, whatever is repeated or broken."""

from __future__ import annotations

import base64
import gzip
import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdas.capture import delivery as unpacking
from lambdas.capture.delivery import read_delivery
from lambdas.capture.handler import capture
from perennial import keys
from perennial.errors import IntegrityError, StoreUnavailable
from perennial.serving.batches import batches
from perennial.serving.captured import CapturedPrediction, parse
from perennial.serving.ids import uuid7
from perennial.store import Store
from tests.support.stores import Bucket

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def line(number: int = 1, *, model: str = "iris", at: datetime = NOON, identifier: str | None = None) -> str:
    """The line of a prediction made ``number`` milliseconds after ``at``."""
    identifier = identifier or uuid7(at.timestamp() + number / 1000 + 1e-4, number.to_bytes(10, "big"))
    return CapturedPrediction(
        prediction_id=identifier, model=model, version="v", generation=1, time=at, instance="i", number=number,
        served=number, request_id="r", record={"a": number}, prediction="x", probabilities={"x": 1.0},
    ).model_dump_json()  # fmt: skip


def delivery(*lines: str, kind: str = "DATA_MESSAGE") -> dict[str, Any]:
    events = [{"id": str(i), "timestamp": 0, "message": message} for i, message in enumerate(lines)]
    return packed(json.dumps({"messageType": kind, "logGroup": "/perennial/local/api", "logEvents": events}).encode())


def packed(data: bytes) -> dict[str, Any]:
    return {"awslogs": {"data": base64.b64encode(gzip.compress(data)).decode()}}


def kept(store: Store, model: str = "iris") -> dict[str, list[int]]:
    """Key of each object -> numbers of its lines."""
    found = {}
    for entry in store.list(keys.predictions(model)):
        lines = [parse(text) for text in store.get(entry.key).data.splitlines()]
        found[entry.key] = [one.number for one in lines if one is not None]
    return found


@pytest.fixture
def bucket() -> Bucket:
    return Bucket()


def test_one_object_a_model_and_day_in_the_order_of_predictions(bucket: Bucket) -> None:
    before = datetime(2026, 11, 20, 23, 59, 59, 998_000, tzinfo=UTC)
    lines = [line(3), line(1), line(1, model="other"), *(line(i, at=before) for i in (1, 2, 3))]
    assert capture(delivery(*lines), bucket.store) == {"lines": 6, "kept": 6, "objects": 3}
    found = kept(bucket.writer)
    assert list(found.values()) == [[1], [2, 3, 1, 3]]
    assert [key.rsplit("-", 1)[0] for key in found] == [
        "iris/predictions/2026-11-20/235959999-235959999",
        "iris/predictions/2026-11-21/000000000-120000003",
    ]
    assert list(kept(bucket.writer, "other").values()) == [[1]]


def test_a_repeated_delivery_lands_once_in_any_order(bucket: Bucket) -> None:
    lines = [line(number) for number in range(1, 6)]
    for event in (delivery(*lines), delivery(*lines), delivery(*reversed(lines), lines[0])):
        capture(event, bucket.store)
    assert list(kept(bucket.writer).values()) == [[1, 2, 3, 4, 5]]


def test_a_delivery_that_failed_halfway_lands_once_when_repeated(bucket: Bucket) -> None:
    event = delivery(line(1, model="a"), line(1, model="b"))

    def fail(key: str) -> None:
        bucket.down = key.startswith("b/")

    bucket.before = fail
    store = Store(bucket.store._raw, sleep=lambda seconds: None)
    with pytest.raises(StoreUnavailable):
        capture(event, store)
    assert list(kept(bucket.writer, "a").values()) == [[1]] and not kept(bucket.writer, "b")
    bucket.before, bucket.down = (lambda key: None), False
    capture(event, store)
    assert list(kept(bucket.writer, "a").values()) == list(kept(bucket.writer, "b").values()) == [[1]]


@pytest.mark.parametrize(
    "foreign",
    [
        "",
        "START RequestId: 1",
        '{"level":"INFO","message":"request","correlation_id":"perennial.prediction"}',
        line()[:-20],
        line(model="../escape"),
        line(model="UPPER"),
        line(identifier="not-an-id"),
        line(identifier="ffffffff-ffff-7fff-8fff-ffffffffffff"),
        line().replace("perennial.prediction", "another.kind"),
        line().replace('"number":1,', f'"number":{2**63},'),
        line().replace('"served":1,', f'"served":{2**63},'),
        line()[:-1] + "\n}",
        line().replace(",", ",\r", 1),
        "[" * 10_000,
    ],
)
def test_foreign_and_cut_lines_are_left_out(bucket: Bucket, foreign: str) -> None:
    assert capture(delivery(foreign, line(7), foreign), bucket.store) == {"lines": 3, "kept": 1, "objects": 1}
    assert list(kept(bucket.writer).values()) == [[7]]
    assert all(entry.key.startswith("iris/predictions/") for entry in bucket.writer.list(""))


def test_a_try_of_the_way_is_nothing(bucket: Bucket) -> None:
    assert capture(delivery(line(), kind="CONTROL_MESSAGE"), bucket.store)["lines"] == 0
    assert list(bucket.writer.list("")) == []


WHOLE = base64.b64decode(delivery(line())["awslogs"]["data"])


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"awslogs": None},
        {"awslogs": {"data": 7}},
        {"awslogs": {"data": "no base64!"}},
        {"awslogs": {"data": base64.b64encode(b"no gzip").decode()}},
        {"awslogs": {"data": base64.b64encode(WHOLE[:-9]).decode()}},
        {"awslogs": {"data": base64.b64encode(WHOLE[:30] + b"\0" + WHOLE[31:]).decode()}},
        packed(b"no json"),
        packed(b"[]"),
        packed(b"[" * 100_000),
        packed(b'{"messageType": "DATA_MESSAGE", "logEvents": [{}]}'),
    ],
    ids=range(11),
)
def test_what_is_damaged_is_an_error(event: dict[str, Any]) -> None:
    """Lambda repeats the call, and what stays lost shows as a gap."""
    with pytest.raises(IntegrityError):
        read_delivery(event)


def test_what_unpacks_to_too_much_is_refused_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "MAX_BYTES", 1_000_000)
    with pytest.raises(IntegrityError, match="more than 1000000 bytes"):
        read_delivery(packed(b" " * 50_000_000))


@given(st.lists(st.integers(1, 2**31), min_size=1, unique=True), st.randoms())
def test_the_same_lines_are_the_same_objects(numbers: list[int], random: Any) -> None:
    lines = [line(number) for number in numbers]
    shuffled = [*lines, lines[0]]
    random.shuffle(shuffled)
    assert batches(lines) == batches(shuffled)
    assert sum(batch.lines for batch in batches(lines)) == len(numbers)


def test_import_reads_no_settings_and_brings_nothing_heavy(tmp_path: Path) -> None:
    heavy = (
        "numpy",
        "onnxruntime",
        "fastapi",
        "mangum",
        "boto3",
        "botocore",
        "pyarrow",
        "pandas",
        "yaml",
        "aws_lambda_powertools",
    )
    code = f"import json, sys, lambdas.capture.handler\nprint(json.dumps([n for n in {heavy!r} if n in sys.modules]))"
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env={"PYTHONPATH": root}, capture_output=True, text=True
    )
    assert json.loads(done.stdout) == [], done.stderr
