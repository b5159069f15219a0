"""Trainings that are killed, repeated, doubled and paused at every task: all that comes of them is the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from perennial import keys
from tests.support.chaos.airflow_child import Place
from tests.support.chaos.airflow_courses import (
    ANSWER,
    ASK,
    GO_BACK,
    LEARN,
    PROMOTE,
    RUN,
    Course,
    Finding,
    Findings,
    killed,
    undisturbed,
)
from tests.support.chaos.airflow_dags import all_killed, scheduled, tasks_killed
from tests.support.chaos.airflow_held import MODEL
from tests.support.chaos.airflow_scheduled import chain_cleared, scheduler_killed, serving, step_killed, zombie
from tests.support.chaos.airflow_together import Overtaken, abandoned, lapsed, overtake, repeated, side_by_side, woken
from tests.support.chaos.airflow_world import Do, World, human, opened
from tests.support.chaos.scale import Scale
from tests.support.chaos.tally import Tally
from tests.support.shop import SPEC

SOON = SPEC + "retrain: {new_rows: 10, cooldown: 1s, schedule: null}\nmonitor: {schedule: null}\n"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with opened(tmp_path_factory.mktemp("airflow-chaos")) as world:
        yield world


@pytest.fixture(scope="module")
def first(world: World) -> Course:
    """The first training of a model, which nothing disturbs."""
    world.fresh(spec=SOON)
    world.land("first.csv", 1)
    return undisturbed(world, RUN, (*LEARN, *PROMOTE), SOON)


def second(world: World, first: Course) -> Course:
    """The next one, on more data."""
    world.fresh(first.end.after, minute=first.end.minute + 1, spec=SOON)
    world.land("second.csv", 2)
    return undisturbed(world, "two", (*LEARN, *PROMOTE), SOON)


@pytest.fixture(scope="module")
def overtaken(world: World, first: Course) -> Overtaken:
    """The first promotion was killed right after its commit, and another version was promoted since."""
    return overtake(world, first, write_of(first, "promote", keys.log_entry(MODEL, 1)))


SCENARIOS = {
    "kill -9 of a step under the scheduler, clear by REST": step_killed,
    "clear of a chain that has succeeded, by REST": chain_cleared,
    "kill -9 of the scheduler": scheduler_killed,
    "a zombie that the scheduler took for dead": zombie,
}


def told(tally: Tally, fault: str, found: Findings) -> None:
    print(*found.told, sep="\n")
    tally.record(found.row(fault))


def caught(tally: Tally, name: str, found: Findings, finding: Finding) -> None:
    """A mutant is caught by what it is about; without it, the test of the same fault finds nothing."""
    print(*found.told, sep="\n")
    tally.mutant("Airflow", name, found.tells_of(finding))


def write_of(course: Course, step: str, key: str) -> int:
    """Which write of a step goes to this key, from 1."""
    return course.stages[course.stage(step)].puts.index(key) + 1


def test_every_task_killed_and_tried_again(world: World, first: Course, scale: Scale, tally: Tally) -> None:
    """At each place of each task; some of them in the short form, which has all tasks killed under Airflow."""
    found, draw = Findings(), scale.random("retry")
    every = [(number, place) for number, stage in enumerate(first.stages) for place in stage.places()]
    for number, place in every if scale.full else draw.sample(every, 4):
        killed(world, first, number, place, found)
    told(tally, "kill -9 at a task, retry", found)


def test_the_chain_cleared_after_a_kill(world: World, first: Course, scale: Scale, tally: Tally) -> None:
    found, draw = Findings(), scale.random("clear")
    for number in range(len(first.stages)) if scale.full else [first.stage("select")]:
        places = first.stages[number].places()
        for place in (draw.choice(places[:-1]), places[-1]) if scale.full else places[-1:]:
            killed(world, first, number, place, found, clear=True, rest=scale.full)
    told(tally, "kill -9 at a task, clear of the chain", found)


def test_tasks_of_other_ways_killed(world: World, first: Course, scale: Scale, tally: Tally) -> None:
    """A person's answer, and the way back of a version that fails its smoke test."""
    found = Findings()
    if scale.full:
        world.fresh(spec=human(SOON))
        world.land("first.csv", 1)
        asked = undisturbed(world, RUN, (*LEARN, ASK, ANSWER, *PROMOTE), human(SOON))
        world.fresh(first.end.after, minute=first.end.minute + 1, spec=SOON)
        world.land("second.csv", 2)
        back = undisturbed(world, "two", (*LEARN, *GO_BACK), SOON)
        for course, steps in ((asked, (ASK, ANSWER, Do("promote"), Do("conclude"))), (back, GO_BACK)):
            for number, stage in enumerate(course.stages):
                for place in stage.places() if stage.do in steps else ():
                    killed(world, course, number, place, found)
    else:
        world.fresh(first.end.before, minute=first.end.minute, spec=SOON)
        report = undisturbed(world, RUN, (GO_BACK[3],), SOON)
        killed(world, report, 0, ("end", 0), found)
    told(tally, "kill -9 where a person answers, or all goes back", found)


def test_a_task_killed_with_its_step_at_work(world: World, first: Course, scale: Scale, tally: Tally) -> None:
    found = Findings()
    for step in ("snapshot", "select", "register", "promote", "conclude") if scale.full else ("promote",):
        abandoned(world, first, step, found)
    told(tally, "kill -9 of the task above a step", found)
    other = Findings()
    abandoned(world, first, "select", other, mutant="a step that outlives its caller", seconds=2)
    caught(tally, "a step that outlives its caller", other, Finding.OUTLIVED)


def test_a_zombie_ends_after_its_retry(world: World, first: Course, scale: Scale, tally: Tally) -> None:
    """It changes nothing: neither right after, nor when the next run is over too."""
    found = Findings()
    every = [(number, put + 1) for number, stage in enumerate(first.stages) for put in range(len(stage.puts))]
    committed = (first.stage("promote"), write_of(first, "promote", keys.log_entry(MODEL, 1)))
    for number, put in every if scale.full else [committed]:
        woken(world, first, number, put, None, found)
    told(tally, "a zombie wakes after its retry", found)
    if scale.full:
        others, later = Findings(), second(world, first).end.after
        for number, put in every:
            woken(world, first, number, put, later, others)
        told(tally, "a zombie wakes after the next run", others)


def test_two_runs_at_once(world: World, first: Course, scale: Scale, tally: Tally) -> None:
    found = Findings(injected=1)
    start = first.stages[0 if scale.full else first.stage("promote")]
    world.fresh(start.before, minute=start.minute, spec=SOON)
    side_by_side(world, (RUN, "two"))
    held = world.held()
    own = {place for place in held.contents if "/runs/two-" in place[1]}
    found.must(len(own) == 2, f"the run that found nothing to do left {own}")
    contents = {place: content for place, content in held.contents.items() if place not in own}
    found.expect(first.end.held, replace(held, contents=contents), "same data")
    told(tally, "two runs at once, same data", found)
    if scale.full:
        told(tally, "two runs at once, new data between", new_data_between(world, first))
        told(tally, "one run triggered twice under its id", twice_under_one_id(world, first))


def new_data_between(world: World, first: Course) -> Findings:
    """The second of two runs at once learns from what came after the first one's snapshot."""

    def land(do: Do) -> None:
        if do.step == "snapshot":
            world.land("second.csv", 2)

    found, expected = Findings(injected=1), second(world, first).end.held
    world.fresh(first.stages[0].before, spec=SOON)
    side_by_side(world, (RUN, "two"), land)
    found.expect(expected, world.held(), "new data between")
    return found


def twice_under_one_id(world: World, first: Course) -> Findings:
    """At once, and once more when all is over."""
    found = Findings(injected=2)
    world.fresh(first.stages[0].before, spec=SOON)
    for runs in ((RUN, RUN), (RUN,)):
        side_by_side(world, runs)
        found.expect(first.end.held, world.held(), f"{len(runs)} under one id")
    return found


def test_a_run_that_lost_its_turn(
    world: World, first: Course, overtaken: Overtaken, scale: Scale, tally: Tally
) -> None:
    found, other, lost = Findings(), Findings(), Findings()
    repeated(world, overtaken, found)
    told(tally, "a promotion overtaken before its retry", found)
    name = "promotion without a look for its own op_id"
    repeated(world, overtaken, other, name)
    caught(tally, name, other, Finding.REFUSED)
    if scale.full:
        draw = scale.random("lapsed")
        for number, stage in enumerate(first.stages):
            if stage.puts:
                lapsed(world, first, number, draw.randint(1, len(stage.puts)), lost)
        told(tally, "a run is paused until its turn is over", lost)


Where = tuple[str, tuple[Place, int]]
MUTANTS: dict[str, tuple[Callable[[Course], Where], Finding]] = {
    "an op_id that is drawn anew": (lambda course: ("promote", ("end", 0)), Finding.MORE),
    "the time within a version": (lambda course: ("register", course.of("register").places()[-3]), Finding.MORE),
    "a step that overwrites": (lambda course: ("train", ("after", 2)), Finding.AGAIN),
    "results kept under no run": (lambda course: ("snapshot", course.of("snapshot").places()[-2]), Finding.LOST),
}
"""At which place of which step each is killed, and what is found when that step is done again."""


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_is_caught(world: World, first: Course, tally: Tally, name: str) -> None:
    """In full, the test of every place kills the real steps there too."""
    where, finding = MUTANTS[name]
    step, place = where(first)
    found = Findings()
    killed(world, first, first.stage(step), place, found, mutant=name)
    caught(tally, name, found, finding)


@pytest.mark.timeout(1800)
def test_the_dag_itself(world: World, first: Course, tmp_path: Path, scale: Scale, tally: Tally) -> None:
    """Airflow runs the real DAG while the process of each task is killed; in full, while all of it is killed too."""
    found = Findings()
    with scheduled(world, tmp_path / "runs") as runs:
        for number in range(scale.pick(1, 4)):
            tasks_killed(world, first, runs, scale.random(f"dag {number}"), found)
    told(tally, "kill -9 at every task of a DAG's run, tried again by Airflow", found)
    if scale.full:
        whole = Findings()
        for step in ("train", "promote", "conclude"):
            all_killed(world, first, tmp_path / step, step, whole)
        told(tally, "kill -9 of all of Airflow, run again under the same id", whole)
        with serving(world, tmp_path / "served") as airflow:
            for fault, scenario in SCENARIOS.items():
                scenario(world, first, airflow, under := Findings())
                told(tally, fault, under)
