"""A real Airflow for tests: API server and scheduler with LocalExecutor on SQLite, all on 127.0.0.1.

A test takes the fixture ``airflow`` (``from tests.support.airflow import airflow``; it needs ``stack``), gives it the
specs whose DAGs it wants, and works by the REST API like anyone else::

    airflow.serve(spec)
    run = airflow.trigger("train_iris", {"cause": "monitor"})
    assert airflow.await_run("train_iris", run) == "success"

One Airflow is started by the first who asks, and ended with the process; files that share it go to one worker of a
parallel run (``turns.py``). No DAG processor runs beside it:
:meth:`Airflow.serve` reads the DAG files, once. A triggerer is started by who needs one (deferred tasks, watchers of
assets): :meth:`Airflow.start_triggerer`.
"""

from __future__ import annotations

import atexit
import base64
import os
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Collection, Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import pytest

from perennial.deploy.interrupts import followed
from perennial.deploy.ministack import end_group
from perennial.deploy.scheduler import AIRFLOW, prepare, serving
from perennial.deploy.up import BUILD, LocalStack
from perennial.errors import NotFoundError, SchedulerUnavailable
from perennial.jobs.airflow_rest import AirflowRest, TaskPlace
from perennial.spec import load_spec
from tests.support.stack import shared_stack
from tests.support.warm import shared_warm
from tests.web.web_harness import free_port

T = TypeVar("T")
ENDED = ("success", "failed")
FINISHED = (*ENDED, "skipped", "upstream_failed", "removed")
START_SECONDS = 120.0


class Airflow:
    """One running Airflow and its REST API, on the stack that ``env`` names."""

    def __init__(self, env: Mapping[str, str], folder: Path) -> None:
        self.home = folder / "home"
        self.specs = folder / "specs"
        self.specs.mkdir(parents=True)
        port, scheduler_port, logs_port = free_port(), free_port(), free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.env = {
            **serving(env, str(self.specs), self.home),
            "PERENNIAL_AIRFLOW_URL": self.url,
            "PATH": f"{AIRFLOW.parent}{os.pathsep}{os.environ['PATH']}",
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__API__SECRET_KEY": secrets.token_hex(16),
            "AIRFLOW__API__WORKER_LOG_SERVER_PORT": str(logs_port),
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__CORE__FERNET_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            "AIRFLOW__CORE__PARALLELISM": "2",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK": "False",
            "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_PORT": str(scheduler_port),
            "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
            "AIRFLOW__SCHEDULER__TRIGGER_TIMEOUT_CHECK_INTERVAL": "1",
            # Tasks forked side by side hold each other's pipes: the end of one is often seen only at its next beat.
            "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
        }
        self._port = port
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._rest: AirflowRest | None = None

    def start(self) -> None:
        """Start it and wait until API and scheduler work."""
        prepare(self.home, self.env)
        self._launch("api-server", "--host", "127.0.0.1", "--port", str(self._port), "--workers", "1")
        self._launch("scheduler", "--skip-serve-logs")
        self.wait(self._healthy, "Airflow to start", START_SECONDS)

    def stop(self) -> None:
        """End all its processes, and nothing else."""
        for process in self._processes.values():
            end_group(process.pid, process)
        self._processes.clear()

    def kill_scheduler(self) -> None:
        """Kill the scheduler with all the tasks it runs, and start another one."""
        process = self._processes.pop("scheduler")
        end_group(process.pid, process)
        self._launch("scheduler", "--skip-serve-logs")

    def start_triggerer(self) -> None:
        """Start a triggerer, once."""
        if "triggerer" not in self._processes:
            self._launch("triggerer", "--skip-serve-logs")
            self.wait(lambda: self._health()["triggerer"]["status"] == "healthy", "the triggerer", START_SECONDS)

    @property
    def rest(self) -> AirflowRest:
        if self._rest is None:
            self._rest = AirflowRest.connect(self.url, {})
        return self._rest

    def serve(self, *specs: Path, extra: Mapping[str, str] | None = None) -> None:
        """Make the DAGs of these specs known, and start none of them but by :meth:`trigger`.

        Give a spec ``schedule: null`` where no run of its own is wanted. ``extra`` are further variables for Airflow,
        which then has to be started anew.
        """
        for spec in specs:
            place = self.specs / load_spec(spec).name
            place.mkdir(exist_ok=True)
            shutil.copy(spec, place / "model.yaml")
        if extra:
            self.stop()
            self.env |= extra
            self._rest = None
            self.start()
        done = subprocess.run(
            [str(AIRFLOW), "dags", "reserialize"], env=self.env, cwd=self.home, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        self.rest.send("PATCH", "dags?dag_id_pattern=~&update_mask=is_paused", {"is_paused": False})

    def pause(self, dag_id: str) -> None:
        """Have runs of a DAG wait."""
        self.rest.send("PATCH", f"dags/{dag_id}", {"is_paused": True})

    def delete(self, dag_id: str, run_id: str) -> None:
        """Remove a run."""
        self.rest.send("DELETE", _run(dag_id, run_id))

    def trigger(self, dag_id: str, conf: Mapping[str, object] | None = None, **fields: object) -> str:
        """Start a run; returns its id. ``fields`` are further ones of the request, such as ``logical_date``."""
        body = {"logical_date": None, "conf": dict(conf or {}), **fields}
        run_id: str = self.rest.send("POST", f"dags/{dag_id}/dagRuns", body)["dag_run_id"]
        return run_id

    def runs(self, dag_id: str) -> list[dict[str, Any]]:
        """All runs of a DAG, oldest first."""
        found: list[dict[str, Any]] = self.rest.get(f"dags/{dag_id}/dagRuns?order_by=run_after")["dag_runs"]
        return found

    def run_state(self, dag_id: str, run_id: str) -> str:
        state: str = self.rest.get(_run(dag_id, run_id))["state"]
        return state

    def task_states(self, dag_id: str, run_id: str) -> dict[str, str | None]:
        """Task -> state; of a mapped task that of its last instance."""
        found = self.rest.get(f"{_run(dag_id, run_id)}/taskInstances")["task_instances"]
        return {each["task_id"]: each["state"] for each in found}

    def task_state(self, dag_id: str, run_id: str, task_id: str) -> str | None:
        return self.task_states(dag_id, run_id)[task_id]

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str = "return_value") -> Any:
        """What a task handed on."""
        path = f"{_run(dag_id, run_id)}/taskInstances/{task_id}/xcomEntries/{key}?deserialize=true"
        return self.rest.get(path)["value"]

    def answer(self, dag_id: str, run_id: str, task_id: str, option: str, reason: str = "") -> None:
        """Answer a parked task, as the pages do."""
        self.rest.answer(TaskPlace(dag_id=dag_id, run_id=run_id, task_id=task_id), option, reason)

    def clear(self, dag_id: str, run_id: str, *task_ids: str, downstream: bool = True) -> None:
        """Have tasks done again, and what follows them."""
        body = {
            "dag_run_id": run_id, "task_ids": list(task_ids), "dry_run": False, "only_failed": False,
            "include_downstream": downstream, "reset_dag_runs": True,
        }  # fmt: skip
        self.rest.send("POST", f"dags/{dag_id}/clearTaskInstances", body)

    def await_run(self, dag_id: str, run_id: str, seconds: float = 300.0) -> str:
        """Wait for the end of a run; returns its state."""
        return self.wait(
            lambda: state if (state := self.run_state(dag_id, run_id)) in ENDED else None,
            f"the end of {run_id}", seconds, lambda: str(self.task_states(dag_id, run_id)),
        )  # fmt: skip

    def await_task(
        self, dag_id: str, run_id: str, task_id: str, states: Collection[str] = FINISHED, seconds: float = 300.0
    ) -> str:
        """Wait until a task is in one of ``states``; returns which."""
        return self.wait(
            lambda: state if (state := self.task_state(dag_id, run_id, task_id)) in states else None,
            f"{task_id} of {run_id}", seconds, lambda: str(self.task_states(dag_id, run_id)),
        )  # fmt: skip

    def log(self, dag_id: str, run_id: str, task_id: str) -> str:
        """All that a task of a run has logged."""
        folder = self.home / "logs" / f"dag_id={dag_id}" / f"run_id={run_id}" / f"task_id={task_id}"
        return "".join(file.read_text() for file in sorted(folder.rglob("*.log")))

    def wait(self, found: Callable[[], T | None], what: str, seconds: float, told: Callable[[], str] = lambda: "") -> T:
        """Wait until ``found`` gives something that is true."""
        limit = time.monotonic() + seconds
        while not (result := found()):
            for name, process in self._processes.items():
                assert process.poll() is None, f"Airflow's {name} ended:\n{self._tail(name)}"
            assert time.monotonic() < limit, f"Waited {seconds} s for {what}. {told()}\n{self._tail('scheduler')}"
            time.sleep(0.2)
        return result

    def _launch(self, name: str, *arguments: str) -> None:
        with (self.home / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                followed([str(AIRFLOW), name, *arguments]), env=self.env, cwd=self.home, stdin=subprocess.PIPE,
                stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    def _health(self) -> dict[str, Any]:
        return self.rest.get("monitor/health")

    def _healthy(self) -> bool:
        try:
            return all(self._health()[part]["status"] == "healthy" for part in ("metadatabase", "scheduler"))
        except (SchedulerUnavailable, NotFoundError):
            return False

    def _tail(self, name: str) -> str:
        log = self.home / f"{name}.log"
        return log.read_text(errors="replace")[-3000:] if log.exists() else ""


def _run(dag_id: str, run_id: str) -> str:
    return f"dags/{dag_id}/dagRuns/{quote(run_id, safe='')}"


@cache
def shared_airflow() -> Airflow:
    """The Airflow of this process on the shared stack, started by the first who asks and ended with the process."""
    BUILD.parent.mkdir(parents=True, exist_ok=True)
    stack = shared_stack()
    folder = Path(tempfile.mkdtemp(prefix="airflow-", dir=BUILD.parent))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    found = Airflow(stack.inhabit(os.environ), folder)
    found.env["PERENNIAL_PYTHON"] = str(shared_warm().python)
    atexit.register(found.stop)
    found.start()
    return found


@pytest.fixture(scope="session")
def airflow(stack: LocalStack) -> Airflow:
    return shared_airflow()
