"""Undisturbed trainings, kept task by task; and what is held against them when the same is done under faults."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from itertools import chain

from perennial.errors import PromotionRefused
from tests.support.chaos.airflow_child import Order, Place
from tests.support.chaos.airflow_held import MODEL, REPLACED, Held, Objects
from tests.support.chaos.airflow_world import KILLED, Do, Ended, World
from tests.support.chaos.tally import Row

DATE = datetime(2026, 11, 21, tzinfo=UTC)
RUN = f"manual__{DATE.isoformat()}"
"""The run that faults come to, as Airflow names it."""
CANDIDATES = (Do("train", "logistic"), Do("train", "tree"))
LEARN = (Do("acquire"), Do("collect"), Do("snapshot"), *CANDIDATES, Do("select"), Do("register"), Do("gate"))
PROMOTE = (Do("promote"), Do("smoke"), Do("conclude"), Do("release"))
ASK = Do("request-approval", given=(("asked-by", f"train_{MODEL}/{RUN}/approve"),))
ANSWER = Do("answer-approval", given=(("approved", True), ("by", "ada"), ("because", "it holds")))
BACK = Do("rollback", given=(("because", "it does not answer"),))
REPORT = Do("report-failure", given=(("because", "smoke: it does not answer"),))
GO_BACK = (Do("promote"), BACK, Do("conclude"), REPORT, Do("release"))


@dataclass(frozen=True)
class Stage:
    """One task of an undisturbed run: its result, the keys it wrote, and the world before and after it.

    It was done a minute after ``minute``.
    """

    do: Do
    ended: Ended
    puts: tuple[str, ...]
    before: Objects
    after: Objects
    held: Held
    minute: int

    def places(self) -> list[tuple[Place, int]]:
        """Where its process can be killed: before it, around each of its writes, and when nobody knows of its end."""
        writes = range(1, len(self.puts) + 1)
        around = chain.from_iterable((("before", put), ("after", put)) for put in writes)
        return [("start", 0), *around, ("end", 0)]  # type: ignore[list-item]


@dataclass(frozen=True)
class Course:
    """An undisturbed run under one spec."""

    run: str
    spec: str
    stages: tuple[Stage, ...]

    @property
    def end(self) -> Stage:
        return self.stages[-1]

    def of(self, step: str) -> Stage:
        return self.stages[self.stage(step)]

    def stage(self, step: str) -> int:
        """The number of the stage of a step."""
        return next(number for number, stage in enumerate(self.stages) if stage.do.step == step)


def undisturbed(world: World, run: str, tasks: Sequence[Do], spec: str) -> Course:
    """Do all tasks of a run, in the world as it is."""
    noted, stages = world.control / "puts", []
    objects, entries = world.objects(), len(world.log())
    for do in tasks:
        noted.write_text("")
        minute = world.minute
        ended = world.attempt(do, run)
        assert ended.result is not None, ended.reason
        puts = tuple(line.rpartition("\t")[2] for line in noted.read_text().splitlines())
        before, objects = objects, world.objects()
        stages.append(Stage(do, ended, puts, before, objects, world.held(), minute))
    noted.unlink()
    assert len(world.log()) - entries == sum(do.step in MOVES for do in tasks)
    return Course(run, spec, tuple(stages))


MOVES = ("promote", "rollback")
"""Steps that make one entry of the log each."""


class Finding(StrEnum):
    """One promise that is broken, whichever the task; what is told of it begins so."""

    LOST = "lost"
    MORE = "not there before"
    AGAIN = "written more than once"
    OTHER = "other"
    INVARIANT = "an invariant of the registry"
    RESULT = "another result"
    ENTRIES = "more than one entry in the log"
    REFUSED = "a task that is refused what it has done before"
    MOVED = "the champion is another than the one promoted last"
    OUTLIVED = "goes on though its task was killed"
    UNHURT = "what was to befall it did not"
    FAILED = "a task that fails when it is tried again"
    KEPT = "another promise"


LOST, DOUBLED = frozenset({Finding.LOST}), frozenset({Finding.MORE, Finding.AGAIN, Finding.ENTRIES})
OF_THE_COURSE = frozenset({Finding.UNHURT, Finding.FAILED})
"""Where these are found, nothing else says anything of what came of the tasks: they did not get so far."""


@dataclass
class Findings:
    """What was found under one kind of fault, told in words too."""

    found: Counter[Finding] = field(default_factory=Counter)
    injected: int = 0
    told: list[str] = field(default_factory=list)

    def row(self, fault: str) -> Row:
        lost, doubled = (sum(self.found[one] for one in kind) for kind in (LOST, DOUBLED))
        return Row("Airflow", fault, self.injected, lost, doubled, self.found.total() - lost - doubled)

    def tells_of(self, finding: Finding) -> bool:
        """Whether this was found, of tasks that were hurt as they had to be, and were done when tried again."""
        return self.found[finding] > 0 and not any(self.found[one] for one in OF_THE_COURSE)

    def expect(self, expected: Held, found: Held, where: str) -> None:
        """Both must be the same, but for how often what may be replaced was."""
        lost = expected.contents.keys() - found.contents.keys()
        more = found.contents.keys() - expected.contents.keys()
        often = {place for place, number in found.versions.items() if number > 1 and place not in REPLACED}
        common = expected.contents.keys() & found.contents.keys()
        other = {place for place in common if expected.contents[place] != found.contents[place]}
        kinds = {Finding.LOST: lost, Finding.MORE: more, Finding.AGAIN: often, Finding.OTHER: other}
        for what, places in kinds.items():
            for place in sorted(places):
                self.add(what, f"{where}: {place}")
        for violation in found.violations:
            self.add(Finding.INVARIANT, f"{where}: {violation}")

    def result(self, expected: Ended, found: Ended, where: str) -> None:
        """A task that is done again has to come to the same."""
        kind = Finding.RESULT
        if found.result is None and expected.result is not None:
            kind = Finding.REFUSED if found.code == PromotionRefused.exit_code else Finding.FAILED
        self.must(found == expected, f"{where}: {found} in place of {expected}", kind)

    def must(self, kept: bool, what: str, finding: Finding = Finding.KEPT) -> None:
        """Some other promise."""
        if not kept:
            self.add(finding, what)

    def add(self, finding: Finding, what: str) -> None:
        self.found[finding] += 1
        self.told.append(f"{finding}: {what}")


def killed(
    world: World, course: Course, number: int, place: tuple[Place, int], found: Findings, *,
    mutant: str = "", clear: bool = False, rest: bool = False,
) -> None:  # fmt: skip
    """Kill one task's process at a place, then repeat it: alone, or with ``clear`` with all before it.

    With ``rest`` the run goes on to its end.
    """
    stage = course.stages[number]
    where = f"{stage.do.step} {stage.do.candidate} {place[0]} {place[1]}"
    world.fresh(stage.before, minute=stage.minute, mutant=mutant, spec=course.spec)
    world.order("kill", Order(stage.do.step, *place, candidate=stage.do.candidate))
    died = world.attempt(stage.do, course.run)
    found.injected += 1
    found.must(died.code == KILLED and world.reached("kill") is not None, f"{where}: {died}", Finding.UNHURT)
    last = len(course.stages) - 1 if rest else number
    for each in course.stages[0 if clear else number : last + 1]:
        found.result(each.ended, world.attempt(each.do, course.run), f"{where}, then {each.do.step}")
    found.expect(course.stages[last].held, world.held(), where)
    found.must(not world.warm.children(), f"{where}: processes are left")
