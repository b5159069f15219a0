"""A small shop whose customers buy what is cheap: a spec and rows for tests of whole runs."""

from __future__ import annotations

import csv
import random
from pathlib import Path

SPEC = """
name: shop
task: binary
target: {column: bought, positive: "yes"}
features:
  price: {type: number, min: 0, max: 100}
  colour: {type: category, values: [red, green, blue]}
candidates:
  logistic: {estimator: sklearn.linear_model.LogisticRegression}
  tree: {estimator: sklearn.tree.DecisionTreeClassifier, params: {max_depth: 3}}
metric: accuracy
gate: {minimum: {accuracy: 0.8}}
"""


def write_rows(path: Path, count: int, seed: int, *, noise: float = 0.02) -> Path:
    """Rows whose answer is told by price and colour, but for a little noise."""
    draw = random.Random(seed)
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["price", "colour", "bought"])
        for _ in range(count):
            price, colour = round(draw.uniform(0, 100), 2), draw.choice(["red", "green", "blue"])
            cheap = (price < 50) != (draw.random() < noise)
            rows.writerow([price, colour, "yes" if cheap else "no"])
    return path
