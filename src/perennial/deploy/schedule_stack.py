"""Deploy the schedules of specs: read what stacks beside them say, stage the specs, and apply one template."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perennial.deploy.aws import Aws, aws_errors
from perennial.deploy.dags import read_specs
from perennial.deploy.dags_bucket import Progress
from perennial.deploy.ours import find_stack
from perennial.deploy.package import ROOT
from perennial.deploy.schedules import planned, scheduler_template
from perennial.deploy.stack import apply_stack
from perennial.deploy.template import read_template
from perennial.errors import DeployError
from perennial.jobs.staged import stage_spec
from perennial.store import Store

TEMPLATE = ROOT / "infra/scheduler.yaml"


@dataclass(frozen=True)
class Beside:
    """What the stack of AWS Batch was given and gives: values of parameters of ``infra/scheduler.yaml``."""

    parameters: Mapping[str, str]


def batch_beside(aws: Aws, stage: str) -> Beside:
    """Read the stack ``perennial-<stage>-batch``.

    Raises:
        DeployError: there is none, or it has no image yet.
    """
    name = f"perennial-{stage}-batch"
    with aws_errors():
        stack = find_stack(aws, name)
    if stack is None:
        raise DeployError(f"There is no stack {name}.", remedy="Deploy infra/batch.yaml first.")
    given, told = stack.parameters, stack.outputs
    if not given.get("Image") or "ExecutionRoleArn" not in told:
        raise DeployError(
            f"Stack {name} has no image yet.", remedy="Push one, and deploy infra/batch.yaml with Image=."
        )
    same = ("Image", "ApiUrl", "SiteUrl", "TrustedKeys", "ApiMegabytes", "PublicAddress")
    found = {name: given[name] for name in same if given.get(name)}
    key = given.get("SigningKey", "").removeprefix("kms:")
    return Beside(found | {"ExecutionRoleArn": told["ExecutionRoleArn"]} | ({"SigningKeyArn": key} if key else {}))


def deploy_schedules(
    aws: Aws,
    stage: str,
    places: str,
    store: Store,
    bucket: str,
    beside: Beside,
    *,
    dry_run: bool,
    progress: Progress,
    template: Mapping[str, Any] | None = None,
) -> None:
    """Have all that the specs in ``places`` name done at its times; what no spec names any more is done no more.

    Raises:
        SpecError: a spec is wrong; nothing is changed.
        DeployError: CloudFormation refuses, or fails.
    """
    specs = {each.name: each for each in read_specs(places)}
    for name, file in sorted(specs.items()):
        assert file.spec is not None
        for command, schedule in planned(file.spec):
            progress(f"{name:<24} {command:<10} {schedule}")
    if dry_run:
        progress("Nothing was changed (DRY=1).")
        return
    addresses = {name: stage_spec(store, bucket, name, Path(file.path)) for name, file in specs.items()}
    found = scheduler_template(template or read_template(TEMPLATE), stage, specs, addresses)
    apply_stack(aws, f"perennial-{stage}-scheduler", json.dumps(found), {"Stage": stage, **beside.parameters})
    progress(f"perennial-{stage}-scheduler: deployed")
