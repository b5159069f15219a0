"""A queue as SQS is one: it delivers at least once, in any order, late, and again what was not done."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

MOST_COPIES = 5
LONGEST_SECONDS = 0.3
"""How late a copy may come."""


@dataclass(frozen=True)
class Message:
    """One delivery that is due at ``at``, after it was ``received`` so often; ``order`` is when it was sent."""

    body: str
    order: int
    at: float
    received: int = 0


class Queue:
    """Safe to use from several threads. ``happened`` counts what a queue may do and a list would not."""

    def __init__(self, chance: Random, most_copies: int = MOST_COPIES) -> None:
        self._chance, self._most_copies = chance, most_copies
        self._lock = threading.Lock()
        self._waiting: list[Message] = []
        self._under_way = self._sent = self._newest = 0
        self.delivered = self.done = 0
        self.happened: Counter[str] = Counter()

    def send(self, body: str) -> None:
        """Take a message, and make one to five of it."""
        with self._lock:
            self._sent += 1
            copies = self._chance.randint(1, self._most_copies)
            self.happened["event told again"] += copies - 1
            for copy in range(copies):
                late = self._chance.uniform(0, LONGEST_SECONDS) if copy or self._chance.random() < 0.5 else 0.0
                self.happened["event told late"] += late > 0
                self._waiting.append(Message(body, self._sent, time.monotonic() + late))

    def take(self) -> list[Message]:
        """A few messages that are due, in no order; none where none is due. All of them come to their end by `end`."""
        with self._lock:
            now = time.monotonic()
            due = [message for message in self._waiting if message.at <= now]
            found = self._chance.sample(due, min(len(due), self._chance.randint(1, 4)))
            for message in found:
                self._waiting.remove(message)
                self.happened["event out of order"] += message.order < self._newest
                self._newest = max(self._newest, message.order)
            self._under_way += len(found)
            self.delivered += len(found)
            return [replace(message, received=message.received + 1) for message in found]

    def end(self, taken: Sequence[Message], again: Iterable[Message]) -> None:
        """They are done, but for those that are to come again."""
        with self._lock:
            self._under_way -= len(taken)
            soon = time.monotonic() + 0.05
            back = [replace(message, at=soon) for message in again]
            self._waiting += back
            self.done += len(taken) - len(back)

    @property
    def empty(self) -> bool:
        with self._lock:
            return not self._waiting and not self._under_way


def as_event(taken: Sequence[Message]) -> dict[str, Any]:
    """A batch of messages as Lambda brings it to the function."""
    return {
        "Records": [
            {
                "messageId": str(place), "receiptHandle": "r", "body": message.body, "eventSource": "aws:sqs",
                "attributes": {"ApproximateReceiveCount": str(message.received)}, "messageAttributes": {},
                "awsRegion": "us-east-1", "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:scoring",
                "md5OfBody": "",
            }
            for place, message in enumerate(taken)
        ]
    }  # fmt: skip


def by_s3(bucket: str, key: str, **told: Any) -> str:
    """What S3's own notification says of a new object, whose keys are URL-encoded and names spelled otherwise."""
    from urllib.parse import quote_plus

    told_of = {"key": quote_plus(key), "size": told["size"], "eTag": told["etag"], "versionId": told["version-id"]}
    record = {"eventSource": "aws:s3", "eventName": "ObjectCreated:Put",
              "s3": {"bucket": {"name": bucket}, "object": told_of}}  # fmt: skip
    return json.dumps({"Records": [record]})
