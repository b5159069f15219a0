"""One real stack for a whole test run: the embedded AWS, ``template.yaml`` deployed to it, the form published.

A conftest takes what it needs: ``from tests.support.stack import stack, store``. Every test uses a model name of its
own, so that none sees another's.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterator
from functools import cache

import pytest

from perennial.deploy.up import LocalStack, running_stack
from perennial.settings import Settings
from perennial.store import Store
from perennial.store_opening import open_store

LAKE = "perennial-lake"
"""A bucket that a test may make beside the stack's own; functions may score what is below ``tables/``."""


@cache
def shared_stack() -> LocalStack:
    """The stack of this process, started by the first who asks and ended with the process."""
    # No time between two looks at an alias, so that a promotion is seen by the next request; and files of half a
    # megabyte are large enough to be scored in parts.
    source = f"arn:aws:s3:::{LAKE}/tables/*"
    parameters = {"RefreshSeconds": "0", "PartBytes": "500000", "ScoringSource": source}
    context = running_stack(site=True, parameters=parameters)
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
