"""What stacks beside a stage's own tell the programs of it: names of queues, job definitions, an application."""

from __future__ import annotations

from collections.abc import Mapping

from perennial.deploy.aws import Aws, aws_errors

TOLD: Mapping[str, Mapping[str, str]] = {
    "perennial-{stage}-batch": {
        "JobQueue": "job_queue",
        "TrainerJob": "trainer_job",
        "PromoterJob": "promoter_job",
        "LargeJobQueue": "large_job_queue",
        "LargeTrainerJob": "large_trainer_job",
    },
    "perennial-{stage}-spark": {"ApplicationId": "spark_application", "JobRoleArn": "spark_role"},
}
"""Name of a stack -> its output -> the setting."""


def beside(aws: Aws, stage: str) -> dict[str, str]:
    """Settings that are outputs of stacks beside the stage's own, as far as those are there.

    Raises:
        DeployError: CloudFormation refuses to say.
    """
    from botocore.exceptions import ClientError

    found: dict[str, str] = {}
    client = aws.client("cloudformation")
    for name, told in TOLD.items():
        with aws_errors():
            try:
                stack = client.describe_stacks(StackName=name.format(stage=stage))["Stacks"][0]
            except ClientError as error:
                if "does not exist" not in error.response["Error"]["Message"]:
                    raise
                continue
        outputs = {each["OutputKey"]: each["OutputValue"] for each in stack.get("Outputs", [])}
        found |= {setting: outputs[output] for output, setting in told.items() if output in outputs}
    return found
