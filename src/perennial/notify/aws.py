"""The way to SNS and Secrets Manager: clients that do not wait long, and their failures as one line."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from perennial.errors import NoticeUndelivered
from perennial.settings import LOCAL_CREDENTIALS, Settings

CONNECT_SECONDS, ANSWER_SECONDS, ATTEMPTS = 3, 5, 2


def client(settings: Settings, service: str, name: str) -> Any:
    """A boto3 client of a service, in the region that the ARN ``name`` says, where it is one.

    Raises:
        NoticeUndelivered: boto3 is not installed, or there are no credentials.
    """
    try:
        import boto3
        from botocore.config import Config
    except ImportError as error:
        raise NoticeUndelivered("boto3 is not installed.", remedy="Install perennial[train].") from error
    patience = Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=ANSWER_SECONDS,
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
    )
    keys = LOCAL_CREDENTIALS if settings.emulated and not os.environ.get("AWS_ACCESS_KEY_ID") else {}
    with undelivered():
        return boto3.Session().client(
            service,
            endpoint_url=settings.aws_endpoint_url,
            region_name=_region(name) or settings.region,
            config=patience,
            **{key.lower(): value for key, value in keys.items()},
        )


@contextmanager
def undelivered() -> Iterator[None]:
    """What boto3 raises within the block, as one line: ValueError, for one, where an endpoint is no address.

    Raises:
        NoticeUndelivered: boto3 raised.
    """
    from boto3.exceptions import Boto3Error
    from botocore import exceptions as found

    try:
        yield
    except (found.BotoCoreError, found.ClientError, Boto3Error, OSError, ValueError) as error:
        raise NoticeUndelivered(f"{' '.join(str(error).split()).rstrip('.')[:300]}.") from error


def _region(name: str) -> str | None:
    """The region of ``arn:partition:service:region:account:resource``."""
    parts = name.split(":")
    return parts[3] or None if parts[0] == "arn" and len(parts) > 5 else None
