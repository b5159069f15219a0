"""Which AWS the tests of a stack run on, and what it lacks.

``PERENNIAL_TEST_ENDPOINT`` names it: ``ministack`` (the default) or ``localstack`` are started for the run and ended
with it; ``environment`` is whatever emulator AWS_ENDPOINT_URL, or LOCALSTACK_HOST, names, which is deployed to and left
running. Those variables alone do not do it: a shell keeps them for a stack that somebody works on.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from perennial.deploy.aws import Aws
from perennial.deploy.localstack import LocalStackEmulator
from perennial.deploy.ministack import MiniStack
from perennial.deploy.up import LocalStack, bring_up, running_stack

STARTED = {"ministack": MiniStack, "localstack": LocalStackEmulator}
CHOSEN = os.environ.get("PERENNIAL_TEST_ENDPOINT") or "ministack"

LACKS: Mapping[str, Mapping[str, str]] = {
    "ministack": {},
    "localstack": {
        "iam": "it enforces no IAM policies: whoever calls may do everything",
        "plain-event-keys": "its events of EventBridge say keys percent-encoded, which AWS does in those of S3 alone",
        "jwt": "its HTTP APIs have no authorizers, and its CloudFormation looks at no Rules",
        "form-policies": "it takes a form with a field that the form's policy does not name",
        "counted-alarms": "its alarms do not look at what was counted in the minute that runs",
        "quick-retries": "it waits a minute and more before it tries an event again",
        "updated-schedules": "its CloudFormation leaves schedules as they were, and forgets descriptions of stacks",
        "killable-workers": "its functions are not the processes that the test looks for to kill",
        "previous-templates": "its CloudFormation updates no stack by the template that it has",
        "lax-filters": "it takes no filter policy that is none, as AWS",
    },
}
"""Per kind of endpoint, what it does not have. ``@pytest.mark.needs(...)`` skips there, and nowhere else."""


class Given:
    """What the environment said before it was cleared of all that names a stack."""

    variables: Mapping[str, str] = dict(os.environ)

    @classmethod
    def aws(cls) -> Aws:
        """The emulator that the environment names, by the rules of ``localstack-client``."""
        from localstack_client import config

        found = cls.variables
        if not (found.get("AWS_ENDPOINT_URL") or found.get("LOCALSTACK_HOST")):
            raise pytest.UsageError("PERENNIAL_TEST_ENDPOINT=environment needs AWS_ENDPOINT_URL or LOCALSTACK_HOST.")
        with pytest.MonkeyPatch.context() as patch:
            for name in ("AWS_ENDPOINT_URL", "LOCALSTACK_HOST", "USE_SSL"):
                patch.setenv(name, found[name]) if name in found else patch.delenv(name, raising=False)
            endpoint_url = str(config.get_service_endpoint("s3"))
        return Aws(
            endpoint_url.rstrip("/"),
            found.get("AWS_REGION") or found.get("AWS_DEFAULT_REGION") or "us-east-1",
            found.get("AWS_ACCESS_KEY_ID", "test"),
            found.get("AWS_SECRET_ACCESS_KEY", "test"),
        )


@contextmanager
def chosen_stack(parameters: Mapping[str, str]) -> Iterator[LocalStack]:
    """A deployed stack where the tests are to run."""
    if CHOSEN == "environment":
        yield bring_up(Given.aws(), parameters=parameters)
    elif CHOSEN in STARTED:
        with running_stack(emulator=STARTED[CHOSEN], parameters=parameters) as stack:
            yield stack
    else:
        raise pytest.UsageError(f"PERENNIAL_TEST_ENDPOINT={CHOSEN}: {', '.join(STARTED)} or environment.")


@cache
def kind() -> str:
    """Of which kind the chosen endpoint is."""
    if CHOSEN != "environment":
        return CHOSEN
    endpoint_url = Given.aws().endpoint_url
    for name in STARTED:
        try:
            with urlopen(f"{endpoint_url}/_{name}/health", timeout=10):
                return name
        except URLError:
            continue
    raise pytest.UsageError(f"{endpoint_url}: neither {' nor '.join(STARTED)} answers.")


def lacking(feature: str) -> str | None:
    """Why a test that needs this feature cannot run on the chosen endpoint; None where it can."""
    if feature not in {name for features in LACKS.values() for name in features}:
        raise pytest.UsageError(f"needs({feature!r}): no endpoint lacks that; see {__name__}.LACKS.")
    reason = LACKS[kind()].get(feature)
    return f"{kind()} has no {feature}: {reason}" if reason else None


def client(stack: LocalStack, service: str) -> Any:
    """A client of the stack's AWS, under its root credentials."""
    from localstack_client.session import Session

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", stack.endpoint_url)
        session = Session(
            aws_access_key_id=stack.access_key, aws_secret_access_key=stack.secret_key, region_name=stack.region
        )
    return session.client(service)
