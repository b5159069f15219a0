"""Have everything scored that could not be, once the cause is mended: from the dead queue back into the queue.

SQS can move messages by itself, but emulators cannot, and one way is enough. A message is sent before it is deleted: a
crash in between leaves it in both queues, and what is scored twice is scored once.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from perennial.errors import QueueUnavailable, SettingsError
from perennial.settings import LOCAL_CREDENTIALS, Settings

BATCH = 10
UNSEEN_SECONDS = 120
WAIT_SECONDS = 1
"""A receive that waits asks all servers of a queue; one that does not may miss messages."""


def redrive(settings: Settings, client: Any = None) -> int:
    """Move every message; how many there were. ``client`` is boto3's for SQS, made where none is given.

    Raises:
        SettingsError: the queues are not named.
        QueueUnavailable: SQS does not answer, or refuses; what was not moved is still where it was.
    """
    dead, queue = settings.scoring_dead_queue, settings.scoring_queue
    if not dead or not queue:
        raise SettingsError(
            "No scoring queues are named.",
            remedy="Set PERENNIAL_SCORING_QUEUE and PERENNIAL_SCORING_DEAD_QUEUE, or run this where `make up` did.",
        )
    moved = 0
    with _sqs_errors():
        client = client or _client(settings)
        while messages := _receive(client, dead):
            moved += _move(client, messages, dead, queue)
    return moved


def _receive(client: Any, queue: str) -> list[dict[str, Any]]:
    answer = client.receive_message(
        QueueUrl=queue, MaxNumberOfMessages=BATCH, VisibilityTimeout=UNSEEN_SECONDS, WaitTimeSeconds=WAIT_SECONDS
    )
    found: list[dict[str, Any]] = answer.get("Messages", [])
    return found


def _move(client: Any, messages: list[dict[str, Any]], dead: str, queue: str) -> int:
    bodies = [{"Id": str(place), "MessageBody": one["Body"]} for place, one in enumerate(messages)]
    sent = client.send_message_batch(QueueUrl=queue, Entries=bodies).get("Successful", [])
    done = [{"Id": one["Id"], "ReceiptHandle": messages[int(one["Id"])]["ReceiptHandle"]} for one in sent]
    if done:
        client.delete_message_batch(QueueUrl=dead, Entries=done)
    if len(done) < len(messages):
        raise QueueUnavailable(
            f"{queue} took {len(done)} of {len(messages)} messages; the others are still in the dead queue.",
            remedy=f"Repeat it in {UNSEEN_SECONDS} seconds.",
        )
    return len(done)


@contextmanager
def _sqs_errors() -> Iterator[None]:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (BotoCoreError, ClientError, ValueError) as error:
        raise QueueUnavailable(
            f"SQS: {' '.join(str(error).split()).rstrip('.')[:300]}.", remedy="Check the endpoint and the credentials."
        ) from error


def _client(settings: Settings) -> Any:
    import boto3

    session = boto3.Session()
    given = LOCAL_CREDENTIALS if settings.emulated and session.get_credentials() is None else {}
    return session.client(
        "sqs",
        endpoint_url=settings.aws_endpoint_url,
        region_name=settings.region,
        **{name.lower(): value for name, value in given.items()},
    )
