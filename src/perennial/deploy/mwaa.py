"""`make deploy-dags`: send DAGs, specs and package to the bucket of ``infra/mwaa.yaml`` or ``airflow-instance.yaml``.

An environment runs the package that its stack names by the version of ``requirements.txt``. DAG files and specs that
were written for another package are held back until the environment has it, so that no DAG meets the wrong code.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perennial.deploy.airflow_package import build_airflow_package, startup_script
from perennial.deploy.aws import Aws, aws_errors
from perennial.deploy.dags import REQUIREMENTS, STARTUP, Delivery, delivery, read_specs
from perennial.deploy.dags_bucket import DagsBucket, Progress
from perennial.deploy.ours import find_stack
from perennial.errors import DeployError
from perennial.jobs.specs import SpecFile
from perennial.settings import VARIABLES, Settings

UPDATE_SECONDS = 90 * 60.0
"""An environment takes 20 to 40 minutes to be made or changed."""
REQUIREMENTS_VERSION, STARTUP_VERSION = "RequirementsVersion", "StartupVersion"
STACK = "perennial-{stage}-mwaa"
DAGS_BUCKET = "DagsBucketName"


@dataclass(frozen=True)
class Environment:
    """The stack of Airflow: its bucket, and which versions of the two files its environment has (empty: none yet)."""

    stack: str
    bucket: str
    requirements: str
    startup: str


def find_environment(aws: Aws, stage: str) -> Environment:
    """Read the stack ``perennial-<stage>-mwaa``.

    Raises:
        DeployError: there is none, or it is another's.
    """
    name = STACK.format(stage=stage)
    with aws_errors():
        stack = find_stack(aws, name)
    if stack is None:
        raise DeployError(
            f"There is no stack {name}.",
            remedy=f"sam deploy --stack-name {name} --template-file infra/mwaa.yaml --capabilities CAPABILITY_IAM "
            f"--parameter-overrides Stage={stage}",
        )
    outputs, given = stack.outputs, stack.parameters
    if DAGS_BUCKET not in outputs:
        raise DeployError(f"Stack {name} has no output {DAGS_BUCKET}.", remedy="Deploy infra/mwaa.yaml again.")
    return Environment(
        name, outputs[DAGS_BUCKET], given.get(REQUIREMENTS_VERSION, ""), given.get(STARTUP_VERSION, "")
    )  # fmt: skip


def variables(settings: Settings) -> dict[str, str]:
    """What steps and DAGs read; the region is Airflow's own there, and credentials are a role's."""
    given = settings.model_dump(exclude_unset=True, exclude_none=True)
    names = {field: name for field, name in VARIABLES.items() if not name.startswith("AWS_")}
    return {names[field]: str(value) for field, value in given.items() if field in names and field != "signing_key"}


def deploy_dags(
    aws: Aws,
    stage: str,
    specs: str,
    settings: Settings,
    build: Path,
    *,
    update: bool,
    dry_run: bool,
    progress: Progress,
) -> None:
    """Send what changed. ``update`` has the environment install another package, which takes half an hour.

    Raises:
        SpecError: a spec is wrong; nothing is sent.
        DeployError: AWS refuses, or the environment does not come up.
    """
    found = read_specs(specs)
    _warn(found, progress)
    environment = find_environment(aws, stage)
    wanted = delivery(build_airflow_package(build), found, startup_script(variables(settings)))
    bucket = DagsBucket(aws.client("s3"), environment.bucket)
    before = bucket.holding()
    runs = bucket.package_in(environment.requirements) if environment.requirements else None
    plan = bucket.plan(wanted, before, runs)
    for line in plan.lines():
        progress(line)
    if dry_run:
        progress("Nothing was sent (DRY=1)." if not plan.empty else "Nothing has changed.")
        return
    bucket.put(wanted, plan.staged)
    told = _told(bucket, environment, runs, wanted)
    exists = bool(environment.requirements)
    if told and exists and not update:
        progress(f"Held back: {len(plan.live)} files, and {len(plan.removed)} to be removed. {told}")
        progress("UPDATE=1 has it install them, which takes half an hour, and sends these after that.")
        return
    if told and exists:
        progress(f"{told} Updating {environment.stack} ...")
        _update(aws, environment, bucket)
    bucket.put(wanted, plan.live)
    bucket.finish(wanted, plan, before)
    progress(f"{environment.bucket}: {len(plan.staged) + len(plan.live)} put, {len(plan.removed)} removed")
    if not exists:  # which UPDATE=1 does not make: it costs, and wants to be told what its tasks may do
        progress(f"There is no environment of Amazon MWAA. To have one, deploy {environment.stack} with")
        progress(f"  {REQUIREMENTS_VERSION}={bucket.version(REQUIREMENTS)} {STARTUP_VERSION}={bucket.version(STARTUP)}")


def _warn(specs: list[SpecFile], progress: Progress) -> None:
    for each in specs:
        if each.spec and each.spec.job.runner == "local":
            progress(
                f"{each.path}: 'job.runner' is local: its steps fail on Amazon MWAA, which has none of the training "
                "libraries. Write job: {runner: batch}."
            )


def _told(bucket: DagsBucket, environment: Environment, runs: str | None, wanted: Delivery) -> str | None:
    """Why the environment has to be updated; None where it has what is sent."""
    if runs != wanted.package:
        return f"The environment runs package {runs or 'none'}, these need {wanted.package}."
    if environment.startup != bucket.version(STARTUP):
        return "The environment has other variables than startup.sh sets."
    return None


def _update(aws: Aws, environment: Environment, bucket: DagsBucket) -> None:
    """Tell the stack the versions, and wait until its environment has them."""
    new = {REQUIREMENTS_VERSION: bucket.version(REQUIREMENTS), STARTUP_VERSION: bucket.version(STARTUP)}
    cloudformation = aws.client("cloudformation")
    with aws_errors():
        stack = cloudformation.describe_stacks(StackName=environment.stack)["Stacks"][0]
        cloudformation.update_stack(
            StackName=environment.stack,
            UsePreviousTemplate=True,
            Parameters=_parameters(stack, new),
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"],
        )
        _await(cloudformation, environment.stack)


def _parameters(stack: Mapping[str, Any], new: Mapping[str, str]) -> list[dict[str, Any]]:
    others = [each["ParameterKey"] for each in stack.get("Parameters", []) if each["ParameterKey"] not in new]
    return [{"ParameterKey": key, "ParameterValue": value} for key, value in new.items()] + [
        {"ParameterKey": key, "UsePreviousValue": True} for key in others
    ]


def _await(cloudformation: Any, name: str) -> None:
    pause, deadline = 0.1, time.monotonic() + UPDATE_SECONDS
    while time.monotonic() < deadline:
        status = cloudformation.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"]
        if status in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
            return
        if not status.endswith("_IN_PROGRESS"):
            raise DeployError(f"Stack {name}: {status}.", remedy="Its events say why; nothing live was sent.")
        time.sleep(pause)
        pause = min(pause * 1.5, 30.0)
    raise DeployError(f"Stack {name}: not finished after {UPDATE_SECONDS / 60:.0f} minutes.")
