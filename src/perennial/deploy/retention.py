"""Object Lock for registries: what they hold cannot be deleted for some time, even where the bucket's policy is gone.

The bucket's own default would bind all that is in it, people's data too, and what writes to it sends no retention of
its own; so it is given afterwards, to whatever the registries hold, as often as this is run.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Literal

from perennial import keys
from perennial.deploy.aws import Aws, aws_errors
from perennial.errors import DeployError

Mode = Literal["GOVERNANCE", "COMPLIANCE"]


def lock_registries(aws: Aws, bucket: str, until: datetime, *, mode: Mode = "GOVERNANCE") -> int:
    """Have S3 keep all that registries hold, but aliases, ``until`` then. Returns the number of objects.

    An alias is written anew with each promotion, and follows from the log. Of GOVERNANCE whoever may
    ``s3:BypassGovernanceRetention`` can still delete; of COMPLIANCE nobody can, nor shorten it. Retention is only ever
    lengthened: what is kept for longer stays so.

    Raises:
        DeployError: the bucket has no Object Lock, or S3 refuses.
    """
    if until.tzinfo is None:
        raise ValueError("until needs a time zone")
    with aws_errors():
        s3, count = aws.client("s3"), 0
        _check_lockable(s3, bucket)
        for key in _held(s3, bucket):
            _lengthen(s3, bucket, key, until.astimezone(UTC), mode)
            count += 1
        return count


def _check_lockable(s3: Any, bucket: str) -> None:
    from botocore.exceptions import ClientError

    try:
        s3.get_object_lock_configuration(Bucket=bucket)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ObjectLockConfigurationNotFoundError":
            raise
        raise DeployError(
            f"Bucket {bucket} has no Object Lock.",
            remedy=f"`aws s3api put-object-lock-configuration --bucket {bucket} --object-lock-configuration "
            "ObjectLockEnabled=Enabled` gives it to a bucket that is older than the template's.",
        ) from error


def _held(s3: Any, bucket: str) -> Iterator[str]:
    """The keys of blobs, versions with their signatures, logs, intents and gate decisions of all models."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Delimiter="/")
    models = [one["Prefix"].rstrip("/") for page in pages for one in page.get("CommonPrefixes", [])]
    for model in models:
        aliases = keys.alias(model, "").removesuffix(".json")
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=keys.registry_of(model)):
            yield from (one["Key"] for one in page.get("Contents", []) if not one["Key"].startswith(aliases))


def _lengthen(s3: Any, bucket: str, key: str, until: datetime, mode: Mode) -> None:
    from botocore.exceptions import ClientError

    try:
        kept = s3.get_object_retention(Bucket=bucket, Key=key)["Retention"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchObjectLockConfiguration":
            raise
        kept = {}
    longer = kept.get("RetainUntilDate")
    if longer is None or longer < until or (kept["Mode"] != mode and mode == "COMPLIANCE"):
        until = until if longer is None else max(until, longer)
        strict = "COMPLIANCE" if kept.get("Mode") == "COMPLIANCE" else mode
        s3.put_object_retention(Bucket=bucket, Key=key, Retention={"Mode": strict, "RetainUntilDate": until})
