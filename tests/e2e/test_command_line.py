"""The command line as a program of its own, on a real stack: what it does, and what it says when it cannot."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from perennial.demo import FLOWER, write_iris
from perennial.deploy.package import ROOT
from perennial.deploy.up import LocalStack
from perennial.registry.check import check
from perennial.registry.registry import Registry
from perennial.store import Store

SPEC = ROOT / "examples/iris/model.yaml"
COMMAND = Path(sys.executable).with_name("perennial")
Run = Callable[..., Any]


def test_the_command_line_from_init_to_rollback(
    perennial: Run, stack: LocalStack, store: Store, tmp_path: Path
) -> None:
    data, spec = tmp_path / "flowers.csv", tmp_path / "model.yaml"
    write_iris(data)
    assert perennial("init", data, "--target", "species", "--name", "flowers", "-o", spec)["warnings"] == []
    perennial("land", spec, data)
    first = perennial("cycle", spec, "--run", "first")
    assert first["promoted"] and first["trained"]
    assert perennial("cycle", spec, "--run", "first") == first
    assert perennial("cycle", spec)["trained"] is False
    second = perennial("cycle", spec, "--force")
    assert second["generation"] == 2

    assert {row["version"] for row in perennial("versions", "flowers")} == {first["version"], second["version"]}
    back = perennial("rollback", "flowers", "--reason", "wrong on Mondays", "--op-id", "monday")
    assert perennial("rollback", "flowers", "--op-id", "monday") == back
    assert back["version"] == first["version"]
    assert perennial("promote", "flowers", second["version"])["generation"] == 4
    log = perennial("log", "flowers")
    assert [entry["kind"] for entry in log] == ["promotion", "promotion", "rollback", "promotion"]
    assert log[2]["reason"] == "wrong on Mondays"
    assert {"model": "flowers", "champion": second["version"]}.items() <= next(
        row for row in perennial("models") if row["model"] == "flowers"
    ).items()
    assert all(finding["ok"] for finding in perennial("doctor"))
    assert perennial("env")["PERENNIAL_BUCKET"] == stack.bucket


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["land", "SPEC", "absent.csv"], 4, "absent.csv"),
        (["land", "absent.yaml", "absent.csv"], 3, "absent.yaml"),
        (["init", "absent.csv", "--target", "y", "--name", "x"], 4, "absent.csv"),
        (["versions", "absent"], 5, "absent"),
        (["log", "absent"], 5, "absent"),
        (["promote", "absent", "0" * 16], 5, "absent"),
        (["rollback", "absent"], 5, "absent"),
        (["predict", "absent", "{}"], 5, "absent"),
    ],
)
def test_a_mistake_is_one_line_with_a_remedy_and_its_exit_code(
    perennial: Run, arguments: list[str], code: int, words: str
) -> None:
    error = perennial(*[str(SPEC) if word == "SPEC" else word for word in arguments], code=code)["error"]
    assert words in error["message"]
    assert error["message"].count("\n") == 0


def test_a_version_that_is_not_promoted_is_one_json_document_and_exit_code_9(
    perennial: Run, store: Store, tmp_path: Path
) -> None:
    data, spec = tmp_path / "iris.csv", tmp_path / "model.yaml"
    write_iris(data)
    spec.write_text(
        SPEC.read_text().replace("name: iris", "name: asked").replace("gate: {", "gate: {approval: human, ")
    )
    perennial("land", spec, data)
    outcome = perennial("cycle", spec, code=9)
    assert outcome["passed"] and not outcome["promoted"]
    assert perennial("promote", "asked", outcome["version"])["generation"] == 1


def test_a_record_that_does_not_fit_is_named_by_its_fields(
    perennial: Run, stack: LocalStack, store: Store, tmp_path: Path
) -> None:
    data, spec = tmp_path / "petals.csv", tmp_path / "model.yaml"
    write_iris(data)
    perennial("init", data, "--target", "species", "--name", "petals", "-o", spec)
    perennial("land", spec, data)
    perennial("cycle", spec)
    error = perennial("predict", "petals", json.dumps({**FLOWER, "petal_width": "wide", "colour": 1}), code=4)["error"]
    assert "petal_width" in error["message"] and "colour" in error["message"]
    assert "wide" not in error["message"]


def test_a_killed_cycle_is_resumed_by_its_run(perennial: Run, stack: LocalStack, store: Store, tmp_path: Path) -> None:
    data, spec = tmp_path / "iris.csv", tmp_path / "model.yaml"
    write_iris(data)
    perennial("init", data, "--target", "species", "--name", "killed", "-o", spec)
    perennial("land", spec, data)
    with subprocess.Popen(
        [COMMAND, "cycle", str(spec), "--run", "only"], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.strip().startswith("candidate "):  # one candidate is trained, the others are not
                process.kill()
                break
    assert process.returncode == -9
    outcome = perennial("cycle", spec, "--run", "only")
    assert outcome["promoted"]
    assert check(store, "killed") == ()
    assert [entry.generation for entry in Registry(store).log("killed")] == [1]


def test_without_a_stack_the_command_says_what_to_do(tmp_path: Path) -> None:
    bare = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PERENNIAL_"))}
    done = subprocess.run([COMMAND, "models"], cwd=tmp_path, env=bare, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "make up" in done.stderr and "Traceback" not in done.stderr
