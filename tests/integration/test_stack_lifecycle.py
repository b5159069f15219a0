"""Stacks come up and go away whole: nothing is left running, and nothing that is not ours is touched."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from perennial.deploy import session
from perennial.deploy.ministack import MiniStack, answers
from perennial.deploy.package import ROOT, build_packages
from perennial.deploy.stack import deploy
from perennial.deploy.up import BUILD, TEMPLATE, LocalStack, embedded
from perennial.errors import DeployError
from perennial.settings import STACK_FILE, Settings
from tests.support.templates import stack_templates

TRUST = {"TrustedKeys": "unsigned"}


def listens(endpoint_url: str) -> bool:
    address = urlsplit(endpoint_url)
    with socket.socket() as probe:
        return probe.connect_ex((str(address.hostname), int(address.port or 0))) == 0


def workers_in(folder: Path) -> list[int]:
    """Processes whose command line names the folder: the emulator's Lambda workers."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if str(folder).encode() in command:
                found.append(int(entry.name))
    return found


def eventually(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return False


@pytest.fixture(autouse=True)
def no_other_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)


def test_a_detached_stack_outlives_its_starter_until_down(tmp_path: Path) -> None:
    said: list[str] = []
    session.up(detach=True, progress=said.append, root=tmp_path)
    try:
        record = json.loads((tmp_path / STACK_FILE).read_text())
        assert httpx.get(f"{record['api_url']}/health", timeout=60).status_code == 200
        assert httpx.get(record["site_url"]).status_code == 200
        assert Settings.load({}, start=tmp_path).bucket == record["bucket"]
        assert workers_in(tmp_path / ".local/stack")

        said.clear()
        session.up(detach=True, progress=said.append, root=tmp_path)
        assert "running already" in said[0]
        assert json.loads((tmp_path / STACK_FILE).read_text()) == record
    finally:
        session.down(progress=said.append, root=tmp_path)
    assert not listens(record["aws_endpoint_url"])
    assert eventually(lambda: not workers_in(tmp_path / ".local/stack"))
    assert not (tmp_path / STACK_FILE).exists()
    session.down(progress=said.append, root=tmp_path)
    assert "nothing to end" in said[-1]


def test_an_interrupted_up_cleans_up(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from perennial.deploy import session\n"
        "session.up(detach=False, progress=lambda line: print(line, flush=True), root=Path(sys.argv[1]))"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout is not None
    assert any("Ctrl-C" in line for line in process.stdout)
    endpoint_url = json.loads((tmp_path / STACK_FILE).read_text())["aws_endpoint_url"]
    assert listens(endpoint_url)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=20) == 0
    assert not listens(endpoint_url)
    assert not (tmp_path / STACK_FILE).exists()


def test_the_emulator_ends_with_a_starter_that_is_killed(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from perennial.deploy.ministack import MiniStack\n"
        "print(MiniStack(Path(sys.argv[1])).start().endpoint_url, flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout is not None
    endpoint_url = process.stdout.readline().strip()
    assert listens(endpoint_url)
    process.kill()
    process.wait()
    assert eventually(lambda: not listens(endpoint_url))


def test_a_starter_that_is_killed_before_it_could_record_leaves_nothing(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from perennial.deploy import session\n"
        "session.up(detach=True, progress=lambda line: print(line, flush=True), root=Path(sys.argv[1]))"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout is not None
    started = next(line for line in process.stdout if line.startswith("Started"))
    process.kill()
    process.wait()
    assert not (tmp_path / STACK_FILE).exists()
    assert eventually(lambda: not listens(started.split()[-1]))


def test_a_leftover_environment_of_a_stack_that_ended_does_not_hinder_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``eval "$(perennial env)"; make down; make up``, in one shell."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        gone = f"http://127.0.0.1:{closed.getsockname()[1]}"
    leftover = {"AWS_ENDPOINT_URL": gone, "AWS_ACCESS_KEY_ID": "old", "AWS_SECRET_ACCESS_KEY": "old"}
    for name, value in (leftover | {"AWS_SESSION_TOKEN": "old", "PERENNIAL_BUCKET": "gone"}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PERENNIAL_API_URL", f"{gone}/api")
    monkeypatch.setenv("PERENNIAL_REFRESH_SECONDS", "nonsense")
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    said: list[str] = []
    try:
        session.up(detach=True, progress=said.append, root=tmp_path)
        assert said[0].startswith(f"Nothing answers at AWS_ENDPOINT_URL={gone}")
        record = json.loads((tmp_path / STACK_FILE).read_text())
        assert record["aws_endpoint_url"] != gone and record["access_key"] == "test"
        assert any("perennial env" in line for line in said)
        monkeypatch.chdir(tmp_path)
        exports = subprocess.run(
            [Path(sys.executable).with_name("perennial"), "env"], capture_output=True, text=True, check=True
        ).stdout
        assert record["aws_endpoint_url"] in exports and record["api_url"] in exports
        assert gone not in exports
        found = session.read(tmp_path)
        assert found is not None
        assert (
            found.stack.inhabit(os.environ).keys() & {"AWS_PROFILE", "AWS_SESSION_TOKEN", "PERENNIAL_REFRESH_SECONDS"}
            == set()
        )
    finally:
        session.down(progress=said.append, root=tmp_path)


def test_an_emulator_of_someone_else_is_used_and_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    with MiniStack(tmp_path / "theirs") as emulator:
        monkeypatch.setenv("AWS_ENDPOINT_URL", emulator.endpoint_url)
        session.up(detach=True, progress=said.append, root=tmp_path)
        record = json.loads((tmp_path / STACK_FILE).read_text())
        assert (record["aws_endpoint_url"], record["pid"]) == (emulator.endpoint_url, None)
        session.down(progress=said.append, root=tmp_path)
        assert emulator.running() and not (tmp_path / STACK_FILE).exists()


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="the proof that a process is ours needs /proc")
@pytest.mark.parametrize("damage", ["{", "[]", '{"pid": 1, "token": "x"}'])
def test_down_removes_a_damaged_record_and_ends_the_emulator_that_is_ours(tmp_path: Path, damage: str) -> None:
    ours, other = MiniStack(tmp_path / session.FOLDER), MiniStack(tmp_path / "other")
    with other, ours:
        ours.release()
        (tmp_path / STACK_FILE).write_text(damage)
        said: list[str] = []
        session.down(progress=said.append, root=tmp_path)
        assert "damaged" in said[0]
        assert eventually(lambda: not ours.running()) and other.running()
        assert not (tmp_path / STACK_FILE).exists()


def test_down_leaves_a_process_alone_that_is_not_ours(tmp_path: Path) -> None:
    """After a reboot, the recorded process id and port may belong to someone else."""
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
    try:
        stack = dict.fromkeys((field.name for field in fields(LocalStack) if field.name != "endpoint_url"), "x")
        stack |= {"aws_endpoint_url": "http://127.0.0.1:9"}
        (tmp_path / ".local").mkdir()
        (tmp_path / STACK_FILE).write_text(json.dumps(stack | {"pid": bystander.pid, "token": "stale"}))
        said: list[str] = []
        session.down(progress=said.append, root=tmp_path)
        assert "no longer runs" in said[-1]
        assert bystander.poll() is None
        assert not (tmp_path / STACK_FILE).exists()
    finally:
        bystander.kill()
        bystander.wait()


def test_it_listens_on_this_machine_only_and_knows_itself(tmp_path: Path) -> None:
    with MiniStack(tmp_path) as emulator:
        assert urlsplit(emulator.endpoint_url).hostname == "127.0.0.1"
        assert answers(emulator.endpoint_url, emulator.token)
        assert not answers(emulator.endpoint_url, "another")
        port = urlsplit(emulator.endpoint_url).port
        assert not listens(f"http://{_address_of_this_machine()}:{port}")


def test_deploying_again_updates_in_place_and_keeps_what_is_stored(tmp_path: Path) -> None:
    with MiniStack(tmp_path) as emulator:
        aws = embedded(emulator.endpoint_url)
        packages = build_packages("local", BUILD, python=emulator.python)
        first = deploy(aws, packages, TEMPLATE, parameters=TRUST)
        aws.client("s3").put_object(Bucket=first.bucket, Key="kept", Body=b"kept")
        assert deploy(aws, packages, TEMPLATE, parameters=TRUST) == first
        changed = deploy(aws, packages, TEMPLATE, parameters=TRUST | {"RefreshSeconds": "60"})
        assert changed == first
        live = {"FunctionName": first.function, "Qualifier": "live"}  # what callers reach
        variables = aws.client("lambda").get_function_configuration(**live)["Environment"]
        assert variables["Variables"]["PERENNIAL_REFRESH_SECONDS"] == "60"
        assert aws.client("s3").get_object(Bucket=first.bucket, Key="kept")["Body"].read() == b"kept"
        resources = aws.client("cloudformation").describe_stack_resources(StackName="perennial-local")["StackResources"]
        declared = stack_templates()[TEMPLATE]["Resources"]
        assert {resource["LogicalResourceId"] for resource in resources} == set(declared)


def test_a_template_that_is_refused_says_why(tmp_path: Path) -> None:
    broken = tmp_path / "template.yaml"
    shutil.copytree(ROOT / "infra/stacks", tmp_path / "infra/stacks")
    with MiniStack(tmp_path / "aws") as emulator:
        packages = build_packages("local", BUILD, python=emulator.python)
        broken.write_text(
            TEMPLATE.read_text().replace("    Type: AWS::CloudFormation::Stack", "    Type: AWS::No::Thing")
        )
        with pytest.raises(DeployError, match=r"perennial-local: refused: .*AWS::No::Thing"):
            deploy(embedded(emulator.endpoint_url), packages, broken, parameters=TRUST)


def test_what_fails_within_a_nested_template_names_its_stack(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "infra/stacks", tmp_path / "infra/stacks")
    shutil.copy(TEMPLATE, tmp_path)
    nested = tmp_path / "infra/stacks/scoring.yaml"
    nested.write_text(
        nested.read_text().replace("  ScoringDeadQueue:\n    Type: A", "  ScoringDeadQueue:\n    Type: No")
    )
    with MiniStack(tmp_path / "aws") as emulator:
        packages = build_packages("local", BUILD, python=emulator.python)
        with pytest.raises(DeployError, match=r"ROLLBACK_COMPLETE: Scoring: .*NoWS::SQS::Queue"):
            deploy(embedded(emulator.endpoint_url), packages, tmp_path / "template.yaml", parameters=TRUST)


def _address_of_this_machine() -> str:
    """Its address towards others, found without sending anything; 127.0.0.2 where it has none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
            return str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.2"
