"""Whose a stack or a bucket is, and whether it may be touched now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from perennial.deploy.aws import Aws, account
from perennial.errors import DeployError

LOCAL = "local"
"""The stage of `make up`."""
OURS = "Perennial"
"""How the description of each of our templates begins, whatever tool deployed it."""
NEVER_UP = frozenset({"CREATE_FAILED", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED"})
GONE = frozenset({"404", "NoSuchBucket", "NotFound"})


@dataclass(frozen=True)
class Stack:
    """A stack of CloudFormation as it stands."""

    name: str
    id: str
    status: str
    description: str
    parameters: Mapping[str, str]
    outputs: Mapping[str, str]
    role: str | None
    nested: bool

    @property
    def stage(self) -> str | None:
        """The stage that it was deployed for, as one of its parameters says."""
        return self.parameters.get("Stage")

    @property
    def ours(self) -> bool:
        """Whether it was made of one of our templates."""
        return self.description.startswith(OURS)

    @property
    def pipeline(self) -> bool:
        """Whether it is of ``infra/ci.yaml``: its roles and its boundary are those by which the others are changed."""
        return "Repository" in self.parameters and "ProviderArn" in self.parameters

    def needs(self, other: Stack) -> bool:
        """Whether it was given what another stack made, such as the ARN of a role, and so has to go before that."""
        made = {value for value in other.outputs.values() if value}
        return self is not other and not made.isdisjoint({*self.parameters.values(), self.role})

    @property
    def busy(self) -> bool:
        """Whether something is being done to it. One that waits for a change set to be executed is none of these."""
        return self.status.endswith("_IN_PROGRESS") and not self.status.startswith("REVIEW_")


def stack_name(stage: str) -> str:
    """Name of the stack of a stage."""
    return f"perennial-{stage}"


def data_bucket(aws: Aws, stage: str) -> str:
    """Name of the bucket of a stage's models and data."""
    return f"perennial-{stage}-data-{account(aws)}-{aws.region}"


def builds_bucket(aws: Aws, stage: str) -> str:
    """Name of the bucket that CloudFormation takes a stage's code and templates from."""
    return f"perennial-{stage}-builds-{account(aws)}-{aws.region}"


def dags_bucket(aws: Aws, stage: str) -> str:
    """Name of the bucket that Airflow takes a stage's DAGs and specs from."""
    return f"perennial-{stage}-dags-{account(aws)}-{aws.region}"


def find_stack(aws: Aws, name: str) -> Stack | None:
    """The stack of this name, if there is one that was not removed."""
    from botocore.exceptions import ClientError

    try:
        found = aws.client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]
    except ClientError as error:
        if "does not exist" in error.response["Error"]["Message"]:
            return None
        raise
    return None if found["StackStatus"] == "DELETE_COMPLETE" else _stack(found)


def stacks_of(aws: Aws, stage: str) -> list[Stack]:
    """All our stacks of a stage but the nested ones, each before those that it needs.

    Else its companions come first, such as Batch's, then the stage's own; the roles of its pipeline come last.
    """
    pages = aws.client("cloudformation").get_paginator("describe_stacks").paginate()
    found = [_stack(one) for page in pages for one in page["Stacks"] if one["StackStatus"] != "DELETE_COMPLETE"]
    mine = [one for one in found if one.ours and one.stage == stage and not one.nested]
    left = sorted(mine, key=lambda one: (one.pipeline, one.name == stack_name(stage), one.name))
    order: list[Stack] = []
    while left:
        free = [one for one in left if not any(other.needs(one) for other in left)]
        order.append((free or left)[0])
        left.remove(order[-1])
    return order


def check_ours(stack: Stack, stage: str) -> None:
    """See that a stack was made of one of our templates, for this stage.

    Raises:
        DeployError: it was not, so its name collides with a stage's: as that of the stage ``prod-batch`` does with the
            stack of AWS Batch of the stage ``prod``.
    """
    if not stack.ours:
        said = f" ({stack.description[:80]})" if stack.description else ""
        raise DeployError(
            f"Stack {stack.name}{said} is not of Perennial; nothing was touched.", remedy="Choose another STAGE."
        )
    if stack.stage != stage:
        raise DeployError(
            f"Stack {stack.name} is of stage {stack.stage}, not of {stage}; nothing was touched.",
            remedy=f"Choose another STAGE than {stage}: names of stacks are a stage's with more after it.",
        )


def check_idle(stack: Stack) -> None:
    """See that nothing is being done to a stack.

    Raises:
        DeployError: something is.
    """
    if stack.busy:
        raise DeployError(
            f"Stack {stack.name} is {stack.status}: someone deploys or removes it now; nothing was touched.",
            remedy="Wait until that is over, then run the same command again.",
        )


def check_not_failed(stack: Stack) -> None:
    """See that a stack can be brought up to date.

    Raises:
        DeployError: it never came up, or its removal failed: then it can only be removed.
    """
    if stack.status in NEVER_UP:
        raise DeployError(
            f"Stack {stack.name} is {stack.status}, and can only be removed.",
            remedy=f"`make destroy STAGE={stack.stage or '...'}` does that, and keeps the data; then deploy again.",
        )


def check_not_local(stage: str) -> None:
    """Keep the stage of the local stack for it.

    Raises:
        DeployError: the stage is ``local``.
    """
    if stage == LOCAL:
        raise DeployError(
            "The stage 'local' is that of `make up`, which `make down` ends.", remedy="Choose another STAGE."
        )


def bucket_exists(aws: Aws, bucket: str) -> bool:
    """Whether this account has a bucket of this name.

    Raises:
        DeployError: another account has it, or access to it is refused.
    """
    from botocore.exceptions import ClientError

    owner = account(aws)
    try:
        aws.client("s3").head_bucket(Bucket=bucket, ExpectedBucketOwner=owner)
    except ClientError as error:
        code = str(error.response["Error"].get("Code"))
        if code in GONE:
            return False
        if code in ("403", "AccessDenied", "301"):
            raise DeployError(
                f"Bucket {bucket} exists and is not account {owner}'s in {aws.region}, or access to it is denied.",
                remedy="Check AWS_PROFILE and REGION; if another account has that name, choose another STAGE.",
            ) from error
        raise
    return True


def _stack(found: dict[str, Any]) -> Stack:
    parameters = {one["ParameterKey"]: one.get("ParameterValue", "") for one in found.get("Parameters", [])}
    return Stack(
        name=found["StackName"],
        id=found["StackId"],
        status=found["StackStatus"],
        description=found.get("Description", ""),
        parameters=parameters,
        outputs={one["OutputKey"]: one["OutputValue"] for one in found.get("Outputs", [])},
        role=found.get("RoleARN"),
        nested=bool(found.get("ParentId")),
    )
