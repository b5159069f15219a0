"""Airflow with its scheduler in a scenario's world: kills, pauses and clears as they come to it."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support.airflow import Airflow
from tests.support.chaos.airflow_child import Order
from tests.support.chaos.airflow_courses import DATE, RUN, Course, Findings
from tests.support.chaos.airflow_dags import DAG
from tests.support.chaos.airflow_world import World

DEAD_SECONDS = "15"
"""A task whose beats are missing for so long is taken for dead."""
GIVEN_UP = ("up_for_retry", "failed", "scheduled", "queued")


@contextmanager
def serving(world: World, folder: Path) -> Iterator[Airflow]:
    """API server and scheduler, which know the training of this world."""
    airflow = Airflow(os.environ, folder)
    airflow.env |= {
        "PERENNIAL_PYTHON": str(world.warm.python),
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": DEAD_SECONDS,
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
        "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "5",
    }
    try:
        airflow.start()
        airflow.serve(world.spec)
        yield airflow
    finally:
        airflow.stop()


def begin(world: World, course: Course, airflow: Airflow, order: Order) -> None:
    """Start the run anew, in a bucket as it was before, with something to happen on its way."""
    world.fresh(course.stages[0].before, spec=course.spec)
    world.order("way", order)
    if any(run["dag_run_id"] == RUN for run in airflow.runs(DAG)):
        airflow.delete(DAG, RUN)
        shutil.rmtree(airflow.home / "logs", ignore_errors=True)
    airflow.trigger(DAG, dag_run_id=RUN, logical_date=DATE.isoformat())
    world.await_reached("way", still=order.act == "pause")


def ended(world: World, course: Course, airflow: Airflow, found: Findings, where: str) -> None:
    """The run succeeds, and leaves what an undisturbed one does."""
    found.injected += 1
    state = airflow.await_run(DAG, RUN)
    found.must(state == "success", f"{where}: {state}: {airflow.task_states(DAG, RUN)}")
    found.expect(course.end.held, world.held(), where)


def step_killed(world: World, course: Course, airflow: Airflow, found: Findings) -> None:
    """A step is killed right after its commit, and its task cleared by the REST API once Airflow knows."""
    begin(world, course, airflow, Order("promote", "after", 3))
    airflow.await_task(DAG, RUN, "promote", ["up_for_retry"])
    airflow.clear(DAG, RUN, "promote")
    ended(world, course, airflow, found, "a step killed, its task cleared")


def chain_cleared(world: World, course: Course, airflow: Airflow, found: Findings) -> None:
    """The whole run, which has succeeded, is cleared and done again."""
    airflow.clear(DAG, RUN, "acquire")
    ended(world, course, airflow, found, "all tasks cleared")


def scheduler_killed(world: World, course: Course, airflow: Airflow, found: Findings) -> None:
    """The scheduler and its tasks are killed while a step is at work; the next one finds out by itself."""
    begin(world, course, airflow, Order("register", "before", 3, act="wait"))
    airflow.kill_scheduler()
    airflow.await_task(DAG, RUN, "register", GIVEN_UP)
    airflow.clear(DAG, RUN, "register")
    ended(world, course, airflow, found, "the scheduler killed")


def zombie(world: World, course: Course, airflow: Airflow, found: Findings) -> None:
    """A task stands still with all its processes until Airflow takes it for dead; when the run is over, it goes on."""
    begin(world, course, airflow, Order("promote", "before", 3, act="pause"))
    step = world.await_reached("way")
    standing = [*_line_of(airflow, "promote"), step]
    for pid in standing[:-1]:
        os.kill(pid, signal.SIGSTOP)
    try:
        airflow.await_task(DAG, RUN, "promote", GIVEN_UP)
        airflow.clear(DAG, RUN, "promote")
        ended(world, course, airflow, found, "a zombie, before it wakes")
    finally:
        for pid in reversed(standing):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
    airflow.wait(lambda: not Path(f"/proc/{step}").exists(), "the zombie's end", 60)
    found.expect(course.end.held, world.held(), "a zombie woke")
    found.must(airflow.task_state(DAG, RUN, "promote") == "success", "a zombie changed the state of its task")


def _line_of(airflow: Airflow, step: str) -> list[int]:
    """The processes of Airflow that wait for a step, outermost first: who watches the task, the task, who called."""
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (entry / "cmdline").read_bytes().split(b"\0")
            if step.encode() in words and str(airflow.specs).encode() in b" ".join(words):
                task = _parent(int(entry.name))
                return [_parent(task), task, int(entry.name)]
    raise AssertionError(f"nobody waits for {step}")


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
