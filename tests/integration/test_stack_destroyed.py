"""A stage comes, goes and comes again: its data stay, what others have is not touched, and nothing is lost halfway."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from perennial.deploy.aws import Aws
from perennial.deploy.destroy import destroy
from perennial.deploy.ministack import MiniStack
from perennial.deploy.ours import builds_bucket, dags_bucket, data_bucket, find_stack
from perennial.deploy.package import build_packages
from perennial.deploy.site import publish
from perennial.deploy.stack import Deployed, deploy
from perennial.deploy.trust import cloud_key
from perennial.deploy.up import BUILD, TEMPLATE, embedded
from perennial.errors import DeployError
from perennial.store_opening import open_store
from tests.support.models import IRIS_RECORD, build, make_spec, promote

WAITING = {
    "Description": "Perennial - waits for ever",
    "Parameters": {"Stage": {"Type": "String"}},
    "Resources": {
        "Handle": {"Type": "AWS::CloudFormation::WaitConditionHandle"},
        "Wait": {
            "Type": "AWS::CloudFormation::WaitCondition",
            "Properties": {"Handle": {"Ref": "Handle"}, "Timeout": "60"},
        },
    },
}
TOPIC = {"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}}


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    with MiniStack(tmp_path_factory.mktemp("aws")) as emulator:
        yield embedded(emulator.endpoint_url)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")


def up(aws: Aws, stage: str) -> Deployed:
    packages = build_packages("local", BUILD, python=MiniStack(Path()).python)
    return deploy(aws, packages, TEMPLATE, stage=stage, parameters={"RefreshSeconds": "0", "TrustedKeys": "unsigned"})


def predicts(stack: Deployed) -> Any:
    answer = httpx.post(f"{stack.api_url}/models/iris/predict", json=IRIS_RECORD, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.json()["probabilities"]


def settings_of(aws: Aws, bucket: str) -> list[Any]:
    s3 = aws.client("s3")
    calls = ("versioning", "encryption", "cors", "lifecycle_configuration", "policy")
    told = s3.get_bucket_notification_configuration(Bucket=bucket)
    return [
        *(getattr(s3, f"get_bucket_{call}")(Bucket=bucket) | {"ResponseMetadata": None} for call in calls),
        s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"],
        [one | {"Id": "any"} for one in told["QueueConfigurations"]],
        told["EventBridgeConfiguration"],
    ]


def begin(aws: Aws, name: str, template: Any, **parameters: str) -> None:
    given = [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()]
    aws.client("cloudformation").create_stack(StackName=name, TemplateBody=json.dumps(template), Parameters=given)


def test_data_outlive_their_stack_and_are_served_by_the_next(aws: Aws, tmp_path: Path) -> None:
    first = up(aws, "staging")
    store = open_store(aws.settings(first.bucket))
    promote(store, build(make_spec("iris")))
    (tmp_path / "index.html").write_text("<p>")
    publish(aws.client("s3"), first.site_bucket, tmp_path, first.api_url, "http://127.0.0.1/")
    before, answered, said = settings_of(aws, first.bucket), predicts(first), list[str]()
    keys = {entry.key for entry in store.list("")}

    destroy(aws, "staging", say=said.append)
    assert find_stack(aws, "perennial-staging") is None
    buckets = {bucket["Name"] for bucket in aws.client("s3").list_buckets()["Buckets"]}
    assert {name for name in buckets if "-staging-" in name} == {first.bucket}
    assert keys <= {entry.key for entry in store.list("")}
    assert f"Kept    {first.bucket}" in "\n".join(said)
    assert any("Emptied" in line and first.site_bucket in line for line in said)

    again = up(aws, "staging")
    assert (again.bucket, predicts(again)) == (first.bucket, answered)
    assert settings_of(aws, again.bucket) == before
    assert up(aws, "staging").bucket == first.bucket  # an update keeps what it took up

    with pytest.raises(DeployError, match=r"would be lost; nothing was touched.*CONFIRM=staging"):
        destroy(aws, "staging", delete_data=True, confirm="prod", say=said.append)
    assert predicts(again) == answered
    destroy(aws, "staging", delete_data=True, confirm="staging", say=said.append)
    assert not [one for one in aws.client("s3").list_buckets()["Buckets"] if "-staging-" in one["Name"]]
    with pytest.raises(DeployError, match=r"There is no stage staging in us-east-1"):
        destroy(aws, "staging", say=said.append)


def test_nothing_is_removed_while_a_deploy_runs(aws: Aws) -> None:
    begin(aws, "perennial-busy-batch", WAITING, Stage="busy")
    bucket = builds_bucket(aws, "busy")
    aws.client("s3").create_bucket(Bucket=bucket)
    aws.client("s3").put_object(Bucket=bucket, Key="a", Body=b"code")
    with pytest.raises(DeployError, match=r"perennial-busy-batch is CREATE_IN_PROGRESS: .*nothing was touched. Wait"):
        destroy(aws, "busy", say=print)
    assert aws.client("s3").get_object(Bucket=bucket, Key="a")["Body"].read() == b"code"
    begin(aws, "perennial-busy", WAITING, Stage="busy")
    with pytest.raises(DeployError, match=r"perennial-busy is CREATE_IN_PROGRESS: .*nothing was touched"):
        up(aws, "busy")


def test_a_stack_of_that_name_that_is_not_ours_is_left_alone(aws: Aws) -> None:
    begin(aws, "perennial-taken", TOPIC)
    for act in (lambda: destroy(aws, "taken", say=print), lambda: up(aws, "taken")):
        with pytest.raises(DeployError, match="Stack perennial-taken is not of Perennial; nothing was touched"):
            act()
    found = find_stack(aws, "perennial-taken")
    assert found is not None and found.status == "CREATE_COMPLETE"


def test_companions_go_first_and_those_of_other_stages_stay(aws: Aws) -> None:
    ours = TOPIC | {"Description": "Perennial - test", "Parameters": {"Stage": {"Type": "String"}}}
    for name, stage in (("perennial-a", "a"), ("perennial-a-batch", "a"), ("perennial-a-b", "a-b")):
        begin(aws, name, ours, Stage=stage)
    s3, name = aws.client("s3"), dags_bucket(aws, "a")  # its stack keeps it, and could not make another
    s3.create_bucket(Bucket=name)
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    for _ in range(2):
        s3.put_object(Bucket=name, Key="dags/training.py", Body=b"")
    said: list[str] = []
    destroy(aws, "a", say=said.append)
    assert f"Removed {name}" in said
    removed = [line.split()[2] for line in said if line.startswith("Removing")]
    assert removed == ["perennial-a-batch", "perennial-a"]
    assert find_stack(aws, "perennial-a-b") is not None


def test_keys_are_retired_though_it_was_interrupted(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once the stack is gone, nothing names the key: it would cost for ever, and its alias be in the way."""
    kms, key = aws.client("kms"), cloud_key(aws, "keyed").name.removeprefix("kms:")
    real = Aws.client

    def interrupted(self: Aws, service: str) -> Any:
        client = real(self, service)
        if service == "cloudformation":
            client.delete_stack = lambda **given: (_ for _ in ()).throw(KeyboardInterrupt)
        return client

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Aws, "client", interrupted)
        destroy(aws, "keyed", delete_data=True, confirm="keyed", say=print)
    destroy(aws, "keyed", delete_data=True, confirm="keyed", say=print)
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "PendingDeletion"
    assert not [one for one in kms.list_aliases()["Aliases"] if "keyed" in one["AliasName"]]
    assert find_stack(aws, "perennial-keyed-signing") is None


def test_the_key_stays_with_the_data(aws: Aws) -> None:
    key = cloud_key(aws, "kept").name.removeprefix("kms:")
    given = {name: {"Type": "String"} for name in ("Stage", "TrustedKeys")}
    ours = TOPIC | {"Description": "Perennial - test", "Parameters": given}
    begin(aws, "perennial-kept", ours, Stage="kept", TrustedKeys="one,two")
    said: list[str] = []
    destroy(aws, "kept", say=said.append)
    assert find_stack(aws, "perennial-kept") is None and find_stack(aws, "perennial-kept-signing") is not None
    assert said[0] == "To trust the same again: export PERENNIAL_TRUSTED_KEYS=one,two"
    assert aws.client("kms").describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "Enabled"


def test_a_bucket_of_another_account_is_named(aws: Aws) -> None:
    """An access key of twelve digits is an account of its own to the emulator."""
    other = Aws(aws.endpoint_url, aws.region, "222222222222", "test")
    for name in (data_bucket(aws, "theirs"), builds_bucket(aws, "mine")):
        other.client("s3").create_bucket(Bucket=name)
    for stage, bucket in (("theirs", data_bucket(aws, "theirs")), ("mine", builds_bucket(aws, "mine"))):
        with pytest.raises(DeployError, match=f"Bucket {bucket} exists and is not account"):
            up(aws, stage)
        assert find_stack(aws, f"perennial-{stage}") is None
