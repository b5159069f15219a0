"""`make deploy-schedules`: ``infra/scheduler.yaml`` with a schedule for each that the specs name.

Each submits one job on AWS Batch, whose command reads the spec from S3, where it is put by its digest. Runs are named
by the schedule's execution, so that a job which is submitted twice takes up its own run.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from perennial.deploy.eventbridge import expressions
from perennial.jobs.specs import SpecFile
from perennial.spec import ModelSpec

EXECUTION = "<aws.scheduler.execution-id>"  # EventBridge puts its own in place of this


def scheduler_template(
    template: Mapping[str, Any], stage: str, specs: Mapping[str, SpecFile], addresses: Mapping[str, str]
) -> dict[str, Any]:
    """The template with its schedules. ``specs`` and ``addresses`` (``s3://``) are by the name of the model."""
    resources = dict(template["Resources"])
    for name, file in sorted(specs.items()):
        assert file.spec is not None
        resources.update(_schedules(file.spec, stage, addresses[name]))
    return {**template, "Resources": resources}


def planned(spec: ModelSpec) -> Iterator[tuple[str, str]]:
    """Command and schedule of all that a spec has done at times; what it has not, is not planned."""
    if spec.retrain.schedule:
        yield "cycle", spec.retrain.schedule
    if spec.monitor.schedule:
        yield "monitor", spec.monitor.schedule
    if spec.batch.schedule and spec.batch.source:
        yield "score-new", spec.batch.schedule


def _schedules(spec: ModelSpec, stage: str, address: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for command, schedule in planned(spec):
        for number, expression in enumerate(expressions(schedule), start=1):
            name = f"{spec.name}-{command}" + (f"-{number}" if number > 1 else "")
            yield "Schedule" + _logical(name), _schedule(name, expression, _job(spec, stage, command, address))


def _logical(name: str) -> str:
    """Letters and digits alone, and of no two names the same: a dash becomes Dash, as none of ours is called."""
    return "".join(part.capitalize() for part in re.sub(r"[^A-Za-z0-9]", " dash ", name).split())


def _schedule(name: str, expression: str, job: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "Type": "AWS::Scheduler::Schedule",
        "Properties": {
            "Name": name,
            "GroupName": {"Ref": "Group"},
            "ScheduleExpression": expression,
            "ScheduleExpressionTimezone": "UTC",
            "FlexibleTimeWindow": {"Mode": "OFF"},
            "Target": {
                "Arn": {"Fn::Sub": "arn:${AWS::Partition}:scheduler:::aws-sdk:batch:submitJob"},
                "RoleArn": {"Fn::GetAtt": ["SubmitRole", "Arn"]},
                "Input": json.dumps(job),
                "RetryPolicy": {"MaximumRetryAttempts": 10, "MaximumEventAgeInSeconds": 3600},
                "DeadLetterConfig": {"Arn": {"Fn::GetAtt": ["DeadQueue", "Arn"]}},
            },
        },
    }


def _job(spec: ModelSpec, stage: str, command: str, address: str) -> dict[str, Any]:
    """Parameters of SubmitJob, as EventBridge has them written."""
    size = spec.job.size("train")
    run = ["--run", f"{command}-{EXECUTION}"]
    return {
        "JobName": f"{spec.name}-{command}",
        "JobQueue": f"perennial-{stage}-jobs",
        "JobDefinition": f"perennial-{stage}-cycle",
        "ContainerOverrides": {
            "Command": ["python", "-m", "perennial.cli", command, address, *run],
            "ResourceRequirements": [
                {"Type": "VCPU", "Value": f"{size.vcpu:g}"},
                {"Type": "MEMORY", "Value": str(size.memory)},
            ],
        },
        "Timeout": {"AttemptDurationSeconds": int(size.timeout.total_seconds())},
    }
