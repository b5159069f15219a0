"""What this identity may do of what the commands do, as IAM judges it without doing it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from perennial.jobs.doctor.finding import Finding, Patient, looking


def permissions(patient: Patient) -> Iterator[Finding]:
    """Who this is, and which actions are denied. Who may not ask IAM has been tried on the bucket alone."""
    with looking("identity"):
        arn: str = patient.client("sts").get_caller_identity()["Arn"]
    yield Finding(what="identity", ok=True, found=arn)
    if arn.endswith(":root"):
        yield Finding(what="permissions", ok=True, found="all: this is the account itself; better use a role")
        return
    denied: list[str] = []
    with looking("permissions"):
        for resource, actions in _needed(patient.settings):
            asked = {"PolicySourceArn": _source(arn), "ActionNames": actions, "ResourceArns": [resource]}
            for result in patient.client("iam").simulate_principal_policy(**asked)["EvaluationResults"]:
                if result["EvalDecision"] != "allowed":
                    denied.append(f"{result['EvalActionName']} on {resource}")
    yield Finding(
        what="permissions", ok=not denied, found=f"denied: {'; '.join(denied)}" if denied else "sufficient",
        remedy="Allow that in a policy of this identity, or work under the roles of infra/stacks/jobs.yaml.",
    )  # fmt: skip


def _needed(settings: Any) -> Iterator[tuple[str, list[str]]]:
    bucket = f"arn:aws:s3:::{settings.bucket}"
    yield bucket, ["s3:ListBucket"]
    yield f"{bucket}/model/registry/log/00000001.json", ["s3:GetObject", "s3:PutObject"]
    if settings.topic_arn:
        yield settings.topic_arn, ["sns:Publish"]
    for url in (settings.landing_queue, settings.scoring_queue, settings.scoring_dead_queue):
        if url:
            account, name = url.rstrip("/").split("/")[-2:]
            yield f"arn:aws:sqs:{settings.region}:{account}:{name}", ["sqs:ReceiveMessage", "sqs:DeleteMessage"]
    if settings.signing_key and settings.signing_key.startswith("kms:arn:"):
        yield settings.signing_key.removeprefix("kms:"), ["kms:Sign", "kms:GetPublicKey"]


def _source(arn: str) -> str:
    """IAM knows the role, not its session."""
    if ":assumed-role/" in arn:
        head, role = arn.split(":assumed-role/", 1)
        return f"{head.replace(':sts:', ':iam:')}:role/{role.split('/')[0]}"
    return arn
