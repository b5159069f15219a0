"""An embedded AWS that writes down every call of a role: who asked what of which resource, and the answer.

It also asks what AWS asks and the emulator leaves out, such as whether a reader of a missing object may list.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from perennial.deploy.ministack import MiniStack

CALLS = "PERENNIAL_TEST_CALLS"

# What AWS asks besides, and the emulator does not:
# - a missing object is 404 for who may list the bucket and 403 for others; that question names no prefix
#   (https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html);
# - whose a bucket is can be a condition of all that is asked of it, and the tags of a distribution of what is of that
#   (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html);
# - the role that CloudFormation is to take is a condition of the request, and is passed by whoever asks
#   (https://docs.aws.amazon.com/service-authorization/latest/reference/list_awscloudformation.html).
_RECORD = f"""
import json, os
from urllib.parse import parse_qs
from ministack.core import iam_evaluator as iam
written, judged = open(os.environ[{CALLS!r}], "a", buffering=1), iam.enforce
CHANGES = ("cloudformation:CreateStack", "cloudformation:UpdateStack")
def missing(action, resource):
    from ministack.services import s3
    if action not in ("s3:GetObject", "s3:GetObjectVersion"):
        return False
    bucket, _, key = resource.removeprefix("arn:aws:s3:::").partition("/")
    return key not in s3._buckets.get(bucket, {{}}).get("objects", {{}})
def questions(action, resource, context):
    passed = None
    if action.startswith("s3:"):
        from ministack.core.responses import get_account_id
        context = context | {{"aws:ResourceAccount": get_account_id()}}
    if action.startswith("cloudfront:"):
        from ministack.services import cloudfront
        tags = cloudfront._tags.get(resource) or []
        context = context | {{"aws:ResourceTag/" + tag["Key"]: tag["Value"] for tag in tags}}
    if action in CHANGES and iam._signed_request.get():
        passed = parse_qs(iam._signed_request.get().body.decode()).get("RoleARN", [None])[0]
    yield action, resource, context | ({{"cloudformation:RoleArn": passed}} if passed else {{}})
    if missing(action, resource):
        yield "s3:ListBucket", resource.partition("/")[0], {{}}
    if passed:
        yield "iam:PassRole", passed, {{"iam:PassedToService": "cloudformation.amazonaws.com"}}
def enforce(key, action, service, region, resource_arn="*", service_context=None):
    who = (iam.resolve_caller_identity(key) or {{}}).get("userArn", "")
    for name, resource, context in questions(action, resource_arn, dict(service_context or {{}})):
        found = judged(key, name, service, region, resource_arn=resource, service_context=context)
        if ":assumed-role/" in who:
            line = {{"role": who.split("/")[1], "action": name, "resource": resource, "allowed": found is None,
                     "context": {{key.lower(): value for key, value in context.items()}}}}
            print(json.dumps(line, default=str), file=written)
        if found is not None:
            return found
    return None
iam.enforce = enforce
"""


@dataclass(frozen=True)
class Call:
    """What a role asked: an action on the ARN of a resource, under what condition keys, and whether it was let."""

    role: str
    action: str
    resource: str
    context: Mapping[str, str]
    allowed: bool

    def __str__(self) -> str:
        prefix = self.context.get("s3:prefix")
        more = f" of {prefix!r}" if prefix is not None else ""
        return f"{self.role}: {self.action} {self.resource}{more}"


class RecordingStack(MiniStack):
    """``calls`` are those of roles; what its root asks is not written down."""

    program = _RECORD + MiniStack.program

    def variables(self, port: int, scratch: Path) -> Mapping[str, str]:
        return {**super().variables(port, scratch), CALLS: str(self._written)}

    @property
    def _written(self) -> Path:
        return self.folder.absolute() / "calls.jsonl"

    def calls(self) -> tuple[Call, ...]:
        """All that was asked so far, in order."""
        return tuple(Call(**json.loads(line)) for line in self._written.read_text().splitlines())
