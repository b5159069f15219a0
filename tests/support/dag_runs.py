"""Real runs of DAGs by Airflow without a server; ``tests/support/airflow.py`` has one with all its parts."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from perennial.deploy.ministack import end_group
from perennial.deploy.scheduler import AIRFLOW, DAGS, prepare

RUNNER = Path(__file__).with_name("dag_runner.py")


class DagRun(NamedTuple):
    """How one run ended: its id, its state, the state of each task, and what it logged.

    ``tries`` says how often each was tried; the instances of a mapped one have their number behind its name.
    """

    run: str
    state: str
    tasks: dict[str, str]
    tries: dict[str, int]
    log: str


class DagRuns:
    """A process of Airflow that runs one DAG after the other."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self._process, self._log = process, log
        self._read = 0

    def run(self, dag_id: str, logical_date: datetime | None = None) -> DagRun:
        """Run a DAG to its end. A run of the same date is the same one: all of it is cleared and done again."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps([dag_id, logical_date and logical_date.isoformat()]) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        text = self._log.read_text(errors="replace")
        said, self._read = text[self._read :], len(text)
        assert answer, said[-4000:]
        return DagRun(**json.loads(answer), log=said)

    def kill(self) -> None:
        """Kill the whole of Airflow, whatever it does."""
        end_group(self._process.pid)


@contextmanager
def dag_runs(env: Mapping[str, str], folder: Path = DAGS, *, retry_seconds: float | None = None) -> Iterator[DagRuns]:
    """Airflow under ``env``, which is ``perennial.deploy.scheduler.environment`` and what more a test needs.

    ``folder`` has the DAG files; ``AIRFLOW__CORE__DAGS_FOLDER`` has to name it too. Tasks that failed are tried again
    after ``retry_seconds``, where given.
    """
    home = Path(env["AIRFLOW_HOME"])
    prepare(home, env)
    log = home / "runs.log"
    command = [str(AIRFLOW.with_name("python")), "-P", str(RUNNER), str(folder)]
    command += [] if retry_seconds is None else [str(retry_seconds)]
    with (
        log.open("w") as said,
        subprocess.Popen(
            command, env=dict(env), cwd=home, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, text=True,
            start_new_session=True,
        ) as process,
    ):  # fmt: skip
        try:
            yield DagRuns(process, log)
        finally:
            end_group(process.pid)
