"""The data of the serving benchmark: 20 columns of numbers and categories, two classes. Standard library only."""

from __future__ import annotations

import random

NUMBERS = tuple(f"number_{i}" for i in range(14))
CATEGORIES = {f"category_{i}": tuple(f"value {i} {j}" for j in range(3 + i)) for i in range(6)}
TARGET = "outcome"

Record = dict[str, float | str]


def records(count: int, seed: int = 0) -> tuple[list[Record], list[int]]:
    """``count`` records and their classes, 0 or 1, which follow from the columns with noise."""
    rng = random.Random(seed)
    rows: list[Record] = []
    classes: list[int] = []
    for _ in range(count):
        numbers = {name: round(rng.gauss(0, 1 + i), 6) for i, name in enumerate(NUMBERS)}
        choices = {name: rng.choice(values) for name, values in CATEGORIES.items()}
        rows.append({**numbers, **choices})
        leaning = sum(numbers.values()) / 20 + (choices["category_0"] == "value 0 0") - 0.4
        classes.append(int(leaning + rng.gauss(0, 0.5) > 0))
    return rows, classes
