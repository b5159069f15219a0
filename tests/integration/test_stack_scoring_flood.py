"""Many files, told of one to five times, in any order, to workers that are killed meanwhile: one result each.

There are 60 files, and as many as ``PERENNIAL_FLOOD_FILES`` says: ``make flood`` takes 500, which need some minutes.
"""

from __future__ import annotations

import json
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from perennial import keys
from perennial.deploy.up import LocalStack
from perennial.serving.batch_job import BatchCounts, BatchInput, BatchResult
from perennial.store import Store
from tests.support import models
from tests.support.batch_world import csv_of
from tests.support.endpoint import client
from tests.support.lambda_workers import workers

MODEL = "flooded"
FILES = int(os.environ.get("PERENNIAL_FLOOD_FILES", "60"))
SECONDS = 60.0 + FILES
KILLS = max(2, FILES // 50)


def file_of(number: int) -> tuple[bytes, BatchCounts | None]:
    """A file and its counts: every tenth has rows to refuse, every twenty-fifth cannot be scored at all."""
    if number % 25 == 0:
        return f"sepal_length\n{number}\n".encode(), None
    rows = 3 + number % 7
    bad = number % 10 == 0
    values = [[round(1 + (number + row) % 50 / 10, 1)] * 4 for row in range(rows)]
    data = csv_of(values, models.MEASURES) + (b"99,1,1,1\r\n" if bad else b"")
    return data, BatchCounts(rows=rows + bad, scored=rows, quarantined=int(bad))


@contextmanager
def killing(stack: LocalStack, store: Store, chance: random.Random) -> Iterator[list[int]]:
    """Kill a worker in the middle of its work, ``KILLS`` times within the block; gives those that were killed.

    What is killed is what has got somewhere since the last time: who kills by the clock kills workers that start.
    """
    killed: list[int] = []
    over = threading.Event()

    def kill() -> None:
        while len(killed) < KILLS and not over.wait(0.1):
            if len(ended(store)) >= (len(killed) + 1) * FILES // (KILLS + 2) and (alive := workers(stack.score)):
                with suppress(ProcessLookupError):
                    os.kill(victim := chance.choice(alive), signal.SIGKILL)
                    killed.append(victim)

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield killed
    finally:
        over.set()
        thread.join()


def ended(store: Store) -> set[str]:
    """The works that have their result."""
    return {entry.key.split("/")[3] for entry in store.list(keys.batch_works(MODEL)) if "/result" in entry.key}


@pytest.fixture
def patient_queue(stack: LocalStack) -> Iterator[None]:
    """What a killed worker leaves comes again soon, and is dead only after very many attempts; nothing else waits."""
    sqs = client(stack, "sqs")
    sqs.purge_queue(QueueUrl=stack.scoring_queue)
    names = ["VisibilityTimeout", "RedrivePolicy"]
    before = sqs.get_queue_attributes(QueueUrl=stack.scoring_queue, AttributeNames=names)["Attributes"]
    policy = json.loads(before["RedrivePolicy"]) | {"maxReceiveCount": 1000}
    sqs.set_queue_attributes(
        QueueUrl=stack.scoring_queue, Attributes={"VisibilityTimeout": "5", "RedrivePolicy": json.dumps(policy)}
    )
    yield
    sqs.set_queue_attributes(QueueUrl=stack.scoring_queue, Attributes=before)


@pytest.mark.timeout(SECONDS + 120)
@pytest.mark.usefixtures("patient_queue")
@pytest.mark.needs("killable-workers")
def test_files_told_of_again_and_again_have_one_result_each(stack: LocalStack, store: Store) -> None:
    chance = random.Random(4)
    models.promote(store, models.build(models.make_spec(MODEL)))
    s3, sqs = client(stack, "s3"), client(stack, "sqs")
    expected: dict[str, BatchCounts | None] = {}
    bodies: list[str] = []
    with killing(stack, store, chance) as killed:
        for number in range(FILES):
            data, counts = file_of(number)
            key = keys.batch_in(MODEL, f"{number}.csv")
            answer = s3.put_object(Bucket=stack.bucket, Key=key, Body=data)
            version, etag = answer["VersionId"], answer["ETag"]
            one = BatchInput(bucket=stack.bucket, key=key, version=version, etag=etag, size=len(data))
            expected[one.work] = counts
            told_of = {"key": key, "size": len(data), "eTag": etag.strip('"'), "versionId": version}
            record = {"eventSource": "aws:s3", "eventName": "ObjectCreated:Put",
                      "s3": {"bucket": {"name": stack.bucket}, "object": told_of}}  # fmt: skip
            bodies += [json.dumps({"Records": [record]})] * chance.randint(0, 4)
        chance.shuffle(bodies)
        for first in range(0, len(bodies), 10):
            batch = [{"Id": str(place), "MessageBody": body} for place, body in enumerate(bodies[first : first + 10])]
            sqs.send_message_batch(QueueUrl=stack.scoring_queue, Entries=batch)
        drain(stack, store, set(expected))
    assert len(set(killed)) == KILLS
    versions = all_versions(stack)
    outputs = []
    for work, counts in expected.items():
        key = keys.batch_result(MODEL, work)
        assert versions[key] == 1, key
        result = BatchResult.from_bytes(store.get(key).data, key)
        assert (result.state, result.counts) == (("done", counts) if counts else ("failed", BatchCounts())), result
        outputs += [one.key for one in (result.scored, result.quarantined) if one]
    assert len(outputs) == len(set(outputs)) and {versions[key] for key in outputs} == {1}
    written = [key for key in versions if key.startswith((f"{MODEL}/batch/out/", f"{MODEL}/batch/quarantine/"))]
    assert sorted(written) == sorted(outputs)


def drain(stack: LocalStack, store: Store, works: set[str]) -> None:
    """Wait until every work has its result, and no message is left."""
    sqs = client(stack, "sqs")
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        found = sqs.get_queue_attributes(QueueUrl=stack.scoring_queue, AttributeNames=names)["Attributes"]
        if sum(int(found[name]) for name in names) == 0:
            assert ended(store) == works
            return
        time.sleep(0.5)
    raise AssertionError(f"the queue was not empty within {SECONDS:.0f} s: {found}")


def all_versions(stack: LocalStack) -> Counter[str]:
    """How many versions each of the model's keys has in S3."""
    pages = client(stack, "s3").get_paginator("list_object_versions").paginate(
        Bucket=stack.bucket, Prefix=f"{MODEL}/"
    )  # fmt: skip
    return Counter(version["Key"] for page in pages for version in page.get("Versions", []))
