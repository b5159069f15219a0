"""From a file in S3 to a training: the bucket's notification, the queue, a real triggerer and scheduler of Airflow."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from perennial import keys
from perennial.deploy.up import LocalStack
from perennial.store import Store
from tests.support.airflow import Airflow

SPEC = """
name: landed-shop
task: regression
target: {column: price}
features: {weight: {type: number}}
candidates: {line: {estimator: sklearn.linear_model.Ridge}}
retrain: {schedule: null}
monitor: {schedule: null}
"""
TRAINING = "train_landed-shop"


class Queue:
    """The queue of new files, as its owner sees it."""

    def __init__(self, stack: LocalStack) -> None:
        self._url = stack.landing_queue
        self._sqs = boto3.client(
            "sqs", endpoint_url=stack.endpoint_url, region_name=stack.region, aws_access_key_id=stack.access_key,
            aws_secret_access_key=stack.secret_key,
        )  # fmt: skip

    def clear(self) -> None:
        """Remove what other tests' files have left in it."""
        self._sqs.purge_queue(QueueUrl=self._url)

    def send(self, body: str) -> None:
        self._sqs.send_message(QueueUrl=self._url, MessageBody=body)

    def empty(self) -> bool:
        """Whether no message waits in it, and none that was given out can come back."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self._sqs.get_queue_attributes(QueueUrl=self._url, AttributeNames=names)["Attributes"]
        return all(found[name] == "0" for name in names)


@pytest.fixture
def watching(stack: LocalStack, tmp_path: Path) -> Iterator[Airflow]:
    """Airflow with its triggerer; trainings are started but wait, for what they do is no matter here."""
    spec = tmp_path / "model.yaml"
    spec.write_text(SPEC)
    airflow = Airflow(stack.inhabit(os.environ), tmp_path / "airflow")
    # Airflow watches for DAGs that were not paused when it last read them, and here it reads them once.
    airflow.env["AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION"] = "False"
    try:
        airflow.start()
        airflow.serve(spec)
        airflow.rest.send("PATCH", f"dags/{TRAINING}", {"is_paused": True})
        airflow.start_triggerer()
        yield airflow
    finally:
        airflow.stop()


def ended(airflow: Airflow) -> list[dict[str, Any]]:
    """Runs of the DAG that reads the queue, when none is under way."""
    runs = airflow.runs("landing")
    return runs if all(run["state"] in ("success", "failed") for run in runs) else []


def bodies(airflow: Airflow, run: dict[str, Any]) -> list[str]:
    """The messages that a run of the DAG was about."""
    path = f"dags/landing/dagRuns/{run['dag_run_id']}/upstreamAssetEvents"
    events = airflow.rest.get(path)["asset_events"]
    return [message["Body"] for event in events for message in event["extra"]["payload"]["message_batch"]]


def test_a_landed_file_starts_its_training_once(watching: Airflow, stack: LocalStack, store: Store) -> None:
    queue = Queue(stack)
    queue.clear()
    for body in ('{"Service": "Amazon S3", "Event": "s3:TestEvent"}', "no JSON", '{"Records": [{}]}'):
        queue.send(body)
    store.put_new(keys.collected("landed-shop", "feedback", 1), b"made by a training")
    store.put_new(keys.landing("landed-shop", "März 2026.csv"), b"weight,price\n1,2\n")
    watching.wait(lambda: watching.runs(TRAINING), "a training", 120)
    watching.wait(queue.empty, "the queue to be empty", 60)
    (training,) = watching.runs(TRAINING)
    assert training["conf"] == {"cause": "files", "because": "new files: landed-shop/landing/März 2026.csv"}

    seen = [body for run in watching.wait(lambda: ended(watching), "the reader", 60) for body in bodies(watching, run)]
    assert "no JSON" in seen
    for body in seen:  # as after a kill between the start of a training and the deletion of the message
        queue.send(body)
    count = len(watching.runs("landing"))
    watching.wait(lambda: len(ended(watching)) > count, "the reader to read again", 60)
    watching.wait(queue.empty, "the queue to be empty", 60)
    assert [run["dag_run_id"] for run in watching.runs(TRAINING)] == [training["dag_run_id"]]
    read = watching.wait(lambda: ended(watching), "the reader", 60)
    assert {run["state"] for run in read} == {"success"}
