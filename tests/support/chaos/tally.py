"""What chaos checks found, as one table: fault, times injected, lost, doubled, wrong; and which mutants were caught."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

MOST_TOLD = 100


@dataclass(frozen=True)
class Row:
    """One kind of fault within one check.

    ``lost`` counts what was acknowledged and is gone, ``doubled`` what happened twice, ``wrong`` every other broken
    promise: a wrong answer, an error where there must be none, something accepted that must be refused.
    """

    check: str
    fault: str
    injected: int
    lost: int = 0
    doubled: int = 0
    wrong: int = 0

    @property
    def clean(self) -> bool:
        return not (self.lost or self.doubled or self.wrong)


@dataclass(frozen=True)
class Mutant:
    """A deliberately broken variant, by which check it must be caught, and whether it was."""

    check: str
    name: str
    caught: bool


class Tally:
    """Gathers the findings of one test. They travel to the end of the run as properties of that test."""

    def __init__(self, properties: list[tuple[str, Any]]) -> None:
        self._properties = properties

    def record(self, row: Row) -> None:
        """Take a row down, then fail where anything was lost, doubled or wrong, or where nothing was injected."""
        self._properties.append(("chaos row", asdict(row)))
        assert row.injected, f"{row.check}: {row.fault} was never injected"
        assert row.clean, f"{row.check}, {row.fault}: {row.lost} lost, {row.doubled} doubled, {row.wrong} wrong"

    def mutant(self, check: str, name: str, caught: bool) -> None:
        """Take down whether a check caught a mutant, then fail if it did not."""
        self._properties.append(("chaos mutant", asdict(Mutant(check, name, caught))))
        assert caught, f"{check} passes with the mutant {name!r}"


@dataclass
class Findings:
    """By kind, how often it was tried and what was wrong; ``why`` tells of what was wrong, in words."""

    tried: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)
    why: list[str] = field(default_factory=list)

    def note(self, what: str, problem: str) -> None:
        """One try, and what was wrong with it, if anything was."""
        self.tried[what] += 1
        if problem:
            self.add(what, problem)

    def add(self, what: str, problem: str) -> None:
        """Something more that was wrong with a try."""
        self.wrong[what] += 1
        self.why.append(f"{what}: {problem}")

    def record(self, tally: Tally, check: str, prefix: str = "") -> None:
        """Tell of the first that were wrong, then take all down."""
        print(*self.why[:MOST_TOLD], sep="\n")
        for what in sorted({*self.tried, *self.wrong}):
            tally.record(Row(check, f"{prefix}{what}", self.tried[what], wrong=self.wrong[what]))


def gathered(properties: Iterable[tuple[str, Any]]) -> tuple[list[Row], list[Mutant]]:
    """The findings among the properties of tests; rows of the same check and fault are added up."""
    rows: dict[tuple[str, str], Row] = {}
    mutants: list[Mutant] = []
    for name, value in properties:
        if name == "chaos mutant":
            mutants.append(Mutant(**value))
        elif name == "chaos row":
            row = Row(**value)
            before = rows.get((row.check, row.fault))
            rows[row.check, row.fault] = _sum(before, row) if before else row
    return sorted(rows.values(), key=lambda row: row.check), sorted(mutants, key=lambda mutant: mutant.check)


def table(rows: Iterable[Row], mutants: Iterable[Mutant]) -> str:
    """Both as Markdown."""
    lines = ["| Check | Fault | Injected | Lost | Doubled | Wrong |", "|---|---|---:|---:|---:|---:|"]
    for row in rows:
        numbers = " | ".join(f"{number:,}" for number in (row.injected, row.lost, row.doubled, row.wrong))
        lines.append(f"| {row.check} | {row.fault} | {numbers} |")
    lines += ["", "| Check | Mutant | |", "|---|---|---|"]
    lines += [f"| {one.check} | {one.name} | {'caught' if one.caught else '**not caught**'} |" for one in mutants]
    return "\n".join(lines)


def _sum(one: Row, other: Row) -> Row:
    return Row(
        one.check, one.fault, one.injected + other.injected,
        one.lost + other.lost, one.doubled + other.doubled, one.wrong + other.wrong,
    )  # fmt: skip
