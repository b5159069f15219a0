"""Deploy ``template.yaml`` by the CloudFormation API: to the embedded AWS, or to any other endpoint, alike."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from perennial.deploy import template as templates
from perennial.deploy.adoption import EXISTING, settle, takes_up
from perennial.deploy.authority import Authority
from perennial.deploy.aws import Aws, aws_errors
from perennial.deploy.ours import check_idle, check_ours, find_stack
from perennial.deploy.package import Package
from perennial.deploy.preparation import DATA_BUCKET, complete, parameters_for, prepared, site_origin
from perennial.deploy.uploads import upload, upload_templates
from perennial.errors import DeployError

if TYPE_CHECKING:
    from collections.abc import Mapping

NOBODY_ELSE = Authority()
DEPLOY_SECONDS = 3_600.0  # CloudFront takes a quarter of an hour, a canary five minutes, and going back as long again

_OUTPUTS = frozenset(
    {"ApiId", "ApiUrl", "ApiFunctionName", "BucketName", "CaptureFunctionName", "LandingQueueUrl",
     "ScoreFunctionName", "ScoringDeadQueueUrl", "ScoringQueueUrl", "SiteBucketName", "SiteUrl", "TopicArn"}
)  # fmt: skip


@dataclass(frozen=True)
class Deployed:
    """A deployed stack: what other programs need to know of it.

    ``function``, ``capture`` and ``score`` name the functions of the API, of the capture and of the scoring,
    ``topic_arn`` the topic of notices. ``landing_queue`` is the URL of the queue that tells of new files,
    ``scoring_queue`` of the one that has files scored, ``scoring_dead_queue`` of the one for what could not be.
    """

    bucket: str
    site_bucket: str
    function: str
    capture: str
    score: str
    api_url: str
    site_url: str
    topic_arn: str
    landing_queue: str
    scoring_queue: str
    scoring_dead_queue: str


def deploy(
    aws: Aws,
    packages: Mapping[str, Package],
    template: Path,
    *,
    stage: str = "local",
    parameters: Mapping[str, str] | None = None,
    authority: Authority = NOBODY_ELSE,
) -> Deployed:
    """Create the stack ``perennial-<stage>``, or bring it up to date. ``packages`` are those of its functions.

    CloudFormation acts by ``authority``: by default, by the rights of whoever calls.

    Raises:
        DeployError: CloudFormation refused or failed; names the resource and its reason.
    """
    with aws_errors():
        return _deploy(aws, packages, template, stage, parameters or {}, authority)


def deployed(aws: Aws, stage: str) -> Deployed:
    """The stack ``perennial-<stage>`` as it was deployed, by whatever tool.

    Raises:
        DeployError: there is none, or it is not whole.
    """
    with aws_errors():
        return _deployed(aws.endpoint_url, _wait(aws.client("cloudformation"), f"perennial-{stage}"))


def _deploy(
    aws: Aws,
    packages: Mapping[str, Package],
    template: Path,
    stage: str,
    parameters: Mapping[str, str],
    authority: Authority,
) -> Deployed:
    parsed = templates.read_templates(template)
    existing = takes_up(aws, stage)
    bucket, code = upload(aws, packages, stage)
    own = {"Stage": stage, EXISTING: "yes" if existing else "no"}
    values = own | (parameters_for(aws.endpoint_url) if aws.endpoint_url else {}) | dict(parameters)
    coded = {name: authority.bounded(templates.with_code(one, bucket, code)) for name, one in parsed.nested.items()}
    ready = templates.Templates(parsed.root, coded)
    if aws.endpoint_url:
        ready = prepared(ready, values, aws.region)
    body = json.dumps(templates.with_addresses(ready.root, upload_templates(aws, bucket, ready.nested)))
    outputs = _apply(aws, f"perennial-{stage}", body, values, authority)
    if existing:
        origin = values.get("AllowedOrigin") or outputs["SiteUrl"].removesuffix("/index.html")
        settle(aws, outputs, parsed.properties(DATA_BUCKET, values), origin)
    if aws.endpoint_url:
        complete(aws, parsed, values, outputs)
    return _deployed(aws.endpoint_url, outputs)


def apply_stack(aws: Aws, name: str, body: str, values: Mapping[str, str]) -> dict[str, str]:
    """Create or update a stack of one template, beside that of the stage ``values["Stage"]``; returns its outputs.

    Raises:
        DeployError: the name is another's, something is done to the stack now, or CloudFormation refused or failed.
    """
    with aws_errors():
        there = find_stack(aws, name)
        if there is not None:
            check_ours(there, values["Stage"])
            check_idle(there)
        return _apply(aws, name, body, values)


def _apply(
    aws: Aws, name: str, body: str, values: Mapping[str, str], authority: Authority = NOBODY_ELSE
) -> dict[str, str]:
    """Create or update the stack, wait, and return its outputs."""
    from botocore.exceptions import ClientError

    cloudformation = aws.client("cloudformation")
    request = {
        "StackName": name,
        "TemplateBody": body,
        "Parameters": [{"ParameterKey": key, "ParameterValue": value} for key, value in values.items()],
        "Capabilities": ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        **authority.request(),
    }
    try:
        try:
            cloudformation.create_stack(**request)
        except cloudformation.exceptions.AlreadyExistsException:
            cloudformation.update_stack(**request)
    except ClientError as error:
        reason = error.response["Error"]["Message"]
        if "No updates are to be performed" not in reason:
            raise DeployError(f"Stack {name}: refused: {reason}") from error
    return _wait(cloudformation, name)


def _wait(cloudformation: Any, name: str) -> dict[str, str]:
    pause, deadline = 0.05, time.monotonic() + DEPLOY_SECONDS
    while time.monotonic() < deadline:
        stack = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
        status = stack["StackStatus"]
        if status in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}:
            return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}
        if not status.endswith("_IN_PROGRESS"):
            raise DeployError(f"Stack {name}: {status}: {first_failure(cloudformation, name)}")
        time.sleep(pause)
        pause = min(pause * 1.5, 5.0)
    raise DeployError(
        f"Stack {name}: not finished after {DEPLOY_SECONDS / 60:.0f} minutes.",
        remedy="It goes on by itself; run the same command again later.",
    )


def first_failure(cloudformation: Any, name: str) -> str:
    """Which resource failed first, and why: of the nested stack, where it is one."""
    events = cloudformation.describe_stack_events(StackName=name)["StackEvents"]
    failed = [event for event in events if event["ResourceStatus"].endswith("_FAILED")]
    if not failed:
        return "no reason given"
    first = failed[-1]
    inner = first.get("PhysicalResourceId")
    if first.get("ResourceType") == templates.STACK and inner and inner != first["StackId"]:
        return f"{first['LogicalResourceId']}: {first_failure(cloudformation, inner)}"
    return f"{first['LogicalResourceId']}: {first.get('ResourceStatusReason', 'no reason given')}"


def _deployed(endpoint_url: str | None, outputs: Mapping[str, str]) -> Deployed:
    missing = sorted(_OUTPUTS - outputs.keys())
    if missing:
        raise DeployError(
            f"The stack has no output {', '.join(missing)}.", remedy="It is an older one: deploy it again."
        )
    api_url, site_url = outputs["ApiUrl"], outputs["SiteUrl"]
    queues = [outputs[name] for name in ("LandingQueueUrl", "ScoringQueueUrl", "ScoringDeadQueueUrl")]
    if endpoint_url:  # an emulator reports the addresses of AWS, where nothing of ours answers
        api_url = f"{endpoint_url.rstrip('/')}/_aws/execute-api/{outputs['ApiId']}/$default"
        site_url = f"{site_origin(endpoint_url)}/{outputs['SiteBucketName']}{urlsplit(site_url).path}"
        queues = [f"{endpoint_url.rstrip('/')}{urlsplit(queue).path}" for queue in queues]
    landing_queue, scoring_queue, scoring_dead_queue = queues
    return Deployed(
        bucket=outputs["BucketName"],
        site_bucket=outputs["SiteBucketName"],
        function=outputs["ApiFunctionName"],
        capture=outputs["CaptureFunctionName"],
        score=outputs["ScoreFunctionName"],
        api_url=api_url,
        site_url=site_url,
        topic_arn=outputs["TopicArn"],
        landing_queue=landing_queue,
        scoring_queue=scoring_queue,
        scoring_dead_queue=scoring_dead_queue,
    )
