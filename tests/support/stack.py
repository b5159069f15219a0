"""One real stack for a whole test run: a local AWS, ``template.yaml`` deployed to it, the form published.

A conftest takes what it needs: ``from tests.support.stack import stack, store``. Every test uses a model name of its
own, so that none sees another's.
"""

from __future__ import annotations

import atexit
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import datetime
from functools import cache

import pytest

from perennial.deploy.ministack import ACCOUNT
from perennial.deploy.up import LocalStack
from perennial.settings import Settings
from perennial.store import Store
from perennial.store_opening import open_store
from tests.support.endpoint import chosen_stack, client

LAKE = "perennial-lake"
"""A bucket that a test may make beside the stack's own; functions may score what is below ``tables/``."""
PAGE_LINES = 10_000


def new_stack() -> AbstractContextManager[LocalStack]:
    """A stack that nothing else is on."""
    # No time between two looks at an alias, so that a promotion is seen by the next request; and files of half a
    # megabyte are large enough to be scored in parts.
    source = f"arn:aws:s3:::{LAKE}/tables/*"
    # The stack's own root may take the roles of jobs, which tests do in the place of AWS Batch.
    root = f"arn:aws:iam::{ACCOUNT}:root"
    parameters = {"RefreshSeconds": "0", "PartBytes": "500000", "ScoringSource": source, "JobPrincipals": root}
    return chosen_stack(parameters)


@cache
def shared_stack() -> LocalStack:
    """The stack of this process, started by the first who asks and ended with the process."""
    context = new_stack()
    stack = context.__enter__()
    atexit.register(context.__exit__, None, None, None)
    return stack


@pytest.fixture(scope="session")
def stack() -> LocalStack:
    return shared_stack()


@pytest.fixture
def store(stack: LocalStack, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """The stack's bucket, under its root credentials; the environment names the stack for the length of the test."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in stack.environment().items():
        monkeypatch.setenv(name, value)
    yield open_store(Settings.load(stack.environment()))


def logged(stack: LocalStack, function: str, since: datetime) -> list[str]:
    """What a function has written to its log since then, in the order of time.

    The embedded AWS answers the oldest 10,000 lines and knows no next page, so the start moves on instead.
    """
    logs = client(stack, "logs")
    start, found = int(since.timestamp() * 1000), dict[tuple[str, int, int], str]()
    while True:
        events = logs.filter_log_events(logGroupName=f"/perennial/local/{function}", startTime=start)["events"]
        numbers: Counter[tuple[str, int]] = Counter()
        for event in events:
            place = (event["logStreamName"], event["timestamp"])
            found[*place, numbers[place]] = event["message"]
            numbers[place] += 1
        if len(events) < PAGE_LINES or events[-1]["timestamp"] == start:
            return list(found.values())
        start = events[-1]["timestamp"]
