"""What Airflow makes of DAG files, by one process that has imported it for all tests of a worker."""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

from perennial.deploy.ministack import end_group
from perennial.deploy.package import ROOT
from perennial.deploy.scheduler import AIRFLOW, DAGS
from perennial.deploy.up import BUILD

DESCRIBE = ROOT / "tests/dags/describe.py"


def described(folder: Path, env: Mapping[str, str]) -> dict[str, Any]:
    """All that our DAG files define under ``env``; ``folder`` is a new one, which takes what Airflow writes."""
    _ask("dags", folder, env, str(DAGS))
    found: dict[str, Any] = json.loads((folder / "out.json").read_text())
    return found


def take_schedules(folder: Path, texts: list[str]) -> None:
    """Fails where Airflow does not take one of these schedules."""
    _ask("schedules", folder, os.environ, texts)


def _ask(what: str, folder: Path, env: Mapping[str, str], argument: object) -> None:
    process = _process()
    assert process.stdin and process.stdout
    own = {
        "AIRFLOW_HOME": str(folder), "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{folder}/airflow.db",
    }  # fmt: skip
    asked = {"what": what, "cwd": str(folder), "env": {**env, **own}, "argument": argument}
    process.stdin.write(json.dumps(asked) + "\n")
    process.stdin.flush()
    answer = process.stdout.readline()
    assert answer == "0\n", f"{answer}{(folder / 'said').read_text() if (folder / 'said').exists() else ''}"


@cache
def _process() -> subprocess.Popen[str]:
    """Started by the first who asks, and ended with this process."""
    BUILD.mkdir(parents=True, exist_ok=True)
    stack = ExitStack()
    atexit.register(stack.close)
    home = stack.enter_context(tempfile.TemporaryDirectory(prefix="dags-", dir=BUILD))
    env = {
        **os.environ, "AIRFLOW_HOME": home, "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
    }  # fmt: skip
    process = subprocess.Popen(
        [str(AIRFLOW.with_name("python")), str(DESCRIBE)], env=env, cwd=home, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True,
    )  # fmt: skip
    stack.callback(end_group, process.pid)
    return process
