"""The spec of a model over the mixed data."""

from __future__ import annotations

from benchmarks import mixed
from perennial.spec import ModelSpec

MODEL = "mixed"


def make_spec(name: str = MODEL, *, capture: float = 1.0) -> ModelSpec:
    numbers = {name: {"type": "number"} for name in mixed.NUMBERS}
    categories = {name: {"type": "category", "values": values} for name, values in mixed.CATEGORIES.items()}
    return ModelSpec.model_validate(
        {
            "name": name,
            "task": "binary",
            "metric": "accuracy",
            "target": {"column": mixed.TARGET, "positive": 1},
            "features": {**numbers, **categories},
            "monitor": {"capture": capture},
            "candidates": {"logistic": {"estimator": "sklearn.linear_model.LogisticRegression"}},
        }
    )
