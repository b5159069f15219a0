"""What Airflow's own operators ask of AWS Batch and of its logs, noted on the way to a server of moto."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tests.support.iam_recorder import Call
from tests.support.iam_statements import Right, all_rights
from tests.support.iam_template import ACCOUNT, REGION

HOLDER = "infra/batch.yaml SubmitJobs"
ACTIONS = {"submitjob": "SubmitJob", "describejobs": "DescribeJobs", "listjobs": "ListJobs",
           "terminatejob": "TerminateJob"}  # fmt: skip


@dataclass
class Noting:
    """A server's application; ``calls`` takes what a process of Airflow asks of it."""

    app: Callable[..., Any]
    calls: list[Call]

    def __call__(self, environ: dict[str, Any], start: Any) -> Any:
        if "Airflow" in environ.get("HTTP_USER_AGENT", ""):
            body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            environ["wsgi.input"] = io.BytesIO(body)
            asked = asked_of(environ["PATH_INFO"], environ.get("HTTP_X_AMZ_TARGET", ""), body)
            self.calls.extend(Call(HOLDER, action, resource, {}, True) for action, resource in asked)
        return self.app(environ, start)


def asked_of(path: str, target: str, body: bytes) -> Iterator[tuple[str, str]]:
    """(action, resource) of a request, as the Service Authorization Reference has them."""
    said = json.loads(body) if body.startswith(b"{") else {}
    service, _, operation = target.partition(".")
    if service.startswith("Logs_"):
        stream = f"{said.get('logGroupName', '*')}:log-stream:{said.get('logStreamName', '*')}"
        yield f"logs:{operation}", f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{stream}"
    elif path.startswith("/v1/"):
        name = path.removeprefix("/v1/")
        action = f"batch:{ACTIONS.get(name, name)}"
        kinds = {"jobQueue": "job-queue", "jobDefinition": "job-definition"} if name == "submitjob" else {}
        places = [_arn(said[key], kind) for key, kind in kinds.items()]
        if name == "terminatejob":
            places = [_arn(said["jobId"], "job")]
        yield from ((action, place) for place in places or ["*"])


def _arn(name: str, kind: str) -> str:
    return f"arn:aws:batch:{REGION}:{ACCOUNT}:{kind}/{name.rpartition('/')[2]}"


def rights() -> list[Right]:
    """What the policy for those who submit says of Batch and of logs."""
    found = all_rights({"infra/batch.yaml": {"Stage": "local", "Image": "one"}})
    return [right for right in found if right.holder == HOLDER and right.action.startswith(("batch:", "logs:"))]
