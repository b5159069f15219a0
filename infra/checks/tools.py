"""Run a tool over all there is for it, and read what it found. Nothing goes to the network."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

from infra.checks.files import CODE, ROOT, others, templates
from infra.checks.known import Found

MAIN, CHECKOV = ROOT / ".venv/bin", ROOT / ".local/envs/checkov/bin"


class ToolFailed(Exception):
    """A tool is not there, or did not do its work; nothing is known of what it would have found."""


def bandit(root: Path = ROOT) -> list[Found]:
    """Python that does what it should not."""
    answer = _json(
        [
            str(MAIN / "bandit"),
            "--quiet",
            "--recursive",
            "--format",
            "json",
            *(name for name in CODE if (root / name).is_dir()),
        ],
        (0, 1),
        root,
    )
    if answer["errors"]:
        raise ToolFailed(f"bandit cannot read {answer['errors'][0]['filename']}.")
    return [
        Found(one["test_id"], one["filename"].removeprefix("./"), f"line {one['line_number']}: {one['issue_text']}")
        for one in answer["results"]
    ]


def cfn_lint(root: Path = ROOT) -> list[Found]:
    """Templates that CloudFormation would refuse, or that its makers advise against."""
    command = [str(MAIN / "cfn-lint"), "--include-checks", "I", "--format", "json", "--", *templates(root)]
    answer = _json(command, tuple(range(15)), root)
    return [
        Found(one["Rule"]["Id"], _relative(one["Filename"], root), f"line {one['Location']['Start']['LineNumber']}: "
              + one["Message"])
        for one in answer
    ]  # fmt: skip


def checkov(root: Path = ROOT) -> list[Found]:
    """Templates, recipes of images, workflows and manifests that are less secure than they could be."""
    files = [argument for path in (*templates(root), *others(root)) for argument in ("--file", path)]
    kinds = ("cloudformation", "dockerfile", "github_actions", "kubernetes")
    options = ["--skip-download", "--compact", "--quiet", "--output", "json", "--framework", *kinds]
    answer = _json([str(CHECKOV / "checkov"), *options, *files], (0, 1), root)
    found = []
    for report in answer if isinstance(answer, list) else [answer]:
        results = report.get("results", {})
        if results.get("parsing_errors"):
            raise ToolFailed(f"checkov cannot read {', '.join(results['parsing_errors'])}.")
        found += [_of_checkov(one, root) for one in results.get("failed_checks", [])]
    return found


def _of_checkov(one: dict[str, Any], root: Path) -> Found:
    resource = one["resource"].rsplit("#", 1)[-1]
    file = _relative(one["file_path"], root)
    resource = resource.removeprefix(f"/{file}.").removeprefix(f"{file}.").strip(".")
    place = f"{file}#{resource.split('.')[-1]}" if resource and resource != file else file
    return Found(one["check_id"], place, one["check_name"])


def _relative(path: str, root: Path) -> str:
    found = PurePosixPath(path)
    return str(found.relative_to(root)) if found.is_relative_to(root) else path.lstrip("/").removeprefix("./")


def _json(command: list[str], good: tuple[int, ...], root: Path) -> Any:
    """What a tool prints. ``good`` are the exit codes by which it says that it has done its work."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "BC_", "PRISMA_"))}
    try:
        done = subprocess.run(  # noqa: S603 - our own tools
            command, capture_output=True, text=True, check=False, cwd=root, env=env, stdin=subprocess.DEVNULL
        )
    except OSError as error:
        raise ToolFailed(f"{command[0]}: {error.strerror}. Run `make setup`.") from error
    try:
        if done.returncode not in good:
            raise ValueError(f"ended with {done.returncode}")
        return json.loads(done.stdout or "[]")
    except ValueError as error:
        said = " ".join((done.stderr or done.stdout).split())[-300:]
        raise ToolFailed(f"{command[0]}: {error}: {said}") from error


TOOLS: dict[str, Callable[[Path], list[Found]]] = {"bandit": bandit, "cfn-lint": cfn_lint, "checkov": checkov}
