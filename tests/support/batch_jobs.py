"""AWS Batch for tests: moto takes the jobs, and each is then done for real, as the process that its command says.

What a job runs is read from moto's own description of it: command, environment, role. It acts on the given stack, with
credentials of its role there, and its output becomes its log in moto's CloudWatch.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

import boto3
from moto.batch.models import Job, batch_backends
from moto.batch_simple.models import BatchSimpleBackend
from moto.core.config import default_user_config
from moto.moto_server import threaded_moto_server
from moto.moto_server.werkzeug_app import DomainDispatcherApplication
from moto.server import ThreadedMotoServer

from perennial.deploy.template import read_template
from perennial.deploy.up import LocalStack
from tests.support.iam_batch import Noting
from tests.support.iam_recorder import Call

ROOT = Path(__file__).resolve().parents[2]
ACCOUNT = "123456789012"
REGION = "us-east-1"
KEYS = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
STACK_ACCOUNT = "000000000000"
FAILED = "Essential container in task exited"


class Resolved:
    """A template with values for its parameters; what is not made here has a name of its logical id."""

    def __init__(self, template: dict[str, Any], values: dict[str, Any]) -> None:
        pseudo = {"AccountId": ACCOUNT, "Region": REGION, "Partition": "aws", "URLSuffix": "amazonaws.com"}
        self.template = template
        self.known: dict[str, Any] = {**values, **{f"AWS::{name}": value for name, value in pseudo.items()}}

    def wanted(self, name: str) -> bool:
        """Whether the conditions let a resource be made."""
        condition = self.template["Resources"][name].get("Condition")
        return condition is None or self.holds(condition)

    def properties(self, name: str) -> dict[str, Any]:
        """Those of a resource as the API of its service spells them."""
        found: dict[str, Any] = spelled(self.value(self.template["Resources"][name]["Properties"]))
        return found

    def holds(self, name: str) -> bool:
        return bool(self.value(self.template["Conditions"][name]))

    def value(self, said: Any) -> Any:
        """What a part of the template comes to."""
        if isinstance(said, list):
            return [one for one in map(self.value, said) if one is not None]
        if not isinstance(said, dict):
            return said
        match list(said.items()):
            case [("Ref", "AWS::NoValue")]:
                return None
            case [("Ref", name)]:
                return self.known.get(name, name)
            case [("Condition", name)]:
                return self.holds(name)
            case [("Fn::Sub", text)]:
                return re.sub(r"\$\{([^}]+)\}", lambda found: str(self.known.get(found[1], found[1])), text)
            case [("Fn::GetAtt", [name, attribute])]:
                return f"arn:aws:iam::{ACCOUNT}:role/{name}" if attribute == "Arn" else f"{name}.{attribute}"
            case [("Fn::If", [name, yes, no])]:
                return self.value(yes if self.holds(name) else no)
            case [("Fn::Equals", [one, other])]:
                return self.value(one) == self.value(other)
            case [("Fn::Not", [one])]:
                return not self.value(one)
            case [("Fn::And", several)]:
                return all(map(self.value, several))
        return {name: value for name, each in said.items() if (value := self.value(each)) is not None}


def spelled(said: Any) -> Any:
    """Keys begin in lower case in the API of Batch."""
    if isinstance(said, list):
        return [spelled(one) for one in said]
    if isinstance(said, dict):
        return {f"{name[0].lower()}{name[1:]}": spelled(value) for name, value in said.items()}
    return said


@dataclass
class Batch:
    """A server of moto on which ``infra/batch.yaml`` is deployed.

    ``stack`` is where jobs act; None where none of them gets that far. ``hold`` keeps jobs from starting, and ``spoil``
    says how every one ends instead of being done: (exit code, Batch's reason, the container's).
    """

    url: str
    folder: Path
    stack: LocalStack | None = None
    outputs: dict[str, str] = field(default_factory=dict)
    hold: bool = False
    spoil: tuple[int | None, str, str] | None = None
    ran: list[list[str]] = field(default_factory=list)
    reasons: dict[str, str] = field(default_factory=dict)
    asked: list[Call] = field(default_factory=list)
    """By Airflow's own operators."""

    def client(self, service: str) -> Any:
        return boto3.client(service, endpoint_url=self.url, region_name=REGION, **KEYS)

    def deploy(self, **parameters: str) -> None:
        """Make the log, queue and definitions that ``infra/batch.yaml`` says, and keep its outputs.

        By the API of Batch, whose shapes boto3 checks: moto's CloudFormation leaves half of each out.
        """
        template = read_template(ROOT / "infra/batch.yaml")
        network = self.client("ec2")
        subnets = [one["SubnetId"] for one in network.describe_subnets()["Subnets"][:2]]
        values: dict[str, Any] = {name: one.get("Default") for name, one in template["Parameters"].items()}
        values |= {
            "ApiMegabytes": "1024",
            "Stage": "local",
            "Image": "one",
            "Vpc": "vpc-1",
            "Subnets": subnets,
            **parameters,
        }
        made = Resolved(template, values)
        made.known["Network"] = network.describe_security_groups()["SecurityGroups"][0]["GroupId"]
        made.known["Log"] = made.properties("Log")["logGroupName"]
        self.client("logs").create_log_group(logGroupName=made.known["Log"])
        role = self.client("iam").create_role(RoleName="batch", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
        api = self.client("batch")
        for name in ("Fargate", "Instances"):
            if made.wanted(name):
                said = {key: made.properties(name)[key] for key in ("type", "state", "computeResources")}
                created = api.create_compute_environment(  # AWS has a role of its own for it, moto none
                    computeEnvironmentName=name, serviceRole=role, **said
                )
                made.known[name] = created["computeEnvironmentArn"]
        for name in ("Queue", "LargeQueue"):
            if made.wanted(name):
                made.known[name] = api.create_job_queue(**made.properties(name))["jobQueueArn"]
        for name in ("TrainerJob", "PromoterJob", "LargeTrainerJob"):
            if made.wanted(name):
                made.known[name] = api.register_job_definition(**made.properties(name))["jobDefinitionArn"]
        outputs = template["Outputs"].items()
        self.outputs = {
            name: made.known[key] for name, one in outputs if (key := one["Value"].get("Ref")) in made.known
        }

    def environment(self) -> dict[str, str]:
        """What Airflow is told of it."""
        return {
            "AWS_ENDPOINT_URL_BATCH": self.url,
            "AWS_ENDPOINT_URL_CLOUDWATCH_LOGS": self.url,
            "PERENNIAL_JOB_QUEUE": self.outputs["JobQueue"],
            "PERENNIAL_TRAINER_JOB": self.outputs["TrainerJob"],
            "PERENNIAL_PROMOTER_JOB": self.outputs["PromoterJob"],
            "PERENNIAL_JOB_SECONDS": "1",
        }

    def sizes(self, job: str) -> dict[str, str]:
        """What was asked for a job, which moto does not tell of."""
        (backend,) = [one[REGION] for one in batch_backends.values()]
        found = backend.get_job_by_id(job)
        assert found is not None
        asked = found.container_overrides["resourceRequirements"]
        return {one["type"]: one["value"] for one in asked}

    def start(self, _: BatchSimpleBackend, job: Job) -> None:
        """Take a job: in place of moto's marking it as done."""
        job.backend._jobs[job.job_id] = job
        job.status = "RUNNABLE"
        if self.hold:
            threading.Thread(target=self._await_end, args=(job,), daemon=True).start()
        else:
            threading.Thread(target=self._do, args=(job,), daemon=True).start()

    def _await_end(self, job: Job) -> None:
        while not job.stop:
            time.sleep(0.1)
        job._mark_stopped(success=False)

    def _do(self, job: Job) -> None:
        job.job_started_at = datetime.now()
        job.log_stream_name = job._stream_name
        job._start_attempt()
        job.status = "RUNNING"
        try:
            code, reason, container = self.spoil or self._run(job)
        except Exception as error:  # noqa: BLE001 - of the test's own machinery: it has to be seen in the task's log
            code, reason, container = None, f"The runner of the test failed: {error!r}", ""
        job.exit_code = code
        self.reasons[job.job_id] = container
        job.job_stopped_reason = job.job_stopped_reason or (None if code == 0 else reason)
        job._mark_stopped(success=code == 0)

    def _run(self, job: Job) -> tuple[int, str, str]:
        (told,) = self.client("batch").describe_jobs(jobs=[job.job_id])["jobs"]
        container = told["container"]
        self.ran.append(container["command"])
        scratch = self.folder / job.job_id
        scratch.mkdir(parents=True)
        environment = {one["name"]: one["value"].replace(ACCOUNT, STACK_ACCOUNT) for one in container["environment"]}
        environment |= {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "HOME": str(scratch)}
        environment |= self._access(container["jobRoleArn"])
        with subprocess.Popen(
            container["command"], env=environment, cwd=scratch, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True,
        ) as process:  # fmt: skip
            threading.Thread(target=self._follow, args=(job, process), daemon=True).start()
            assert process.stdout is not None
            self._log(job, [line.rstrip("\n") for line in process.stdout])
        return process.returncode, FAILED, ""

    def _follow(self, job: Job, process: subprocess.Popen[str]) -> None:
        while process.poll() is None:
            if job.stop:
                process.kill()
            time.sleep(0.1)

    def _access(self, role: str) -> dict[str, str]:
        """The stack, and credentials of a job's role there."""
        assert self.stack is not None
        found = self.stack.aws().client("sts").assume_role(RoleArn=role, RoleSessionName="job")["Credentials"]
        return {
            "AWS_ENDPOINT_URL": self.stack.endpoint_url,
            "AWS_ACCESS_KEY_ID": found["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": found["SecretAccessKey"],
            "AWS_SESSION_TOKEN": found["SessionToken"],
        }

    def _log(self, job: Job, lines: list[str]) -> None:
        logs, now = self.client("logs"), int(time.time() * 1000)
        group = (job.job_definition.container_properties or {})["logConfiguration"]["options"]["awslogs-group"]
        logs.create_log_stream(logGroupName=group, logStreamName=job.log_stream_name)
        events = [{"timestamp": now + number, "message": line} for number, line in enumerate(lines) if line]
        if events:
            logs.put_log_events(logGroupName=group, logStreamName=job.log_stream_name, logEvents=events)


@contextmanager
def batch(folder: Path, stack: LocalStack | None = None) -> Iterator[Batch]:
    """A server of moto for the time of the block, whose jobs are processes of this machine."""
    found = Batch("", folder, stack)

    def finished(self: BatchSimpleBackend, include_start_attempt: bool, job: Job) -> None:
        found.start(self, job)

    def details(job: Job) -> dict[str, Any]:
        """With what AWS says of a container and moto leaves out."""
        properties = job.job_definition.container_properties or {}
        kept = ("jobRoleArn", "logConfiguration")
        more: dict[str, Any] = {name: properties[name] for name in kept if name in properties}
        if job.exit_code is not None:
            more["exitCode"] = job.exit_code
        if reason := found.reasons.get(job.job_id):
            more["reason"] = reason
        return {**described(job), **more}

    def noting(made: Any) -> Noting:
        return Noting(dispatching(made), found.asked)

    described = Job._container_details
    dispatching = DomainDispatcherApplication
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    with (
        patch.dict(default_user_config, {"batch": {"use_docker": False}}),
        patch.object(BatchSimpleBackend, "_mark_job_as_finished", finished),
        patch.object(Job, "_container_details", details),
        patch.object(threaded_moto_server, "DomainDispatcherApplication", noting),
    ):
        server.start()
        try:
            host, port = server.get_host_and_port()
            found.url = f"http://{host}:{port}"
            reset = urllib.request.Request(f"{found.url}/moto-api/reset", method="POST")
            urllib.request.urlopen(reset).close()  # what another test left in this process
            yield found
        finally:
            server.stop()
