"""The image of jobs: what goes into it, as whom it runs, and that what it installs does what a job asks of it."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

import pytest

from perennial.deploy.airflow_package import build_wheel
from perennial.deploy.template import read_template

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "infra/images/job"
UV = ROOT / ".local/uv/bin/uv"


@pytest.fixture(scope="module")
def instructions() -> list[tuple[str, str]]:
    """Instruction and argument, one for each of the file, continued lines joined."""
    text = re.sub(r"\\\n\s*", "", (FOLDER / "Dockerfile").read_text())
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines)]


def said(instructions: list[tuple[str, str]], word: str) -> list[str]:
    return [rest for instruction, rest in instructions if instruction == word]


def containers() -> list[dict[str, Any]]:
    resources = read_template(ROOT / "infra/batch.yaml")["Resources"].values()
    return [one["Properties"]["ContainerProperties"] for one in resources if one["Type"] == "AWS::Batch::JobDefinition"]


def test_all_that_is_installed_is_locked_with_hashes(instructions: list[tuple[str, str]]) -> None:
    commands = [command.strip() for run in said(instructions, "RUN") for command in run.split("&&")]
    installs = [command for command in commands if "pip install" in command]
    assert len(installs) == 3
    for command in installs:
        assert "--no-deps" in command
        assert "--require-hashes" in command or "--no-index /build/dist/perennial-*.whl" in command
    bases = said(instructions, "ARG") + said(instructions, "FROM")
    assert all(re.search(r":\d+\.\d+\.\d+-slim|\$\{BASE\}", base) for base in bases), bases


def test_what_is_sent_is_what_is_copied(instructions: list[tuple[str, str]]) -> None:
    copied = [place for line in said(instructions, "COPY") if "--from" not in line for place in line.split()[:-1]]
    sent = (FOLDER / "Dockerfile.dockerignore").read_text().splitlines()
    assert sorted(copied) == sorted(line[1:] for line in sent if line.startswith("!"))
    assert all((ROOT / place).exists() for place in copied)


def test_it_runs_as_nobody_and_writes_to_one_place_as_its_jobs_are_declared(
    instructions: list[tuple[str, str]],
) -> None:
    (user,) = said(instructions, "USER")
    (volume,) = json.loads(said(instructions, "VOLUME")[0])
    (environment,) = said(instructions, "ENV")
    variables = dict(word.split("=", 1) for word in shlex.split(environment))
    assert {variables["HOME"], variables["TMPDIR"], variables["MPLCONFIGDIR"]} == {volume}
    assert said(instructions, "WORKDIR") == [volume] and said(instructions, "ENTRYPOINT") == []
    for container in containers():
        assert user == f"{container['User']}:{container['User']}" and user != "0:0"
        (mount,) = container["MountPoints"]
        assert mount["ContainerPath"] == volume
        assert [one["Name"] for one in container["Volumes"]] == [mount["SourceVolume"]]


def test_what_it_installs_runs_its_command_and_a_step(instructions: list[tuple[str, str]], tmp_path: Path) -> None:
    wheel, place = build_wheel(tmp_path / "dist"), tmp_path / "env"
    subprocess.run([UV, "venv", "--quiet", "--no-project", str(place)], check=True, cwd=tmp_path)
    python = place / "bin/python"
    subprocess.run(
        [UV, "pip", "install", "--quiet", "--offline", "--no-deps", "--python", str(python), str(wheel)], check=True
    )
    packages = next(place.glob("lib/python*/site-packages"))
    (packages / "locked.pth").write_text(sysconfig.get_path("purelib") + "\n")  # which stands for train.txt
    (command,) = said(instructions, "CMD")
    env = {"PATH": f"{place / 'bin'}{os.pathsep}{os.environ['PATH']}", "HOME": str(tmp_path), "PYTHONPATH": ""}

    def ended(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(words, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=False)

    helped = ended(*json.loads(command))
    assert helped.returncode == 0 and "--result" in helped.stdout, helped.stderr
    where = ended("python", "-c", "import perennial; print(perennial.__file__)").stdout.strip()
    assert where == str(packages / "perennial/__init__.py")  # the wheel's, not the repository's
    refused = ended("python", "-m", "perennial.jobs", "train", "--spec", "s3://models", "--run", "one")
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1), refused.stderr


def test_its_lock_is_that_of_the_environment_which_tests_run_in() -> None:
    def versions(name: str) -> dict[str, str]:
        text = (ROOT / "requirements" / name).read_text()
        return dict(re.findall(r"^([a-z0-9_.-]+)==([^\s;\\]+)", text, re.MULTILINE))

    ours, tested = versions("train.txt"), versions("dev.txt")
    assert ours and {name: tested.get(name) for name in ours} == ours
