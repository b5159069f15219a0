"""Remove a stage: its stacks, site, DAGs and code. Its data stay unless that is asked for twice."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from perennial.deploy.aws import Aws, aws_errors
from perennial.deploy.ours import (
    Stack,
    bucket_exists,
    builds_bucket,
    check_idle,
    check_ours,
    dags_bucket,
    data_bucket,
    find_stack,
    stack_name,
    stacks_of,
)
from perennial.errors import DeployError

Progress = Callable[[str], None]
DELETE_SECONDS = 2_700.0  # CloudFront takes a quarter of an hour, an Airflow environment half an hour
KEY_DAYS = 30
SIGNING = "-signing"  # in the names of stacks of keys, which stay with the data: what they signed is to serve again
KEEPING = frozenset({"Retain", "RetainExceptOnCreate"})
NESTED, BUCKET = "AWS::CloudFormation::Stack", "AWS::S3::Bucket"


def destroy(aws: Aws, stage: str, *, delete_data: bool = False, confirm: str | None = None, say: Progress) -> None:
    """Remove all stacks of a stage, companions such as Batch's first, and what is in the buckets that go with them.

    The data bucket stays, with all its settings, unless ``delete_data`` is said and ``confirm`` is the stage's name.
    Whatever is interrupted is taken up by doing it again.

    Raises:
        DeployError: something is done to one of the stacks now, the name is another's, or AWS refused.
    """
    if delete_data and confirm != stage:
        raise DeployError(
            f"All models, data and predictions of stage {stage} would be lost; nothing was touched.",
            remedy=f"To have that: make destroy STAGE={stage} DATA=delete CONFIRM={stage}",
        )
    with aws_errors():
        data, kept = data_bucket(aws, stage), False
        stacks = [one for one in _stacks(aws, stage) if delete_data or not _signs(one, stage)]
        has_data = bucket_exists(aws, data)
        named = [name(aws, stage) for name in (dags_bucket, builds_bucket)]
        copies = [bucket for bucket in named if bucket_exists(aws, bucket)]  # of what the repository and specs say
        if not (stacks or copies or (has_data and delete_data)):
            rest = f" Only its data are there: bucket {data}." if has_data else ""
            raise DeployError(
                f"There is no stage {stage} in {aws.region}.{rest}", remedy="Are STAGE, REGION and AWS_PROFILE right?"
            )
        for stack in stacks:
            if not delete_data and (trusted := stack.parameters.get("TrustedKeys")):
                say(f"To trust the same again: export PERENNIAL_TRUSTED_KEYS={trusted}")
            for bucket in _buckets(aws, stack.id):
                empty(aws, bucket, say)
            _retire(aws, _keys(aws, stack.id), say)  # first: once the stack is gone, nothing names them
            _delete(aws, stack, say)
        for bucket in copies:
            _remove(aws, bucket, say)
        if delete_data:
            _remove(aws, data, say, guarded=True)
        else:
            kept = bucket_exists(aws, data)
    if kept:
        say(f"Kept    {data}: all models, data and predictions. `make deploy STAGE={stage}` takes it up again;")
        say(f"        `make destroy STAGE={stage} DATA=delete CONFIRM={stage}` removes it for ever.")


def empty(aws: Aws, bucket: str, say: Progress) -> None:
    """Remove all versions of all objects of a bucket. Nothing happens where there is none.

    Raises:
        DeployError: an object is locked, or S3 refused.
    """
    if not bucket_exists(aws, bucket):
        return
    s3, count = aws.client("s3"), 0
    for batch in _versions(s3, bucket):
        told = s3.delete_objects(Bucket=bucket, Delete={"Objects": batch, "Quiet": True})
        for error in told.get("Errors", [])[:1]:
            raise DeployError(
                f"{bucket}/{error['Key']}: {error.get('Message', error.get('Code'))}",
                remedy="An object under a lock can be removed when its time is over; run the same command then.",
            )
        count += len(batch)
    for page in s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket):
        for upload in page.get("Uploads", []):
            s3.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
    if count:
        say(f"Emptied {bucket}: {count} objects")


def _stacks(aws: Aws, stage: str) -> list[Stack]:
    """Those to remove, in order. All are looked at before any is touched."""
    named = find_stack(aws, stack_name(stage))
    if named is not None:
        check_ours(named, stage)
    stacks = stacks_of(aws, stage)
    for stack in stacks:
        check_idle(stack)
    return stacks


def _signs(stack: Stack, stage: str) -> bool:
    return SIGNING in stack.name and stack.name != stack_name(stage)


def _buckets(aws: Aws, stack: str) -> Iterator[str]:
    """The buckets that go with a stack, those of the stacks that it nests too. A stack keeps what its template says."""
    cloudformation = aws.client("cloudformation")
    template = cloudformation.get_template(StackName=stack, TemplateStage="Processed")["TemplateBody"]
    policies = {name: one.get("DeletionPolicy") for name, one in _parsed(template)["Resources"].items()}
    pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack)
    for one in [one for page in pages for one in page["StackResourceSummaries"]]:
        if one.get("PhysicalResourceId") and policies.get(one["LogicalResourceId"]) not in KEEPING:
            if one["ResourceType"] == NESTED:
                yield from _buckets(aws, one["PhysicalResourceId"])
            elif one["ResourceType"] == BUCKET:
                yield one["PhysicalResourceId"]


def _keys(aws: Aws, stack: str) -> dict[str, str]:
    """Keys of KMS, and their aliases, that a stack keeps when it goes: physical id -> type."""
    found = aws.client("cloudformation").list_stack_resources(StackName=stack)["StackResourceSummaries"]
    kinds = {"AWS::KMS::Key", "AWS::KMS::Alias"}
    return {one["PhysicalResourceId"]: one["ResourceType"] for one in found if one["ResourceType"] in kinds}


def _retire(aws: Aws, keys: dict[str, str], say: Progress) -> None:
    """Have KMS remove keys, unless it does already. It takes thirty days for it, in which that can be called off."""
    kms = aws.client("kms")
    for name, kind in sorted(keys.items(), reverse=True):
        with suppress(kms.exceptions.NotFoundException):
            if kind == "AWS::KMS::Alias":
                kms.delete_alias(AliasName=name)
            elif kms.describe_key(KeyId=name)["KeyMetadata"]["KeyState"] != "PendingDeletion":
                kms.schedule_key_deletion(KeyId=name, PendingWindowInDays=KEY_DAYS)
                say(f"Key {name} goes after {KEY_DAYS} days: `aws kms cancel-key-deletion` calls that off.")


def _parsed(template: Any) -> dict[str, Any]:
    """boto3 parses a template that is JSON; YAML comes as text."""
    from perennial.deploy.template import parse_template

    parsed: dict[str, Any] = template if isinstance(template, dict) else parse_template(template)
    return parsed


def _delete(aws: Aws, stack: Stack, say: Progress) -> None:
    cloudformation = aws.client("cloudformation")
    say(f"Removing stack {stack.name} ...")
    cloudformation.delete_stack(StackName=stack.id)
    pause, deadline = 0.05, time.monotonic() + DELETE_SECONDS
    while time.monotonic() < deadline:
        status = cloudformation.describe_stacks(StackName=stack.id)["Stacks"][0]["StackStatus"]
        if status == "DELETE_COMPLETE":
            return
        if not status.endswith("_IN_PROGRESS"):
            from perennial.deploy.stack import first_failure

            raise DeployError(
                f"Stack {stack.name}: {status}: {first_failure(cloudformation, stack.id)}",
                remedy="Mend that, then run the same command again: it goes on where it ended.",
            )
        time.sleep(pause)
        pause = min(pause * 1.5, 5.0)
    raise DeployError(
        f"Stack {stack.name}: not removed after {DELETE_SECONDS / 60:.0f} minutes.",
        remedy="It goes on by itself; run the same command again later.",
    )


def _remove(aws: Aws, bucket: str, say: Progress, *, guarded: bool = False) -> None:
    """Remove a bucket with all that is in it. One that is ``guarded`` has a policy by which nobody deletes."""
    if not bucket_exists(aws, bucket):
        return
    s3 = aws.client("s3")
    if guarded:
        s3.delete_bucket_policy(Bucket=bucket)
    empty(aws, bucket, say)
    s3.delete_bucket(Bucket=bucket)
    say(f"Removed {bucket}")


def _versions(s3: Any, bucket: str) -> Iterator[list[dict[str, str]]]:
    """All versions and delete markers, by at most a thousand; whoever is given some removes them before the next."""
    while True:
        page = s3.list_object_versions(Bucket=bucket)
        found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        if not found:
            return
        yield [{"Key": one["Key"], "VersionId": one["VersionId"]} for one in found]
