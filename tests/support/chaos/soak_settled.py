"""What must be there once a soak has ended: every promise that was acknowledged, and no word of an error."""

from __future__ import annotations

import json
import time
from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from perennial import keys
from perennial.deploy.up import LocalStack
from perennial.registry.registry import Registry
from perennial.serving.captured import parse
from perennial.serving.ids import day_of
from perennial.store import Store
from tests.support.chaos.soak_journal import Journal
from tests.support.endpoint import client

SECONDS = 120.0


@dataclass(frozen=True)
class Settled:
    """Lost: captured predictions, labels and log entries that were acknowledged and are not there. ``unsaid`` counts
    entries of a log that nobody asked for; ``errors`` are lines of errors of the functions, ``dead`` what could not be
    scored."""

    lost_captures: int
    lost_labels: int
    lost_entries: int
    unsaid: int
    errors: tuple[str, ...]
    dead: int


def settle(stack: LocalStack, store: Store, journal: Journal, began: datetime, before: Counter[str]) -> Settled:
    """Wait for what is on its way, then count. ``before`` is how long the models' logs were when the load began."""
    lost = _captures(store, journal)
    labels = sum(not store.exists(keys.label(model, day_of(one), one)) for one, model in journal.labels.items())
    entries = {model: len(Registry(store).log(model)) - before[model] for model in before}
    return Settled(
        lost_captures=lost,
        lost_labels=labels,
        lost_entries=sum(max(0, journal.promoted[model] - found) for model, found in entries.items()),
        unsaid=sum(max(0, found - journal.promoted[model]) for model, found in entries.items()),
        errors=_errors(stack, began),
        dead=_waiting(stack, stack.scoring_dead_queue),
    )


def _captures(store: Store, journal: Journal) -> int:
    """Predictions whose line does not reach S3, within the time that a line may take."""
    deadline, read = time.monotonic() + SECONDS, set[str]()
    missing = set(journal.captured)
    while missing:
        for model in set(journal.captured.values()):
            for entry in store.list(keys.predictions(model)):
                if entry.key not in read:
                    read.add(entry.key)
                    lines = map(parse, store.get(entry.key).data.splitlines())
                    missing -= {line.prediction_id for line in lines if line is not None}
        if time.monotonic() > deadline:
            break
        time.sleep(0.5)
    return len(missing)


def _errors(stack: LocalStack, began: datetime) -> tuple[str, ...]:
    """Lines of errors in the functions' logs."""
    logs, found = client(stack, "logs"), list[str]()
    for function in ("api", "capture", "score"):
        for word in ("ERROR", "Traceback", "Task timed out"):
            events = logs.filter_log_events(
                logGroupName=f"/perennial/local/{function}", startTime=int(began.timestamp() * 1000),
                filterPattern=json.dumps(word),
            )["events"]  # fmt: skip
            found += [f"{function}: {said}" for one in events if word in (said := one["message"])]
    return tuple(found)


def _waiting(stack: LocalStack, queue: str) -> int:
    name = "ApproximateNumberOfMessages"
    answer = client(stack, "sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=[name])
    return int(answer["Attributes"][name])
