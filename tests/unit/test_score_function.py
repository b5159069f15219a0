"""What the function makes of a batch of messages: an outcome for each, and a log that tells nothing of the rows."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lambdas.score.handler import score
from perennial import keys
from perennial.errors import StoreUnavailable
from tests.support import models
from tests.support.batch_world import World, created

FILE = b"sepal_length,sepal_width,petal_length,petal_width\n5.1,3.5,1.4,0.2\n4.4,topsecret,1.4,0.2\n"


@pytest.fixture
def world() -> World:
    world = World()
    models.promote(world.store, models.build())
    return world


def batch(*bodies: str) -> dict[str, Any]:
    """A batch as Lambda brings it from SQS."""
    return {
        "Records": [
            {
                "messageId": f"m{place}", "receiptHandle": "r", "body": body, "eventSource": "aws:sqs",
                "attributes": {"ApproximateReceiveCount": "2"}, "messageAttributes": {}, "awsRegion": "us-east-1",
                "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:scoring", "md5OfBody": "",
            }
            for place, body in enumerate(bodies)
        ]
    }  # fmt: skip


def failed(answer: dict[str, Any]) -> list[str]:
    return [one["itemIdentifier"] for one in answer["batchItemFailures"]]


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_each_message_has_its_own_outcome(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    good, bad, none = (world.drop(model, "a.csv", data) for model, data in
                       (("iris", FILE), ("iris2", FILE), ("iris3", b"")))  # fmt: skip
    bodies = world.messages
    answer = score(batch(bodies[0], "garbage", bodies[1], bodies[2]), world.bench())
    assert failed(answer) == ["m1"]
    assert world.result("iris", good).state == "done"
    assert {world.result("iris2", bad).state, world.result("iris3", none).state} == {"failed"}
    told = lines(capsys)
    assert [(line["level"], line["state"]) for line in told] == [
        ("INFO", "done"), ("ERROR", "error"), ("INFO", "failed"), ("INFO", "failed"),
    ]  # fmt: skip
    assert {key: told[0][key] for key in ("message", "model", "work", "rows", "scored", "quarantined", "attempt")} == {
        "message": "scoring", "model": "iris", "work": good, "rows": 2, "scored": 1, "quarantined": 1, "attempt": 2,
    }  # fmt: skip
    assert told[1]["error"] == "IntegrityError"


def test_nothing_of_a_row_stands_in_the_log(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.drop("iris", "a.csv", FILE)
    world.drop("iris", "b.csv", b"sepal_length,topsecret\n1,topsecret\n")
    score(batch(*world.messages, '{"topsecret": 1}'), world.bench())
    assert "topsecret" not in capsys.readouterr().out


def test_an_error_that_nobody_foresaw_is_told_by_its_place(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.drop("iris", "a.csv", FILE)

    def broken(operation: str, key: str, request: Callable[[], Any]) -> Any:
        raise RuntimeError("row 1: topsecret")

    assert failed(score(batch(*world.messages), world.bench(broken))) == ["m0"]
    (line,) = lines(capsys)
    assert line["error"] == "RuntimeError" and any("store.py:" in place for place in line["at"])
    assert "topsecret" not in json.dumps(line)


def test_a_batch_of_failures_is_no_error_of_the_function(world: World) -> None:
    """Else all of it counted as one that failed, and what succeeded came again."""
    assert failed(score(batch("x", "y"), world.bench())) == ["m0", "m1"]


def test_what_there_is_no_time_for_is_handed_back(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(3):
        world.drop("iris", f"{number}.csv", FILE)
    assert failed(score(batch(*world.messages), world.bench(), lambda: 5.0)) == ["m1", "m2"]  # the first always begins
    assert [line["state"] for line in lines(capsys)] == ["done", "later", "later"]
    assert failed(score(batch(*world.messages), world.bench(), lambda: 500.0)) == []


def test_what_is_none_of_ours_does_not_come_again(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    bodies = [created(keys.landing("iris", "a.csv")), json.dumps({"Event": "s3:TestEvent"})]
    assert failed(score(batch(*bodies), world.bench())) == []
    assert [line["state"] for line in lines(capsys)] == ["ignored", "ignored"]


def test_s3_down_hands_everything_back(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.drop("iris", "a.csv", FILE)

    def down(operation: str, key: str, request: Callable[[], Any]) -> Any:
        raise OSError("connection refused")

    assert failed(score(batch(*world.messages), world.bench(down))) == ["m0"]
    assert lines(capsys)[0]["error"] == StoreUnavailable.__name__
    assert failed(score(batch(*world.messages), world.bench())) == []


def test_nothing_heavy_or_networked_is_imported(tmp_path: Path) -> None:
    """boto3 comes with the first large file; a missing bucket is no trouble before the first message."""
    code = (
        "import sys, json; import lambdas.score.handler; "
        "print(json.dumps([name for name in ('boto3', 'pandas', 'sklearn', 'scipy', 'yaml', 'typer', 'pyspark') "
        "if name in sys.modules]))"
    )
    root = Path(__file__).parents[2]
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root, env={})
    assert json.loads(result.stdout) == []
