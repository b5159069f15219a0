"""Trains models whose files have landed: S3 tells a queue of new objects, and Airflow watches the queue.

There is such a DAG where ``PERENNIAL_LANDING_QUEUE`` names the queue by its URL. Wiring only: which messages tell of
new files is said by ``perennial.jobs.landed``.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from typing import Any

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import DAG, Asset, AssetWatcher, TriggerRule, dag, get_current_context, task
from perennial_wiring import POLICY, REGION, specs

from perennial.jobs.landed import arrivals

log = logging.getLogger(__name__)
QUEUE = os.environ.get("PERENNIAL_LANDING_QUEUE")
POLL_SECONDS = 20  # the longest that SQS holds a request open
HIDDEN_SECONDS = 600  # a message comes again if it was not deleted by then
BATCH = 10  # the most that SQS gives or deletes at once
DOC = """### New files

Starts `train_<model>` for each model with new files in its landing folder, once for all the files of a batch of
messages. S3's test message, other objects and messages of others start nothing; the log of `read` names them.

- **Nothing is lost**: a message is deleted only after its trainings were started; otherwise it comes again, and the
  runs it started already are found by their ids.
- **Whether to train at all** is decided by the training itself, by the spec's `retrain`.
"""


def landing_dag(queue: str, models: list[str]) -> DAG:
    """The DAG ``landing``, over the queue at a URL."""
    from airflow.providers.common.messaging.triggers.msg_queue import MessageQueueTrigger  # brings boto3

    trigger = MessageQueueTrigger(
        scheme="sqs",
        sqs_queue=queue,
        aws_conn_id=None,  # the credentials that the steps use too
        region_name=REGION,
        max_messages=BATCH,
        wait_time_seconds=POLL_SECONDS,
        waiter_delay=1,
        visibility_timeout=HIDDEN_SECONDS,
        delete_message_on_reception=False,
    )
    files = Asset("perennial-landing", watchers=[AssetWatcher(name="perennial-landing-queue", trigger=trigger)])

    @dag(dag_id="landing", schedule=[files], tags=["perennial", "landing"], doc_md=DOC, **POLICY)
    def landing() -> None:
        @task
        def read() -> list[dict[str, Any]]:
            """Says which trainings to start."""
            found = arrivals([message["Body"] for message in messages()], models, os.environ.get("PERENNIAL_BUCKET"))
            for reason in found.ignored:
                log.info("passed over %s", reason)
            return [
                {
                    "trigger_dag_id": f"train_{each.model}",
                    "trigger_run_id": each.run_id,
                    "conf": {"cause": "files", "because": each.because},
                }
                for each in found.trainings
            ]

        @task(trigger_rule=TriggerRule.NONE_FAILED)
        def forget() -> None:
            """Deletes the messages, now that what they started is there."""
            delete(queue, [message["ReceiptHandle"] for message in messages()])

        start = TriggerDagRunOperator.partial(
            task_id="start",
            logical_date=None,
            skip_when_already_exists=True,
            openlineage_inject_parent_info=False,
            doc_md="Starts one training and does not wait for it.",
        )
        start.expand_kwargs(read()) >> forget()

    return landing()


def messages() -> Iterator[dict[str, Any]]:
    """The messages that this run is about."""
    for events in get_current_context()["triggering_asset_events"].values():
        for event in events:
            yield from event.extra["payload"]["message_batch"]


def delete(queue: str, receipts: list[str]) -> None:
    from airflow.providers.amazon.aws.hooks.sqs import SqsHook

    client = SqsHook(aws_conn_id=None, region_name=REGION).get_conn()
    for first in range(0, len(receipts), BATCH):
        batch = [
            {"Id": str(number), "ReceiptHandle": each} for number, each in enumerate(receipts[first : first + BATCH])
        ]
        for failed in client.delete_message_batch(QueueUrl=queue, Entries=batch).get("Failed", []):
            log.warning("A message was not deleted, and comes again: %s", failed.get("Message"))


if QUEUE:
    made = landing_dag(QUEUE, [each.spec.name for each in specs() if each.spec])
    globals()[made.dag_id] = made
