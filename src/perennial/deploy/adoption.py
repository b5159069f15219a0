"""A data bucket that outlived its stack: whether a deployment takes it up, and how it comes by the settings of today.

CloudFormation makes no resource that exists, and takes up none into a nested stack. So the stack goes without the
bucket, which all else names and nothing refers to, and its settings are set by S3's own calls.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from perennial.deploy.aws import Aws
from perennial.deploy.ours import (
    bucket_exists,
    check_idle,
    check_not_failed,
    check_ours,
    data_bucket,
    find_stack,
    stack_name,
)
from perennial.deploy.template import lifecycle_rules

EXISTING = "ExistingData"
"""The parameter that says so to the template."""


def takes_up(aws: Aws, stage: str) -> bool:
    """Whether the stage's data bucket exists without being a stack's; what a stack was made as, it stays.

    Raises:
        DeployError: the stack is not ours or another stage's, or busy, or never came up; or the bucket is another's.
    """
    stack = find_stack(aws, stack_name(stage))
    if stack is None:  # asked only then: a pipeline's role may not look into a bucket of data
        return bucket_exists(aws, data_bucket(aws, stage))
    check_ours(stack, stage)
    check_idle(stack)
    check_not_failed(stack)
    return stack.parameters.get(EXISTING) == "yes"


def settle(aws: Aws, outputs: Mapping[str, str], properties: Mapping[str, Any], origin: str) -> None:
    """Give a bucket the ``properties`` that its template declares.

    ``outputs`` are those of the stack around it, ``origin`` is the one whose pages may upload to it.
    """
    s3, bucket = aws.client("s3"), outputs["BucketName"]
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration=properties["VersioningConfiguration"])
    s3.put_public_access_block(
        Bucket=bucket, PublicAccessBlockConfiguration=properties["PublicAccessBlockConfiguration"]
    )
    s3.put_bucket_ownership_controls(Bucket=bucket, OwnershipControls=properties["OwnershipControls"])
    declared = properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    name = "ApplyServerSideEncryptionByDefault"
    rules = [{"BucketKeyEnabled": False} | _renamed(rule, ServerSideEncryptionByDefault=name) for rule in declared]
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": rules})
    lifecycle = {"Rules": lifecycle_rules(properties)}
    s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration=lifecycle)
    allowed = {"AllowedOrigins": [origin]}
    cors = [_renamed(rule, MaxAge="MaxAgeSeconds") | allowed for rule in properties["CorsConfiguration"]["CorsRules"]]
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": cors})
    s3.put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration=_notifications(aws, outputs, properties["NotificationConfiguration"])
    )


def _notifications(aws: Aws, outputs: Mapping[str, str], declared: Mapping[str, Any]) -> dict[str, Any]:
    queue = aws.client("sqs").get_queue_attributes(QueueUrl=outputs["LandingQueueUrl"], AttributeNames=["QueueArn"])
    arn = queue["Attributes"]["QueueArn"]
    told = [
        {"QueueArn": arn, "Events": [one["Event"]], "Filter": {"Key": {"FilterRules": one["Filter"]["S3Key"]["Rules"]}}}
        for one in declared["QueueConfigurations"]
    ]
    bus: dict[str, Any] = {"EventBridgeConfiguration": {}} if "EventBridgeConfiguration" in declared else {}
    return {"QueueConfigurations": told} | bus


def _renamed(values: Mapping[str, Any], **names: str) -> dict[str, Any]:
    return {names.get(name, name): value for name, value in values.items()}
