"""A shop whose callers lie: floods of labels through the real loop, and what is served after each of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray
from obstore.store import MemoryStore

from perennial import keys
from perennial.datasets.arrow import encode, target_values
from perennial.datasets.collected import read_collected
from perennial.datasets.history import read_manifest
from perennial.datasets.load import Rows
from perennial.datasets.manifest import DatasetManifest
from perennial.datasets.reading import read_file
from perennial.datasets.validate import validate
from perennial.jobs.cycle import run_cycle
from perennial.jobs.results import OutcomeResult
from perennial.jobs.workspace import Workspace
from perennial.registry.registry import Registry
from perennial.serving.load import load
from perennial.spec import ModelSpec
from perennial.store import Store
from perennial.training.evaluate import answered
from tests.support.captures import capture, give, line
from tests.support.challenges import csv_bytes

START = datetime(2026, 11, 21, 9, tzinfo=UTC)
MODEL = "shop"
MEASURES = ("a", "b", "c")
Columns = dict[str, Any]
Labels = NDArray[np.str_]
LINEAR = {"estimator": "sklearn.linear_model.LogisticRegression"}
BOOSTED = {"estimator": "sklearn.ensemble.HistGradientBoostingClassifier", "params": {"max_iter": 20}}


def shop_spec(candidate: Mapping[str, Any], seed: int) -> ModelSpec:
    return ModelSpec.model_validate(
        {
            "name": MODEL,
            "task": "binary",
            "target": {"column": "y", "positive": "yes"},
            "features": {name: {"type": "number"} for name in MEASURES},
            "candidates": {"only": dict(candidate)},
            "metric": "accuracy",
            "holdout": {"seed": seed % 1000},
        }
    )


def customers(count: int, seed: int) -> Columns:
    """Rows that ``a`` and ``b`` decide, with noise; ``y`` is what is true."""
    draw = np.random.default_rng(seed)
    a, b, c = draw.normal(size=(3, count)).round(6)
    yes = draw.random(count) < 1 / (1 + np.exp(-(1.6 * a - 1.1 * b)))
    return {"a": a, "b": b, "c": c, "y": np.where(yes, "yes", "no")}


def _other(labels: Labels) -> Labels:
    turned: Labels = np.where(labels == "yes", "no", "yes")
    return turned


def flipped(rows: Columns, share: float, chance: Random) -> Labels:
    """A share of the callers says the contrary."""
    lies = np.random.default_rng(chance.getrandbits(32)).random(len(rows["y"])) < share
    return np.where(lies, _other(rows["y"]), rows["y"])


def one_class(rows: Columns, share: float, chance: Random) -> Labels:
    """A share of the callers says no, whatever is true."""
    lies = np.random.default_rng(chance.getrandbits(32)).random(len(rows["y"])) < share
    return np.where(lies, "no", rows["y"])


def one_region(rows: Columns, share: float, chance: Random) -> Labels:
    """All say the truth but of a few customers, the same ones each time: too few for a small holdout to see."""
    near = (rows["a"] > 0) & (rows["a"] < share)
    said: Labels = np.where(near & (rows["y"] == "yes"), "no", rows["y"])
    return said


def one_caller(rows: Columns, share: float, chance: Random) -> Labels:
    """One caller asks about the same customer again and again, and says the contrary."""
    for name in MEASURES:
        rows[name][: int(share * len(rows["y"]))] = rows[name][0]
    one = np.arange(len(rows["y"])) < share * len(rows["y"])
    said: Labels = np.where(one, _other(rows["y"][:1])[0], rows["y"])
    return said


ATTACKS: Mapping[str, Callable[[Columns, float, Random], Labels]] = {
    "labels flipped": flipped,
    "labels of one class": one_class,
    "labels of one region flipped": one_region,
    "labels by one caller of one record": one_caller,
}


@dataclass
class Found:
    """What floods did. ``asked`` counts versions for which a person was asked.

    ``worse`` counts versions that were promoted and are worse than the one before, ``holdout`` those whose frozen
    holdout is another, or has feedback in it.
    """

    labels: int = 0
    doubled: int = 0
    lost: int = 0
    worse: int = 0
    holdout: int = 0
    asked: int = 0
    promoted: int = 0
    why: list[str] = field(default_factory=list)

    @property
    def wrong(self) -> int:
        return self.worse + self.holdout

    @property
    def clean(self) -> bool:
        return not (self.lost or self.doubled or self.wrong)

    def add(self, other: Found) -> None:
        for name in ("labels", "doubled", "lost", "worse", "holdout", "asked", "promoted"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.why += other.why


class Shop:
    """A bucket with data, a champion trained on it, and callers. ``test`` are rows that no caller ever touches."""

    def __init__(self, candidate: Mapping[str, Any], seed: int, landed: int = 1000) -> None:
        self.raw, self.spec, self.seed = MemoryStore(), shop_spec(candidate, seed), seed
        self.store = Store(self.raw)
        self.now, self.labels = START, 0
        self.test = customers(20_000, seed + 1)
        self.store.put_new(keys.landing(MODEL, "landed.csv"), csv_bytes(customers(landed, seed + 2)))
        assert self.cycle().promoted
        self.holdout = self.dataset().holdout

    def copy(self) -> Shop:
        """The same shop, for another flood."""
        found = object.__new__(Shop)
        found.__dict__.update(self.__dict__)
        found.raw = MemoryStore()
        found.store = Store(found.raw)
        for entry in self.store.list(""):
            found.store.put_new(entry.key, self.store.get(entry.key).data)
        return found

    def cycle(self) -> OutcomeResult:
        """The whole loop, as a person starts it."""
        self.now += timedelta(hours=1)
        name = f"run-{self.now:%d%H}"
        return run_cycle(
            Workspace(self.spec, self.store, name, "c0de", None, lambda line: None, lambda: self.now)
        )  # fmt: skip

    @property
    def champion(self) -> str:
        head = Registry(self.store).head(MODEL)
        assert head is not None
        return head.version

    def dataset(self, version: str | None = None) -> DatasetManifest:
        """What a version was trained on."""
        manifest = Registry(self.store).manifest(MODEL, version or self.champion)
        return read_manifest(self.store, MODEL, manifest.dataset)

    def accuracy(self, version: str, rows: Columns) -> float:
        """The share of rows of which a version says what is true."""
        return float(np.mean(self._said(version, rows) == rows["y"]))

    def flood(self, rows: Columns, truths: Labels) -> Found:
        """Have customers predicted and labelled, and the loop run; says what came of it."""
        before, self.labels = self.champion, self.labels + len(truths)
        said = self._said(before, rows)
        lines = []
        for place, answer in enumerate(said.tolist()):
            record = {name: float(rows[name][place]) for name in MEASURES}
            lines.append(line(MODEL, self.now, self.labels + place + 1, record, answer, version=before))
        capture(self.store, lines)
        for one, truth in zip(lines, truths.tolist(), strict=True):
            give(self.store, MODEL, one.prediction_id, truth, self.now)
        return self._judge(before, self.cycle(), len(truths))

    def _judge(self, before: str, outcome: OutcomeResult, labels: int) -> Found:
        found = Found(labels=labels, asked=outcome.waiting, promoted=outcome.promoted)
        collected = [name for file in read_collected(self.store, self.spec, "feedback") for name in file.predictions]
        found.doubled = len(collected) - len(set(collected))
        found.lost = self.labels - len(set(collected))
        dataset = self.dataset(outcome.version)
        kinds = {source.digest: source.kind for source in dataset.sources}
        if dataset.holdout != self.holdout or any(
            part.split == "holdout" and kinds[part.source] != "landed" for part in dataset.parts
        ):
            found.holdout += 1
            found.why.append("the frozen holdout took feedback")
        if self.champion != before:
            old, new = (self.accuracy(version, self.test) for version in (before, self.champion))
            if new < old:
                found.worse += 1
                found.why.append(f"seed {self.seed}: the served accuracy fell from {old:.4f} to {new:.4f}")
        return found

    def _said(self, version: str, rows: Columns) -> Labels:
        model = load(self.store, MODEL, version)
        table = validate(read_file("rows", csv_bytes(rows)), self.spec).table
        classes = model.manifest.classes
        asked = Rows(encode(table, self.spec), target_values(table, self.spec, classes), table)
        said: Labels = np.array(classes)[answered(model, asked).labels]
        return said
