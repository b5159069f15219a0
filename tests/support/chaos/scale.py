"""How much a chaos check does: a short form with all tests, the full one by `make chaos`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from random import Random

FORM, SEED = "PERENNIAL_CHAOS", "PERENNIAL_CHAOS_SEED"
FORMS = ("short", "full")
DEFAULT_SEED = 20_261_121


@dataclass(frozen=True)
class Scale:
    """One form of the suite and the seed that all its randomness comes of, so that a run can be repeated."""

    full: bool
    seed: int

    def pick(self, short: int, full: int) -> int:
        """The number for this form."""
        return full if self.full else short

    def seeds(self, short: int, full: int) -> Iterator[int]:
        """As many seeds as the form asks for, the same ones each time."""
        draw = Random(self.seed)
        return (draw.getrandbits(32) for _ in range(self.pick(short, full)))

    def random(self, name: str) -> Random:
        """Randomness for one check: another name, another sequence; the same name, the same one."""
        return Random(f"{self.seed} {name}")


def scale_of(environment: Mapping[str, str] = os.environ) -> Scale:
    """What the environment asks for: `PERENNIAL_CHAOS` (short or full) and `PERENNIAL_CHAOS_SEED` (a whole number)."""
    form, seed = environment.get(FORM, "short"), environment.get(SEED, str(DEFAULT_SEED))
    if form not in FORMS:
        raise ValueError(f"{FORM} is {form!r}: one of {', '.join(FORMS)}")
    if not seed.isdecimal():
        raise ValueError(f"{SEED} is {seed!r}: a whole number, as a failed run printed it")
    return Scale(form == "full", int(seed))
