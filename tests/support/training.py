"""Learning problems for tests: scikit-learn's own data, and a mixed one with everything a spec may hold."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from sklearn import datasets as bundled

from perennial.datasets.arrow import arrow_schema, encode, target_values
from perennial.datasets.load import Rows
from perennial.registry.manifest import FileRef, Metric, ModelManifest, Parity
from perennial.spec import Candidate, ModelSpec

LOGISTIC = {"estimator": "sklearn.linear_model.LogisticRegression", "params": {"max_iter": 2000}}
TREE = {"estimator": "sklearn.tree.DecisionTreeClassifier", "params": {"max_depth": 3}}
FOREST = {"estimator": "sklearn.ensemble.RandomForestClassifier", "params": {"n_estimators": 20, "max_depth": 5}}
BOOSTED = {"estimator": "sklearn.ensemble.HistGradientBoostingClassifier", "params": {"max_iter": 20}}
XGBOOST = {"estimator": "xgboost.XGBClassifier", "params": {"n_estimators": 20}}
RIDGE = {"estimator": "sklearn.linear_model.Ridge"}


@dataclass(frozen=True)
class Problem:
    """A spec with the two sides of its data, and the labels by class index."""

    spec: ModelSpec
    train: Rows
    holdout: Rows
    classes: tuple[str, ...]

    def having(self, **changes: Any) -> Problem:
        """The same problem under a changed spec; ``candidates`` may be plain dictionaries."""
        if "candidates" in changes:
            given = changes["candidates"]
            changes["candidates"] = {name: Candidate.model_validate(each) for name, each in given.items()}
        return replace(self, spec=self.spec.model_copy(update=changes))

    def only(self, rows: int) -> Problem:
        """The same problem with fewer training rows."""
        train = self.train
        return replace(self, train=Rows(train.x[:rows], train.y[:rows], train.table.slice(0, rows)))


def make(spec: ModelSpec, columns: dict[str, Any], classes: tuple[str, ...], seed: int = 0) -> Problem:
    """Shuffle, and hold a fifth out. ``columns`` hold what ``arrow_schema(spec)`` asks for."""
    table = pa.table(columns, schema=arrow_schema(spec))
    table = table.take(pa.array(np.random.default_rng(seed).permutation(table.num_rows)))
    cut = table.num_rows // 5
    sides = [Rows(encode(part, spec), target_values(part, spec, classes), part) for part in (table[cut:], table[:cut])]
    return Problem(spec, sides[0], sides[1], classes)


def spec_of(task: str, features: dict[str, Any], **more: Any) -> ModelSpec:
    """A spec for the target ``y``; its only candidate is a linear model unless ``more`` says otherwise."""
    linear = RIDGE if task == "regression" else LOGISTIC
    given = {"name": "case", "task": task, "target": {"column": "y"}, "candidates": {"linear": linear}}
    return ModelSpec.model_validate({**given, "features": features, **more})


def iris() -> Problem:
    return _bundled(bundled.load_iris(), "multiclass", ("setosa", "versicolor", "virginica"))


def cancer() -> Problem:
    return _bundled(bundled.load_breast_cancer(), "binary", ("malignant", "benign"))


def diabetes() -> Problem:
    return _bundled(bundled.load_diabetes(), "regression", ())


def mixed(rows: int = 400, seed: int = 3) -> Problem:
    """Binary: a number with gaps, a category with gaps and an unseen value, a group and a date."""
    generator = np.random.default_rng(seed)
    number: NDArray[np.float64] = generator.normal(size=rows)
    color = generator.choice(["red", "green", "blue", "mauve"], rows, p=[0.4, 0.3, 0.25, 0.05])
    group = generator.choice(["a", "b"], rows)
    truth = number + (color == "red") + generator.normal(scale=0.5, size=rows) > 0.4
    gap = generator.random((2, rows)) < 0.1
    columns = {
        "number": pa.array(number, mask=gap[0]),
        "color": pa.array(color, mask=gap[1]),
        "group": group,
        "day": [datetime(2026, 1, 1) + timedelta(days=int(day)) for day in generator.integers(0, 300, rows)],
        "y": np.where(truth, "yes", "no"),
    }
    features = {
        "number": {"type": "number", "missing": True},
        "color": {"type": "category", "values": ["red", "green", "blue"], "unknown": "encode", "missing": True},
        "group": {"type": "category", "values": ["a", "b"]},
        "day": {"type": "date"},
    }
    return make(spec_of("binary", features), columns, ("no", "yes"))


def draft_manifest(problem: Problem) -> ModelManifest:
    """A manifest that says what its predictor needs, and nothing of how it was trained."""
    return ModelManifest(
        spec=problem.spec,
        spec_digest=problem.spec.digest(),
        classes=problem.classes,
        candidate="linear",
        estimator="sklearn.linear_model.LogisticRegression",
        params={},
        cross_validation=Metric(value=0.5),
        metrics={},
        holdout_rows=len(problem.holdout.y),
        parity=Parity(max_difference=0.0, changed_classes=0, holdout_rows=1, boundary_rows=1),
        dataset="d" * 64,
        code="c0de",
        run="run-1",
        seed=42,
        libraries={"numpy": np.__version__},
        files={"model.onnx": FileRef(digest="0" * 64, size=1, media_type="application/octet-stream")},
    )


def _bundled(data: Any, task: str, classes: tuple[str, ...]) -> Problem:
    names = [f"f{i}" for i in range(data.data.shape[1])]
    columns: dict[str, Any] = dict(zip(names, data.data.T.astype(float), strict=True))
    columns["y"] = [classes[int(index)] for index in data.target] if classes else data.target.astype(float)
    return make(spec_of(task, {name: {"type": "number"} for name in names}), columns, classes)
