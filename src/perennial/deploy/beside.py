"""What stacks beside a stage's own tell the programs of it: names of queues, job definitions, an application."""

from __future__ import annotations

from collections.abc import Mapping

from perennial.deploy.aws import Aws, aws_errors
from perennial.deploy.ours import find_stack

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
    found: dict[str, str] = {}
    for name, told in TOLD.items():
        with aws_errors():
            stack = find_stack(aws, name.format(stage=stage))
        if stack is not None:
            found |= {setting: stack.outputs[output] for output, setting in told.items() if output in stack.outputs}
    return found
