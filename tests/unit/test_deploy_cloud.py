"""What is said of a stage before anything is built: its name, its file, its parameters, and where it lives."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from perennial.deploy import cloud, parameters
from perennial.deploy.cloud import deploy_stage, target
from perennial.deploy.lock import only_one_now
from perennial.deploy.ours import builds_bucket
from perennial.deploy.package import ROOT
from perennial.deploy.parameters import StageFile, check_parameters, read_arguments, read_stage
from perennial.deploy.template import read_template
from perennial.deploy.trust import check_not_of_this_machine, local_key
from perennial.errors import DeployError

DECLARED = read_template(ROOT / "template.yaml")["Parameters"]
KEYS = {"TrustedKeys": "unsigned"}


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE", "PERENNIAL_TRUSTED_KEYS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setattr(cloud, "ROOT", tmp_path)
    monkeypatch.setattr(cloud, "read_stage", lambda stage: read_stage(stage, tmp_path))
    with mock_aws():
        yield str(boto3.client("sts", region_name="us-east-1").get_caller_identity()["Account"])


def write(folder: Path, stage: str, text: str) -> Path:
    (folder / f"{stage}.yaml").write_text(text)
    return folder


@pytest.mark.parametrize("stage", ["", "Prod", "1st", "a" * 21, "a_b", "../x", "prod\n"])
def test_a_stage_has_a_plain_name(account: str, stage: str) -> None:
    with pytest.raises(DeployError, match=r"is no name of a stage. It has 1 to 20"), target(stage, None, print):
        pass


def test_the_local_stage_is_not_for_the_cloud(account: str) -> None:
    with pytest.raises(DeployError, match="'local' is that of `make up`, which `make down` ends"):
        target("local", None, print).__enter__()


def test_the_account_and_the_region_are_those_of_the_file(account: str, tmp_path: Path) -> None:
    write(tmp_path, "prod", "account: '999999999999'\nregion: eu-west-1\n")
    with pytest.raises(DeployError, match=f"of account {account}, but infra/stages/prod.yaml says 999999999999"):
        target("prod", None, print).__enter__()
    with pytest.raises(DeployError, match=r"REGION=us-east-1, but infra/stages/prod.yaml says eu-west-1"):
        target("prod", "us-east-1", print).__enter__()
    write(tmp_path, "prod", f"account: '{account}'\nregion: eu-west-1\n")
    said: list[str] = []
    with target("prod", None, said.append) as to:
        assert to.aws.region == "eu-west-1"
    assert said == [f"Account {account}, eu-west-1, stage prod"]


def test_a_region_that_is_none_is_named(account: str) -> None:
    with pytest.raises(DeployError, match=r"AWS has no region 'eu-west-9'. Near it are .*eu-west-1"):
        target("prod", "eu-west-9", print).__enter__()


def test_a_stage_whose_buckets_would_have_too_long_names_is_refused(account: str) -> None:
    with target("a" * 20, "eu-central-1", print) as to:
        assert len(builds_bucket(to.aws, to.stage)) == 63
    with pytest.raises(DeployError, match=r"too long in ap-southeast-1: its buckets .* at most 18 characters"):
        target("a" * 19, "ap-southeast-1", print).__enter__()


def hold(path: Path, held: Any, release: Any) -> None:
    with only_one_now(path):
        held.set()
        release.wait(30)


def test_two_commands_on_one_stage_do_not_meet(account: str, tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    held, release = context.Event(), context.Event()
    process = context.Process(target=hold, args=(tmp_path / ".local/stage-prod.lock", held, release))
    process.start()
    try:
        assert held.wait(30)
        with pytest.raises(DeployError, match=r"Another command works on stage prod on this machine. Wait"):
            target("prod", None, print).__enter__()
        with target("test", None, print) as to:
            assert to.stage == "test"
    finally:
        release.set()
        process.join()
    with target("prod", None, print) as to:
        assert to.stage == "prod"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("Nothing=1", "Parameter Nothing: template.yaml has none. It has .*ApiMegabytes"),
        ("Stage=other", "Parameter Stage: follows from where is deployed"),
        ("ApiMegabytes=12", "Parameter ApiMegabytes='12': wrong. A number from 512 to 10240 is right. Memory"),
        ("ApiMegabytes=much", "A number from 512"),
        ("LogRetentionDays=8", "One of 1, 3, 5, 7"),
        ("AllowedOrigin=*", "Parameter AllowedOrigin='\\*': wrong. A text like"),
        ("TrustedKeys=abc", "Parameter TrustedKeys='abc': wrong"),
        ("ApiMegabytes", "PARAMETERS: 'ApiMegabytes' is no Name=value"),
        ("A='b", "PARAMETERS: No closing quotation"),
        ("RequestRate=1_000", "A number from 1 to any"),
        ("RequestRate=\u0661\u0662", "A number from 1 to any"),
        ("MonthlyBudget=inf", "A number from 0 to any"),
        ("MonthlyBudget=1e400", "A number from 0 to any"),
        ("JobPrincipals=*", "Parameter JobPrincipals='\\*': wrong"),
        ("JobPrincipals=arn:aws:iam::123456789012:role/a,*", "Parameter JobPrincipals"),
        ("ApiMegabytes=1024 ApiMegabytes=2048", "PARAMETERS: ApiMegabytes is named twice"),
    ],
)
def test_a_wrong_parameter_is_told_before_anything_is_built(account: str, arguments: str, said: str) -> None:
    def build() -> Any:
        raise AssertionError("built")

    with target("prod", None, print) as to, pytest.raises(DeployError, match=said):
        deploy_stage(to, arguments, build)


def test_a_stage_does_not_come_to_trust_the_key_of_this_machine(tmp_path: Path) -> None:
    own, other = local_key(tmp_path / "own.pem"), local_key(tmp_path / "other.pem")
    with pytest.raises(DeployError, match=r"TrustedKeys names the key of `make up`.*unset PERENNIAL_TRUSTED_KEYS"):
        check_not_of_this_machine(f"{other.public.text},{own.public.text}", tmp_path / "own.pem")
    check_not_of_this_machine(other.public.text, tmp_path / "own.pem")
    check_not_of_this_machine(own.public.text, tmp_path / "none.pem")


def test_what_a_shell_says_of_keys_is_looked_at_before_anything_is_built(
    account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def build() -> Any:
        raise AssertionError("built")

    monkeypatch.setenv("PERENNIAL_TRUSTED_KEYS", local_key().public.text)
    with target("prod", None, print) as to, pytest.raises(DeployError, match="which is for this machine"):
        deploy_stage(to, "", build)


def test_principals_are_arns_with_commas_between_them() -> None:
    arns = "arn:aws:iam::123456789012:role/a,arn:aws:iam::123456789012:root"
    check_parameters(KEYS | {"JobPrincipals": arns}, DECLARED)
    check_parameters(KEYS | {"JobPrincipals": ""}, DECLARED)


def test_a_missing_parameter_is_named() -> None:
    with pytest.raises(DeployError, match=r"Parameter TrustedKeys is missing. The public keys .*PARAMETERS"):
        check_parameters({}, DECLARED)
    check_parameters(KEYS, DECLARED)


def test_the_file_is_read_as_cloudformation_wants_it(tmp_path: Path) -> None:
    write(tmp_path, "a", "region: eu-west-1\nparameters: {ApiMegabytes: 1769, A: true, B: [1, x], C: null}\n")
    assert read_stage("a", tmp_path) == StageFile(
        region="eu-west-1", parameters={"ApiMegabytes": "1769", "A": "true", "B": "1,x", "C": ""}
    )
    assert read_stage("other", tmp_path) == StageFile()
    write(tmp_path, "b", "parameters: {A: 014, B: 1:30, C: no, D: 2026-13-45, E: }\n")
    assert read_stage("b", tmp_path).parameters == {"A": "014", "B": "1:30", "C": "no", "D": "2026-13-45", "E": ""}
    assert read_arguments('A=1 B="two words" C=') == {"A": "1", "B": "two words", "C": ""}


@pytest.mark.parametrize(
    "text",
    ["account: 12", "regions: eu-west-1", "region: here", "parameters: [1]", "- a", "a: [", "false", "[" * 3_000,
     "parameters: {A: {b: 1}}", "parameters: {A: [[1]]}", "parameters: {A: 1, A: 2}", "account:\nregion: 1\nregion: 2",
     "!!python/object/apply:os.system [id]", "parameters: !!map {A: &a [*a]}"],
)  # fmt: skip
def test_a_wrong_file_is_named(tmp_path: Path, text: str) -> None:
    with pytest.raises(DeployError, match=r"prod\.yaml: "):
        read_stage("prod", write(tmp_path, "prod", text))


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "prod.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(DeployError, match=r"prod\.yaml: cannot be read"):
        read_stage("prod", tmp_path)


def test_the_example_is_right() -> None:
    found = read_stage("example", parameters.FOLDER)
    check_parameters(KEYS | found.parameters, DECLARED)
    assert found.account and found.region
