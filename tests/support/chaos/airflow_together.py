"""Runs that meet: one behind the other, side by side, again, and processes that wake when all is over."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from perennial.jobs.workspace import run_name
from tests.support.chaos.airflow_child import Order
from tests.support.chaos.airflow_courses import LEARN, PROMOTE, Course, Finding, Findings, Stage
from tests.support.chaos.airflow_held import REPLACED, Objects
from tests.support.chaos.airflow_world import KILLED, Do, Ended, World

BUSY = 6
TURN_SECONDS = 300.0
NOTHING_TO_DO = (Do("release"),)
AFTER_THE_LEASE = 11
"""Minutes after which a run that is killed or paused has lost its turn."""


@contextmanager
def paused(world: World, stage: Stage, run: str, put: int) -> Iterator[tuple[int, Future[Ended]]]:
    """A task's process that stands still before one of its writes; it goes on at the end of the block at the latest."""
    world.order("pause", Order(stage.do.step, "before", put, stage.do.candidate, run, "pause"))
    with ThreadPoolExecutor(1) as pool:
        attempt = pool.submit(world.attempt, stage.do, run)
        pid = world.await_reached("pause", still=True)
        try:
            yield pid, attempt
        finally:
            with suppress(ProcessLookupError):  # it went on, and has ended
                os.kill(pid, signal.SIGCONT)


def woken(world: World, course: Course, number: int, put: int, later: Objects | None, found: Findings) -> None:
    """A task's process is paused before a write, its retry ends, and then it goes on: it must change nothing.

    With ``later``, what the bucket holds after other runs is there when it wakes, too.
    """
    stage = course.stages[number]
    where = f"{stage.do.step} {stage.do.candidate} woken at {put}"
    world.fresh(stage.before, minute=stage.minute, spec=course.spec)
    with paused(world, stage, course.run, put) as (pid, attempt):
        found.injected += 1
        found.result(stage.ended, world.attempt(stage.do, course.run), f"{where}: the retry")
        if later is not None:
            world.load(later)
        before = world.held()
        os.kill(pid, signal.SIGCONT)
        attempt.result()
    found.expect(before, world.held(), where)
    if later is None:
        found.expect(stage.held, before, f"{where}: before")
    found.must(not world.warm.children(), f"{where}: processes are left")


def drive(world: World, run: str, done: Callable[[Do], None] = lambda do: None) -> list[Ended]:
    """Do a whole training as its DAG does: each task again while another run has its turn; then what follows."""
    ended: list[Ended] = []

    def do(tasks: Sequence[Do]) -> None:
        for each in tasks:
            ended.append(_in_turn(world, each, run))
            assert ended[-1].result is not None, ended[-1].reason
            done(each)

    do(LEARN[:3])
    found = ended[-1].result
    assert found is not None
    do((*LEARN[3:], *PROMOTE) if found["work"] else NOTHING_TO_DO)
    return ended


def _in_turn(world: World, do: Do, run: str) -> Ended:
    limit, ended = time.monotonic() + TURN_SECONDS, world.attempt(do, run)
    while ended.code == BUSY:
        assert time.monotonic() < limit, f"{run} never had its turn"
        time.sleep(0.3)
        ended = world.attempt(do, run, later=0)
    return ended


def side_by_side(world: World, runs: Sequence[str], done: Callable[[Do], None] = lambda do: None) -> list[list[Ended]]:
    """Trainings at once; the first one has its turn first. ``done`` is told what the first one has done."""
    began: Future[None] = Future()

    def first(do: Do) -> None:
        if not began.done():
            began.set_result(None)
        done(do)

    with ThreadPoolExecutor(len(runs)) as pool:
        work = [pool.submit(drive, world, runs[0], first)]
        began.result(TURN_SECONDS)
        work += [pool.submit(drive, world, run) for run in runs[1:]]
        return [each.result() for each in work]


def once_each(world: World, found: Findings, *runs: str) -> None:
    """Each run has one entry in the log at most, and the registry's invariants hold; no task's process is left."""
    for run in runs:
        entries = [entry for entry in world.log() if entry["op_id"].startswith(f"promote-{run_name(run)}-")]
        for entry in entries[1:]:
            found.add(Finding.ENTRIES, f"{entry['op_id']}")
    found.must(not world.warm.children(), "processes are left")


def lapsed(world: World, course: Course, number: int, put: int, found: Findings) -> None:
    """A run is paused for longer than its turn, another one trains and ends; the first one wakes and goes on.

    Whatever the first comes to then, what the other left stands, and nothing is done twice.
    """
    stage = course.stages[number]
    where = f"{stage.do.step} {stage.do.candidate} lapsed at {put}"
    world.fresh(stage.before, minute=stage.minute, spec=course.spec)
    with paused(world, stage, course.run, put) as (pid, attempt):
        found.injected += 1
        world.pass_time(AFTER_THE_LEASE)
        drive(world, "two")
        before = world.held()
        os.kill(pid, signal.SIGCONT)
        ended = [attempt.result()]
    for each in course.stages[number + 1 :] if ended[0].result else ():
        ended.append(world.attempt(each.do, course.run))
        if ended[-1].result is None:
            break
    after = world.held()
    for place, content in before.contents.items():
        found.must(place in REPLACED or after.contents.get(place) == content, f"{where}: {place} is gone, or another")
    found.must(not after.violations, f"{where}: {after.violations}")
    once_each(world, found, course.run, "two")


@dataclass(frozen=True)
class Overtaken:
    """A promotion that was killed before its run knew of it, and the world after another run promoted its version."""

    course: Course
    world: Objects
    minute: int


def overtake(world: World, course: Course, put: int) -> Overtaken:
    """Kill the promotion after a write, have its turn lapse, and do another run on more data."""
    stage = course.stages[course.stage("promote")]
    world.fresh(stage.before, minute=stage.minute, spec=course.spec)
    world.order("kill", Order("promote", "after", put))
    assert world.attempt(stage.do, course.run).code == KILLED
    world.pass_time(AFTER_THE_LEASE)
    world.land("second.csv", 2)
    drive(world, "two")
    return Overtaken(course, world.objects(), world.minute)


def repeated(world: World, overtaken: Overtaken, found: Findings, mutant: str = "") -> None:
    """The first promotion is repeated: it finds its own commit, and moves nothing."""
    course = overtaken.course
    world.fresh(overtaken.world, minute=overtaken.minute, mutant=mutant, spec=course.spec)
    found.injected += 1
    head = world.log()[-1]
    for each in course.stages[course.stage("promote") :][:2]:
        found.result(each.ended, world.attempt(each.do, course.run), f"overtaken, then {each.do.step}")
    found.must(world.log()[-1] == head, "the first, whose promotion was repeated", Finding.MOVED)
    found.must(not world.held().violations, f"overtaken: {world.held().violations}")
    once_each(world, found, course.run, "two")


TASK = "import sys; from perennial.jobs import run_step; run_step(*sys.argv[1:])"


def abandoned(
    world: World, course: Course, step: str, found: Findings, *, mutant: str = "", seconds: float = 60
) -> None:
    """The process of a task is killed while its step is at work: the step ends too, and the retry does it."""
    stage = course.stages[course.stage(step)]
    world.fresh(stage.before, minute=stage.minute, mutant=mutant, spec=course.spec)
    world.order("wait", Order(step, "before", len(stage.puts), act="wait"))
    command = [sys.executable, "-c", TASK, step, str(world.spec), course.run]
    with subprocess.Popen(command, cwd=world.folder) as task:
        world.await_reached("wait")
        task.kill()
        found.injected += 1
    limit = time.monotonic() + seconds
    while (left := world.warm.children()) and time.monotonic() < limit:
        time.sleep(0.01)
    found.must(not left, step, Finding.OUTLIVED)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    found.result(stage.ended, world.attempt(stage.do, course.run), f"abandoned {step}")
    found.expect(stage.held, world.held(), f"abandoned {step}")
