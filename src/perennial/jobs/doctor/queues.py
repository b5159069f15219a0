"""What waits for someone to look: messages that nothing could be done with, and alarms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from botocore.exceptions import ClientError

from perennial.jobs.doctor.finding import Deployment, Finding, Patient, looking

DEAD = {
    "landing-dead": "See what is wrong with these files, then send them anew: `aws sqs start-message-move-task "
    "--source-arn {arn}`.",
    "capture-dead": "See the log of the capture, mend the cause, then invoke it anew with what is in the queue: "
    "docs/observability.md has the commands.",
    "scoring-dead": "See the log of the scoring, mend the cause, then `perennial redrive`.",
}


def queues(patient: Patient) -> Iterator[Finding]:
    """The queues for what could not be done."""
    deployment, sqs = patient.deployment, patient.client("sqs")
    assert deployment is not None
    for name, remedy in DEAD.items():
        with looking(f"queue {name}"):
            try:
                url = sqs.get_queue_url(QueueName=deployment.function(name))["QueueUrl"]
            except ClientError as error:
                if "NonExistentQueue" not in error.response["Error"]["Code"]:
                    raise
                gone = f"{patient.again} makes it."
                yield Finding(what=f"queue {name}", ok=False, found="is not there", remedy=gone)
                continue
            told = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages", "QueueArn"])
        count = int(told["Attributes"]["ApproximateNumberOfMessages"])
        found = f"{count} messages" if count else "empty"
        said = remedy.format(arn=told["Attributes"]["QueueArn"])
        yield Finding(what=f"queue {name}", ok=not count, found=found, remedy=said)


def alarms(patient: Patient) -> Iterator[Finding]:
    """Those of the stack that ring now."""
    deployment = patient.deployment
    assert deployment is not None
    with looking("alarms"):
        pages = (
            patient.client("cloudwatch")
            .get_paginator("describe_alarms")
            .paginate(AlarmNamePrefix=deployment.function(""))
        )
        found = [alarm for page in pages for alarm in page.get("MetricAlarms", []) if _of(deployment, alarm)]
    ringing = [alarm for alarm in found if alarm["StateValue"] == "ALARM"]
    for alarm in ringing:
        said = " ".join(alarm.get("StateReason", "").split())[:200]
        remedy = alarm.get("AlarmDescription") or "See its metric in CloudWatch."
        yield Finding(what=f"alarm {alarm['AlarmName']}", ok=False, found=said or "rings", remedy=remedy)
    if not ringing:
        yield Finding(what="alarms", ok=True, found=f"none of {len(found)} rings")


def _of(deployment: Deployment, alarm: Mapping[str, Any]) -> bool:
    """Whether it is not of another stage, such as prod-eu beside prod: ours tell the topic of their stage."""
    told = [str(action).rsplit(":", 1)[-1] for action in alarm.get("AlarmActions", [])]
    return not told or deployment.function("notices") in told
