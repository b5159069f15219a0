"""DAGs reach a real bucket whole, in their order, and only where they changed; no environment meets half of it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from perennial.deploy import mwaa
from perennial.deploy.airflow_package import AirflowPackage
from perennial.deploy.aws import Aws
from perennial.deploy.dags import Delivery, delivery, read_specs
from perennial.deploy.dags_bucket import MANIFEST, DagsBucket
from perennial.deploy.mwaa import deploy_dags, find_environment
from perennial.deploy.up import LocalStack
from perennial.errors import DeployError, SpecError
from perennial.settings import Settings
from tests.support.stack import stack

__all__ = ["stack"]
ROOT = Path(__file__).parents[2]
SETTINGS = Settings(bucket="perennial-x-data", topic_arn="arn:aws:sns:us-east-1:1:x")
TEMPLATE = {  # what there is of infra/mwaa.yaml in an emulator, which knows no environments
    "Parameters": {
        "RequirementsVersion": {"Type": "String", "Default": ""},
        "StartupVersion": {"Type": "String", "Default": ""},
        "Other": {"Type": "String", "Default": "kept"},
    },
    "Resources": {"Topic": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": {"Ref": "AWS::StackName"}}}},
    "Outputs": {
        "DagsBucketName": {"Value": {"Fn::Sub": "${AWS::StackName}-dags"}},
        "Other": {"Value": {"Ref": "Other"}},
    },
}
Send = Callable[..., list[str]]


def package(text: str = "one") -> AirflowPackage:
    """A package whose content is known; building the real one is tested elsewhere."""
    digest = text.encode().hex()[:16]
    place = f"packages/{digest}"
    return AirflowPackage(
        digest, {f"{place}/perennial.whl": text.encode()}, f"perennial @ file:///usr/local/airflow/dags/{place}/x.whl\n"
    )


@pytest.fixture
def aws(stack: LocalStack) -> Aws:
    return stack.aws()


@pytest.fixture
def stage(aws: Aws, request: pytest.FixtureRequest) -> Iterator[str]:
    """A stage of its own, with the stack of Airflow and its bucket, and with what is in it removed afterwards."""
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name)[-20:].strip("-")
    full = f"perennial-{name}-mwaa"
    s3, cloudformation = aws.client("s3"), aws.client("cloudformation")
    cloudformation.create_stack(
        StackName=full,
        TemplateBody=json.dumps(TEMPLATE),
        Parameters=[{"ParameterKey": "Other", "ParameterValue": "mine"}],
    )
    cloudformation.get_waiter("stack_create_complete").wait(StackName=full, WaiterConfig={"Delay": 1})
    s3.create_bucket(Bucket=f"{full}-dags")
    s3.put_bucket_versioning(Bucket=f"{full}-dags", VersioningConfiguration={"Status": "Enabled"})
    yield name
    cloudformation.delete_stack(StackName=full)


@pytest.fixture
def send(aws: Aws, stage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Send:
    """Deploy the DAGs of the repository with a package, and say what was told."""

    def sent(text: str = "one", *, specs: str = "examples/iris", update: bool = False, dry: bool = False) -> list[str]:
        monkeypatch.setattr(mwaa, "build_airflow_package", lambda into: package(text))
        lines: list[str] = []
        deploy_dags(
            aws, stage, specs, SETTINGS, tmp_path, update=update, dry_run=dry, progress=lines.append
        )  # fmt: skip
        return lines

    monkeypatch.chdir(ROOT)
    return sent


def held(aws: Aws, stage: str) -> set[str]:
    found = aws.client("s3").list_objects_v2(Bucket=f"perennial-{stage}-mwaa-dags").get("Contents", [])
    return {each["Key"] for each in found}


def environment_takes(aws: Aws, stage: str, lines: list[str]) -> None:
    """As the user does after the first delivery: names the two versions that were told."""
    (told,) = [line for line in lines if "RequirementsVersion=" in line]
    values = dict(pair.split("=", 1) for pair in told.split())
    cloudformation, name = aws.client("cloudformation"), f"perennial-{stage}-mwaa"
    cloudformation.update_stack(
        StackName=name,
        TemplateBody=json.dumps(TEMPLATE),
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in values.items()]
        + [{"ParameterKey": "Other", "UsePreviousValue": True}],
    )
    cloudformation.get_waiter("stack_update_complete").wait(StackName=name, WaiterConfig={"Delay": 1})


def test_the_first_delivery_says_what_the_environment_is_to_be_told(aws: Aws, stage: str, send: Send) -> None:
    lines = send()
    assert {
        "dags/training.py",
        "dags/perennial_wiring.py",
        "dags/specs/iris/model.yaml",
        "startup.sh",
        MANIFEST,
    } <= held(aws, stage)
    put = [line.split()[1] for line in lines if line.startswith("put")]
    assert (
        put.index("dags/specs/iris/model.yaml") < put.index("dags/perennial_wiring.py") < put.index("dags/training.py")
    )
    environment_takes(aws, stage, lines)
    environment = find_environment(aws, stage)
    bucket = DagsBucket(aws.client("s3"), environment.bucket)
    assert bucket.package_in(environment.requirements) == package().digest
    startup = aws.client("s3").get_object(Bucket=environment.bucket, Key="startup.sh")["Body"].read().decode()
    assert "export PERENNIAL_BUCKET=perennial-x-data\n" in startup and "AWS_" not in startup


def test_what_has_not_changed_is_not_sent_and_what_is_gone_goes(aws: Aws, stage: str, send: Send) -> None:
    environment_takes(aws, stage, send(specs="examples"))
    assert [line for line in send(specs="examples") if line.startswith(("put", "remove"))] == []
    gone = [line for line in send(specs="examples/iris") if line.startswith("remove")]
    assert len(gone) == 5 and "dags/specs/elec2/model.yaml" in str(gone)
    assert "dags/specs/elec2/model.yaml" not in held(aws, stage)
    s3 = aws.client("s3")
    s3.put_object(Bucket=f"perennial-{stage}-mwaa-dags", Key="dags/training.py", Body=b"# by hand")
    s3.put_object(Bucket=f"perennial-{stage}-mwaa-dags", Key="dags/of-another.py", Body=b"# by hand")
    changed = [line for line in send() if line.startswith(("put", "remove"))]
    assert changed == ["put     dags/training.py", "remove  dags/of-another.py"]


def test_a_dry_run_sends_nothing(aws: Aws, stage: str, send: Send) -> None:
    lines = send(dry=True)
    assert lines[-1] == "Nothing was sent (DRY=1)." and len(lines) > 8
    assert held(aws, stage) == set()


def test_a_broken_spec_is_refused_before_anything_is_sent(aws: Aws, stage: str, send: Send, tmp_path: Path) -> None:
    text = (ROOT / "examples/iris/model.yaml").read_text().replace("task: multiclass", "task: clairvoyance")
    path = tmp_path / "broken/model.yaml"
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(SpecError, match=r"broken/model\.yaml:\d+ 'task'"):
        send(specs=f"examples/elec2:{path.parent}")
    assert held(aws, stage) == set()
    for nothing in (str(tmp_path / "absent"), str(tmp_path.parent / "empty")):
        Path(tmp_path.parent / "empty").mkdir(exist_ok=True)
        with pytest.raises(DeployError, match=re.escape(Path(nothing).name)):
            send(specs=nothing)


@pytest.mark.needs("previous-templates")
def test_dags_wait_for_the_package_that_they_were_written_for(aws: Aws, stage: str, send: Send) -> None:
    environment_takes(aws, stage, send("one", specs="examples"))
    lines = send("two", specs="examples/iris")
    assert "Held back" in lines[-2] and "UPDATE=1" in lines[-1]
    there = held(aws, stage)
    assert "dags/specs/elec2/model.yaml" in there  # of the old delivery, which goes on as it was
    digests = {package(text).digest for text in ("one", "two")}
    assert {key.split("/")[2] for key in there if "/packages/" in key} == digests
    old = find_environment(aws, stage)
    send("two", specs="examples/iris", update=True)
    new = find_environment(aws, stage)
    assert new.requirements != old.requirements
    assert DagsBucket(aws.client("s3"), new.bucket).package_in(new.requirements) == package("two").digest
    assert "dags/specs/elec2/model.yaml" not in held(aws, stage)
    told = aws.client("cloudformation").describe_stacks(StackName=new.stack)["Stacks"][0]["Parameters"]
    assert {"ParameterKey": "Other", "ParameterValue": "mine"} in told
    assert send("two", specs="examples/iris")[-1].endswith("removed")
    assert not any(package("one").digest in key for key in held(aws, stage))


def test_of_two_at_once_the_second_is_told(aws: Aws, stage: str) -> None:
    s3: Any = aws.client("s3")
    bucket = DagsBucket(s3, find_environment(aws, stage).bucket)
    wanted: Delivery = delivery(package(), read_specs(str(ROOT / "examples/iris")), "#!/bin/sh\n")
    before = bucket.holding()
    plan = bucket.plan(wanted, before, None)
    bucket.finish(wanted, plan, before)
    with pytest.raises(DeployError, match="at the same time"):
        bucket.finish(wanted, plan, before)
    bucket.finish(wanted, plan, replace(before, manifest=bucket.holding().manifest))


def test_without_its_stack_the_way_there_is_said(aws: Aws) -> None:
    with pytest.raises(DeployError, match="sam deploy --stack-name perennial-nowhere-mwaa"):
        find_environment(aws, "nowhere")
