"""Schedules of specs on a real stack: they are made, replaced and removed, and what they submit runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from perennial.deploy.schedule_stack import TEMPLATE, Beside, batch_beside, deploy_schedules
from perennial.deploy.template import read_template
from perennial.deploy.up import LocalStack
from perennial.errors import DeployError
from perennial.store import Store
from tests.support.stack import stack, store

__all__ = ["stack", "store"]
ROOT = Path(__file__).parents[2]
BESIDE = Beside(
    {"Image": "one", "ExecutionRoleArn": "arn:aws:iam::1:role/x", "ApiUrl": "http://a", "SiteUrl": "http://s"}
)


def without_batch() -> dict[str, Any]:
    """The template without its job definition, a kind that the emulator does not know."""
    found = read_template(TEMPLATE)
    kept = {name: each for name, each in found["Resources"].items() if each["Type"] != "AWS::Batch::JobDefinition"}
    return {**found, "Resources": kept, "Outputs": {}}


def spec(folder: Path, name: str, monitor: str) -> Path:
    text = (ROOT / "examples/iris/model.yaml").read_text().replace("name: iris", f"name: {name}", 1)
    path = folder / name / "model.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + f'\nmonitor: {{schedule: "{monitor}"}}\n')
    return path


@pytest.mark.needs("updated-schedules")
def test_schedules_follow_the_specs_and_what_they_submit_runs(stack: LocalStack, store: Store, tmp_path: Path) -> None:
    aws = stack.aws()
    client = aws.client("scheduler")

    def deploy(dry_run: bool = False) -> list[str]:
        said: list[str] = []
        deploy_schedules(
            aws, "timed", str(tmp_path), store, stack.bucket, BESIDE,
            dry_run=dry_run, progress=said.append, template=without_batch(),
        )  # fmt: skip
        return said

    def made() -> dict[str, dict[str, Any]]:
        found = client.list_schedules(GroupName="perennial-timed")["Schedules"]
        return {one["Name"]: client.get_schedule(GroupName="perennial-timed", Name=one["Name"]) for one in found}

    spec(tmp_path, "timed-one", "0 */6 * * *")
    gone = spec(tmp_path, "timed-two", "@hourly")
    assert deploy(dry_run=True)[-1] == "Nothing was changed (DRY=1)."
    deploy()
    first = made()
    assert set(first) == {f"timed-{name}-{what}" for name in ("one", "two") for what in ("cycle", "monitor")}
    assert first["timed-one-monitor"]["ScheduleExpression"] == "cron(0 0,6,12,18 * * ? *)"

    job = json.loads(first["timed-one-monitor"]["Target"]["Input"])
    command = [word.replace("<aws.scheduler.execution-id>", "d7c6") for word in job["ContainerOverrides"]["Command"]]
    env = stack.inhabit(os.environ)
    ran = subprocess.run(
        [sys.executable, *command[1:], "--no-html", "--json"], capture_output=True, text=True, check=False,
        cwd=tmp_path, env=env,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["model"] == "timed-one"

    gone.unlink()
    spec(tmp_path, "timed-one", "@daily")
    deploy()
    second = made()
    assert set(second) == {"timed-one-cycle", "timed-one-monitor"}
    assert second["timed-one-monitor"]["ScheduleExpression"] == "cron(0 0 * * ? *)"
    assert second["timed-one-cycle"]["Target"]["Input"] != first["timed-one-cycle"]["Target"]["Input"]  # another text


def test_without_batch_the_way_there_is_said(stack: LocalStack) -> None:
    with pytest.raises(DeployError, match="Deploy infra/batch"):
        batch_beside(stack.aws(), "nowhere")
