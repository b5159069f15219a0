"""Run a DAG once by Airflow, in Airflow's own environment, against a stack.

``airflow dags test`` runs every task as the scheduler would, in one process and without a server; `make airflow`
starts the whole of Airflow with its pages.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from perennial.deploy.interrupts import followed
from perennial.deploy.ministack import end_group
from perennial.deploy.package import ROOT
from perennial.deploy.up import LocalStack, Progress
from perennial.errors import DeployError

AIRFLOW = ROOT / ".local/envs/airflow/bin/airflow"
DAGS = ROOT / "airflow/dags"
HOME = ROOT / ".local/airflow"
EMPTY = ROOT / ".local/build/airflow"
# Airflow's log line: time, level, the text of the step, and the logger it came by.
_STEP_LINE = re.compile(r"\[\w+\s*\] (?P<text>.*?)\s+\[perennial\.jobs\.local\]")
_TASK_LINE = re.compile(r"\[DAG TEST\] starting task_id=(?P<task>\S+) map_index=(?P<index>-?\d+)")
_PYTHON = ("PYTHONPATH", "PYTHONHOME")
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def environment(stack: LocalStack, specs: str, home: Path = HOME) -> dict[str, str]:
    """The variables under which Airflow finds our DAGs and specs, and its jobs find the stack."""
    return serving(stack.inhabit(os.environ), specs, home)


def serving(env: Mapping[str, str], specs: str, home: Path) -> dict[str, str]:
    """``env`` with the variables under which Airflow finds our DAGs and specs; in it jobs find their stack."""
    return {
        **{name: value for name, value in env.items() if name not in _PYTHON},
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__LOGGING__COLORED_CONSOLE_LOG": "False",
        "PERENNIAL_SPECS": specs,
        "PERENNIAL_PYTHON": sys.executable,
    }


def run_dag(dag_id: str, env: Mapping[str, str], progress: Progress, conf: str | None = None) -> None:
    """Run one DAG to its end, telling each task and each line of its step.

    Raises:
        DeployError: Airflow is not set up, or the run failed; names the log.
    """
    home = Path(env["AIRFLOW_HOME"])
    prepare(home, env)
    log = home / f"{dag_id}.log"
    command = followed([str(AIRFLOW), "dags", "test", dag_id, *(["--conf", conf] if conf else [])])
    with (
        log.open("w") as kept,
        subprocess.Popen(  # noqa: S603
            command, env=dict(env), cwd=home, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        ) as process,
    ):  # fmt: skip
        assert process.stdout is not None
        try:
            for line in process.stdout:
                kept.write(line)
                if text := _told(line):
                    progress(text)
            code = process.wait()
        except BaseException:
            end_group(process.pid)
            raise
    if code != 0:
        raise DeployError(f"The run of DAG {dag_id} failed.", remedy=f"Its log is {log}.")


def prepare(home: Path, env: Mapping[str, str]) -> None:
    """Make Airflow's database where there is none, by copying an empty one. Raises DeployError."""
    if (home / "airflow.db").exists():
        return
    if not AIRFLOW.exists():
        raise DeployError(
            "Airflow's environment is missing.", remedy="`make demo`, `make test` or `make airflow` makes it."
        )
    home.mkdir(parents=True, exist_ok=True)
    unfinished = home / "unfinished.db"
    shutil.copyfile(_empty_database(env), unfinished)
    unfinished.rename(home / "airflow.db")


def _empty_database(env: Mapping[str, str]) -> Path:
    """A migrated database without a run in it, made once for each state of the environment's lock."""
    lock = hashlib.sha256((ROOT / "requirements/airflow.txt").read_bytes()).hexdigest()[:12]
    made = EMPTY / f"{lock}.db"
    if made.exists():
        return made
    EMPTY.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=EMPTY) as scratch:
        unfinished = Path(scratch, "airflow.db")
        done = subprocess.run(  # noqa: S603
            [str(AIRFLOW), "db", "migrate"],
            env={**env, "AIRFLOW_HOME": scratch, "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{unfinished}"},
            cwd=scratch, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            raise DeployError(f"Airflow's database could not be made: {done.stderr[-500:]}", remedy=f"Remove {EMPTY}.")
        unfinished.rename(made)
    return made


def _told(line: str) -> str | None:
    line = _COLOURS.sub("", line)
    if match := _STEP_LINE.search(line):
        return f"    {match['text']}"
    if match := _TASK_LINE.search(line):
        return f"  {match['task']}" + (f" [{match['index']}]" if match["index"] != "-1" else "")
    return None
