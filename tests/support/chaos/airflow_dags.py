"""The training DAG itself, run by Airflow in a scenario's world."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from random import Random

from perennial.deploy.scheduler import DAGS, serving
from tests.support.chaos.airflow_child import Order
from tests.support.chaos.airflow_courses import DATE, RUN, Course, Findings
from tests.support.chaos.airflow_held import MODEL
from tests.support.chaos.airflow_world import World
from tests.support.dag_runs import DagRun, DagRuns, dag_runs

DAG = f"train_{MODEL}"


@contextmanager
def scheduled(world: World, home: Path) -> Iterator[DagRuns]:
    """Airflow on this world, which knows trainings alone; tasks are tried again at once."""
    folder = home / "dags"
    if not folder.exists():
        folder.mkdir(parents=True)
        for name in ("training.py", "perennial_wiring.py"):
            (folder / name).symlink_to(DAGS / name)
    own = {"PERENNIAL_PYTHON": str(world.warm.python), "AIRFLOW__CORE__DAGS_FOLDER": str(folder)}
    with dag_runs(serving(os.environ, str(world.spec), home) | own, folder, retry_seconds=0) as runs:
        yield runs


def judged(world: World, course: Course, run: DagRun, found: Findings, where: str) -> None:
    """The run has succeeded, and left what an undisturbed one does."""
    found.must((run.run, run.state) == (RUN, "success"), f"{where}: {run.run} is {run.state}: {run.tasks}")
    found.expect(course.end.held, world.held(), where)
    found.must(not world.warm.children(), f"{where}: processes are left")


def tasks_killed(world: World, course: Course, runs: DagRuns, draw: Random, found: Findings) -> None:
    """One run in which the process of each task is killed once, somewhere, and tried again by Airflow."""
    world.fresh(course.stages[0].before, spec=course.spec)
    for number, stage in enumerate(course.stages):
        world.order(str(number), Order(stage.do.step, *draw.choice(stage.places()), stage.do.candidate))
    run = runs.run(DAG, DATE)
    met = [stage.do for number, stage in enumerate(course.stages) if world.reached(str(number))]
    found.injected += len(met)
    found.must(len(met) == len(course.stages), f"only these were killed: {met}")
    judged(world, course, run, found, "tasks killed")


def all_killed(world: World, course: Course, home: Path, step: str, found: Findings) -> None:
    """All of Airflow is killed while a step is at work; then the run is done again, and once more when it succeeded."""
    stage = course.stages[course.stage(step)]
    world.fresh(course.stages[0].before, spec=course.spec)
    world.order("wait", Order(step, "before", len(stage.puts), act="wait"))
    with ThreadPoolExecutor(1) as pool, scheduled(world, home) as runs:
        dying = pool.submit(runs.run, DAG, DATE)
        world.await_reached("wait")
        runs.kill()
        found.must(isinstance(dying.exception(), AssertionError), "the run ended though Airflow was killed")
    found.injected += 1
    with scheduled(world, home) as runs:
        for where in (f"killed at {step}", f"killed at {step}, cleared after its success"):
            judged(world, course, runs.run(DAG, DATE), found, where)
