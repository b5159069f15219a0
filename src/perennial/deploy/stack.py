"""Deploy ``template.yaml`` by the CloudFormation API: to the embedded AWS, or to any other endpoint, alike."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from perennial.deploy import template as templates
from perennial.deploy.aws import Aws, account, aws_errors
from perennial.deploy.lock import only_one
from perennial.deploy.package import CAPTURE_PARTS, Package, zip_package
from perennial.errors import DeployError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

DEPLOY_SECONDS = 900.0
HTTP_API, DATA_BUCKET = "HttpApi", "DataBucket"  # logical ids in the template


@dataclass(frozen=True)
class Code:
    """What a function runs: the ``parts`` of a package, all by default, under a name of its own."""

    name: str
    package: str
    parts: Collection[str] | None = None
    deflated: bool = False


FUNCTIONS = {
    "ApiFunction": Code("api", "api"),
    "CaptureFunction": Code("capture", "api", CAPTURE_PARTS),
    "ScoreFunction": Code("score", "score", deflated=True),  # nobody waits for its start as one does for an answer
}

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
) -> Deployed:
    """Create the stack ``perennial-<stage>``, or bring it up to date. ``packages`` are those of its functions.

    Raises:
        DeployError: CloudFormation refused or failed; names the resource and its reason.
    """
    with aws_errors():
        return _deploy(aws, packages, template, stage, parameters)


def deployed(aws: Aws, stage: str) -> Deployed:
    """The stack ``perennial-<stage>`` as it was deployed, by whatever tool.

    Raises:
        DeployError: there is none, or it is not whole.
    """
    with aws_errors():
        return _deployed(aws.endpoint_url, _wait(aws.client("cloudformation"), f"perennial-{stage}"))


def _deploy(
    aws: Aws, packages: Mapping[str, Package], template: Path, stage: str, parameters: Mapping[str, str] | None
) -> Deployed:
    parsed = templates.read_template(template)
    bucket, code = _upload(aws, packages, stage)
    body = templates.with_code(parsed, bucket, code)
    values = {"Stage": stage} | ({"ScoringConcurrency": "2"} if aws.endpoint_url else {}) | dict(parameters or {})
    if aws.endpoint_url:
        values |= {"AllowedOrigin": site_origin(aws.endpoint_url)}
        values |= {"Transport": "any"} if aws.endpoint_url.startswith("http://") else {}
    outputs = _apply(aws, f"perennial-{stage}", body, values)
    if aws.endpoint_url:
        _complete(aws, parsed, outputs, int(values["ScoringConcurrency"]))
    return _deployed(aws.endpoint_url, outputs)


def site_origin(endpoint_url: str) -> str:
    """Origin of the form on an emulator: another one than the API's, so that CORS is at work there as in the cloud."""
    return endpoint_url.replace("//127.0.0.1", "//localhost", 1).rstrip("/")


def _upload(aws: Aws, packages: Mapping[str, Package], stage: str) -> tuple[str, dict[str, str]]:
    """Put what each function runs into the bucket for build results, unless it is there.

    Returns the bucket, and function -> key.
    """
    from botocore.exceptions import ClientError

    s3 = aws.client("s3")
    bucket = f"perennial-{stage}-builds-{account(aws)}-{aws.region}"
    found = {}
    for function, code in FUNCTIONS.items():
        package = packages[code.package]
        found[function] = key = f"{code.name}/{package.digest}.zip"
        try:
            s3.head_object(Bucket=bucket, Key=key)
        except ClientError:
            _create(s3, bucket, aws.region)
            place = package.folder.with_name(f"{package.folder.name}.zips")
            with only_one(place.with_name(place.name + ".lock")):  # others may zip, or clear away, at the same time
                s3.upload_file(str(_zipped(package, place, code)), bucket, key)
    return bucket, found


def _create(s3: Any, bucket: str, region: str) -> None:
    place = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    with suppress(s3.exceptions.BucketAlreadyOwnedByYou, s3.exceptions.BucketAlreadyExists):
        s3.create_bucket(Bucket=bucket, **place)


def _zipped(package: Package, folder: Path, code: Code) -> Path:
    """The zip of this package under its name, made unless it is there; those of other packages go."""
    archive = folder / f"{code.name}.{package.digest[:16]}.zip"
    if not archive.is_file():
        folder.mkdir(exist_ok=True)
        for old in folder.glob(f"{code.name}.*"):
            old.unlink()
        zip_package(package, archive, code.parts, deflated=code.deflated)
    return archive


def _apply(aws: Aws, name: str, body: str, values: Mapping[str, str]) -> dict[str, str]:
    """Create or update the stack, wait, and return its outputs."""
    from botocore.exceptions import ClientError

    cloudformation = aws.client("cloudformation")
    request = {
        "StackName": name,
        "TemplateBody": body,
        "Parameters": [{"ParameterKey": key, "ParameterValue": value} for key, value in values.items()],
        "Capabilities": ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
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
            raise DeployError(f"Stack {name}: {status}: {_first_failure(cloudformation, name)}")
        time.sleep(pause)
        pause = min(pause * 1.5, 5.0)
    raise DeployError(f"Stack {name}: not finished after {DEPLOY_SECONDS:.0f} s.")


def _first_failure(cloudformation: Any, name: str) -> str:
    events = cloudformation.describe_stack_events(StackName=name)["StackEvents"]
    failed = [event for event in events if event["ResourceStatus"].endswith("_FAILED")]
    if not failed:
        return "no reason given"
    return f"{failed[-1]['LogicalResourceId']}: {failed[-1].get('ResourceStatusReason', 'no reason given')}"


def _complete(aws: Aws, template: dict[str, Any], outputs: Mapping[str, str], concurrency: int) -> None:
    """Set through the services' own APIs what emulators drop or store wrongly of the template: numbers as text, too."""
    assert aws.endpoint_url is not None
    cors = templates.cors_of(template, HTTP_API, site_origin(aws.endpoint_url))
    aws.client("apigatewayv2").update_api(ApiId=outputs["ApiId"], CorsConfiguration=cors)
    rules = templates.lifecycle_of(template, DATA_BUCKET)
    aws.client("s3").put_bucket_lifecycle_configuration(
        Bucket=outputs["BucketName"], LifecycleConfiguration={"Rules": rules}
    )
    functions = aws.client("lambda")
    for one in functions.list_event_source_mappings(FunctionName=outputs["ScoreFunctionName"])["EventSourceMappings"]:
        functions.update_event_source_mapping(UUID=one["UUID"], ScalingConfig={"MaximumConcurrency": concurrency})


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
