"""What a registry holds stays, even where nothing else forbids to delete it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError

from perennial import keys
from perennial.deploy.retention import lock_registries
from perennial.deploy.up import LocalStack
from perennial.errors import DeployError
from tests.support.endpoint import client

UNTIL = datetime(2099, 1, 1, tzinfo=UTC)
BLOB, ALIAS = keys.registry_blob("kept", "0"), keys.alias("kept", "champion")
OTHERS = (ALIAS, keys.landing("kept", "a.csv"), keys.FEEDBACK_KEY)
MINE = (BLOB, keys.version_manifest("kept", "v1"), keys.log_entry("kept", 1), keys.intent("kept", "op"))


@pytest.fixture
def bucket(stack: LocalStack) -> Iterator[str]:
    """One with Object Lock and without a policy."""
    s3, name = client(stack, "s3"), f"locked-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    for key in (*MINE, *OTHERS):
        s3.put_object(Bucket=name, Key=key, Body=b"{}")
    yield name


def kept(stack: LocalStack, bucket: str, key: str) -> tuple[str, datetime]:
    found = client(stack, "s3").get_object_retention(Bucket=bucket, Key=key)["Retention"]
    return found["Mode"], found["RetainUntilDate"]


def test_all_of_a_registry_but_its_alias_is_kept_and_nothing_else(stack: LocalStack, bucket: str) -> None:
    assert lock_registries(stack.aws(), bucket, UNTIL) == len(MINE)
    s3 = client(stack, "s3")
    for key in MINE:
        version = s3.head_object(Bucket=bucket, Key=key)["VersionId"]
        assert kept(stack, bucket, key) == ("GOVERNANCE", UNTIL)
        with pytest.raises(ClientError, match="AccessDenied"):
            s3.delete_object(Bucket=bucket, Key=key, VersionId=version)
    for key in OTHERS:
        s3.delete_object(Bucket=bucket, Key=key, VersionId=s3.head_object(Bucket=bucket, Key=key)["VersionId"])


def test_retention_is_lengthened_and_never_shortened(stack: LocalStack, bucket: str) -> None:
    later, compliance = UNTIL + timedelta(days=9), "COMPLIANCE"
    lock_registries(stack.aws(), bucket, UNTIL)
    lock_registries(stack.aws(), bucket, UNTIL - timedelta(days=9))
    assert kept(stack, bucket, BLOB) == ("GOVERNANCE", UNTIL)
    lock_registries(stack.aws(), bucket, UNTIL - timedelta(days=9), mode="COMPLIANCE")
    assert kept(stack, bucket, BLOB) == (compliance, UNTIL)
    lock_registries(stack.aws(), bucket, later)
    assert kept(stack, bucket, BLOB) == (compliance, later)


def test_the_stack_s_bucket_can_be_locked_and_another_says_what_to_do(stack: LocalStack) -> None:
    lock = client(stack, "s3").get_object_lock_configuration(Bucket=stack.bucket)["ObjectLockConfiguration"]
    assert lock == {"ObjectLockEnabled": "Enabled"}
    with pytest.raises(DeployError, match=r"has no Object Lock\. `aws s3api put-object-lock-configuration"):
        lock_registries(stack.aws(), stack.site_bucket, UNTIL)
