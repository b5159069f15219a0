"""Champion against challenger through everything that may happen to a spec and its data in between."""

from __future__ import annotations

import csv
import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from obstore.store import MemoryStore

from perennial import keys
from perennial.datasets.history import read_manifest
from perennial.datasets.landing import land, list_landed
from perennial.datasets.load import load_split
from perennial.datasets.manifest import schema_digest
from perennial.datasets.placed import placed_holdout
from perennial.errors import DataError, IntegrityError
from perennial.jobs.cycle import run_cycle
from perennial.jobs.results import OutcomeResult, RegisterResult
from perennial.jobs.state import champion_of, dataset_of, result_of
from perennial.jobs.workspace import Workspace
from perennial.registry.gate import Champion
from perennial.registry.registry import Registry
from perennial.serving.load import load
from perennial.spec import ModelSpec
from perennial.store import Store
from perennial.training.champion import compare, incompatible

NAME = "shop"
MEMORISING = {"tree": {"estimator": "sklearn.tree.DecisionTreeClassifier"}}
HONEST = {"tree": {"estimator": "sklearn.tree.DecisionTreeClassifier", "params": {"max_depth": 2}}}


def make_spec(**changes: Any) -> ModelSpec:
    values: dict[str, Any] = {
        "name": NAME,
        "task": "binary",
        "target": {"column": "bought", "positive": "yes"},
        "features": {
            "price": {"type": "number", "min": 0, "max": 100},
            "colour": {"type": "category", "values": ["red", "green", "blue"]},
            "told": {"type": "number"},
        },
        "candidates": HONEST,
        "metric": "accuracy",
    }
    return ModelSpec.model_validate(values | changes)


def without(feature: str, **changes: Any) -> ModelSpec:
    features = make_spec().model_dump(mode="json")["features"]
    return make_spec(features={name: value for name, value in features if name != feature}, **changes)


def write_rows(path: Path, count: int, seed: int, dear: int = 0) -> Path:
    """Rows that price decides but for noise; the first ``dear`` ones cost 100 more than the others."""
    draw = random.Random(seed)
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["price", "colour", "told", "day", "bought"])
        for number in range(count):
            price = round(draw.uniform(0, 100), 2)
            yes = (price < 50) != (draw.random() < 0.15)
            day = f"2026-{number % 12 + 1:02}-{number % 28 + 1:02}"
            told = draw.random() + 0.2 * yes
            rows.writerow([price + 100 * (number < dear), draw.choice(["red", "green", "blue"]), told, day,
                           "yes" if yes else "no"])  # fmt: skip
    return path


class World:
    """A bucket with what has landed, and runs on it."""

    def __init__(self, folder: Path) -> None:
        self.raw = MemoryStore()
        self.store, self.folder, self.runs = Store(self.raw), folder, 0

    def land(self, count: int, seed: int, dear: int = 0) -> None:
        land(self.store, make_spec(), write_rows(self.folder / f"{seed}.csv", count, seed, dear))

    def cycle(self, spec: ModelSpec) -> tuple[OutcomeResult, Workspace]:
        self.runs += 1
        w = Workspace(
            spec=spec, store=self.store, run=f"run-{self.runs}", code="0123abc", api_url=None,
            progress=lambda line: None, now=lambda: datetime(2026, 11, 21, tzinfo=UTC),
        )  # fmt: skip
        return run_cycle(w), w

    def compared(self, spec: ModelSpec) -> tuple[Champion, OutcomeResult]:
        """Promote by a first cycle if there is no champion yet, then challenge it. The gate's view, and the outcome."""
        head = Registry(self.store).head(NAME)
        assert head is not None
        outcome, w = self.cycle(spec)
        assert outcome.version
        version = result_of(w, "register", RegisterResult).version
        if version == head.version or outcome.promoted:
            registry = Registry(self.store)
            registry.promote(NAME, head.version, op_id="back", actor="test", reason="to look again", now=w.now())
        found = champion_of(w, version)
        assert found is not None
        return found, outcome


def gain(outcome: OutcomeResult) -> str:
    (reason,) = [reason for reason in outcome.reasons if "gain.accuracy" in reason]
    return reason


@pytest.fixture
def world(tmp_path: Path) -> World:
    found = World(tmp_path)
    found.land(600, 1)
    return found


def test_a_champion_that_has_learnt_the_new_holdout_by_heart_is_not_measured_on_it(world: World) -> None:
    """A tree without bounds answers its training rows perfectly; another seed makes most of them the new holdout."""
    assert world.cycle(make_spec(candidates=MEMORISING))[0].promoted
    found, outcome = world.compared(make_spec(holdout={"seed": 7}))
    assert found.holdout is None
    assert "another holdout was drawn" in found.why and "of the 120 holdout rows" in found.why
    assert gain(outcome).startswith("FAIL")


def test_of_a_large_new_holdout_the_rows_that_both_kept_aside_are_enough(world: World) -> None:
    world.land(14_400, 2)
    assert world.cycle(make_spec(candidates=MEMORISING))[0].promoted
    found, outcome = world.compared(make_spec(holdout={"seed": 7}))
    assert found.holdout is not None and not found.holdout.whole
    assert 500 <= found.holdout.rows < 800  # a fifth of a fifth
    assert 0.6 < found.holdout.champion["accuracy"] < 0.8  # by heart it would be 1.0
    assert outcome.promoted and "holdout rows that neither learnt from" in gain(outcome)


def test_a_smaller_share_is_part_of_the_old_holdout_and_compares_wholly(world: World) -> None:
    assert world.cycle(make_spec(candidates=MEMORISING))[0].promoted
    found, outcome = world.compared(make_spec(holdout={"fraction": 0.1}))
    assert found.holdout is not None and found.holdout.whole
    assert found.holdout.champion["accuracy"] < 0.9
    assert outcome.promoted


def test_a_removed_file_leaves_the_rows_that_are_still_there(world: World) -> None:
    world.land(600, 2)
    assert world.cycle(make_spec(candidates=MEMORISING))[0].promoted
    world.raw.delete(list_landed(world.store, make_spec())[0].key)
    found, outcome = world.compared(make_spec())
    assert found.holdout is not None and found.holdout.champion["accuracy"] < 0.9
    assert found.holdout.whole or 60 <= found.holdout.rows < 120
    assert outcome.promoted


def test_a_file_removed_from_under_an_old_holdout_takes_the_comparison_with_it(world: World) -> None:
    """What landed after the first draw went to training whole, so nothing of a holdout of it was kept aside."""
    assert world.cycle(make_spec())[0].promoted
    first = list_landed(world.store, make_spec())[0].key
    world.land(600, 2)
    assert world.cycle(make_spec(candidates=MEMORISING, gate={"gain": -1}))[0].promoted
    world.raw.delete(first)
    found, outcome = world.compared(make_spec())
    assert found.holdout is None and "0 of the 120 holdout rows" in found.why
    assert not outcome.promoted


@pytest.mark.parametrize("feature", ["told", "price"])
def test_a_feature_taken_out_of_the_spec_leaves_the_champion_measured_in_full(world: World, feature: str) -> None:
    first, _ = world.cycle(make_spec())
    found, _ = world.compared(without(feature))
    assert found.holdout is not None and found.holdout.whole
    published = Registry(world.store).manifest(NAME, str(first.version)).metrics
    assert found.holdout.champion == pytest.approx(
        {name: metric.value for name, metric in published.items()}, abs=1e-12
    )


def test_a_feature_of_another_type_leaves_the_champion_measured_in_full(world: World) -> None:
    first, _ = world.cycle(make_spec())
    features = dict(make_spec().model_dump(mode="json")["features"])
    open_category = {"type": "category", "values": ["0.5"], "unknown": "encode"}
    found, _ = world.compared(make_spec(features={**features, "told": open_category}))
    assert found.holdout is not None and found.holdout.whole
    assert found.holdout.champion["accuracy"] == pytest.approx(first.metrics["accuracy"], abs=1e-12)


def test_rows_that_only_one_spec_refuses_are_left_out_on_both_sides(tmp_path: Path) -> None:
    """The wider range of the challenger lets rows in that the champion's data never held."""
    world = World(tmp_path)
    world.land(600, 1, dear=100)
    _, w = world.cycle(make_spec())
    narrow = placed_holdout(world.store, w.spec, dataset_of(w))
    features = dict(make_spec().model_dump(mode="json")["features"])
    wide = make_spec(features={**features, "price": {"type": "number"}}, holdout={"fraction": 0.21})
    found, _ = world.compared(wide)
    assert found.holdout is not None and len(narrow.places) * 0.7 < found.holdout.rows <= len(narrow.places)


def test_places_follow_the_rows_whatever_a_schema_refuses(tmp_path: Path) -> None:
    """A row found at a place under one schema is the row found there under another, refusals and all."""
    world = World(tmp_path)
    features = dict(make_spec().model_dump(mode="json")["features"])
    wide = make_spec(features={**features, "price": {"type": "number"}})
    world.land(300, 1, dear=60)
    world.land(300, 2)
    _, before = world.cycle(wide)
    _, after = world.cycle(make_spec())
    all_rows = placed_holdout(world.store, wide, dataset_of(before))
    some = placed_holdout(world.store, make_spec(), dataset_of(after))
    assert dataset_of(before).holdout == dataset_of(after).holdout
    assert 0 < len(some.places) < len(all_rows.places) == 120
    told = dict(zip(all_rows.places, all_rows.rows.table.column("told").to_pylist(), strict=True))
    assert [told[place] for place in some.places] == some.rows.table.column("told").to_pylist()
    assert some.rows.y.tolist() == load_split(world.store, make_spec(), dataset_of(after), "holdout").y.tolist()
    (dear,) = {source for source, _ in all_rows.places} & {
        source.digest for source in dataset_of(after).sources if source.refused
    }
    key = keys.quarantine(NAME, dear, schema_digest(make_spec()))
    kept = world.store.get(key).data
    world.raw.delete(key)
    with pytest.raises(DataError, match="no longer tells which holdout rows"):
        placed_holdout(world.store, make_spec(), dataset_of(after))
    world.raw.put(key, b"{}\n")
    with pytest.raises(IntegrityError, match="malformed"):
        placed_holdout(world.store, make_spec(), dataset_of(after))
    world.raw.put(key, kept)
    assert placed_holdout(world.store, make_spec(), dataset_of(after)).places == some.places


def test_a_holdout_by_time_compares_as_well(world: World) -> None:
    first, _ = world.cycle(make_spec(time="day"))
    found, _ = world.compared(without("told", time="day"))
    assert found.holdout is not None and found.holdout.whole
    assert found.holdout.champion["accuracy"] == pytest.approx(first.metrics["accuracy"], abs=1e-12)


def test_a_champion_whose_dataset_is_gone_says_so(world: World) -> None:
    first, w = world.cycle(make_spec())
    world.land(100, 2)
    dataset = str(first.dataset)
    assert read_manifest(world.store, NAME, dataset)
    _, after = world.cycle(make_spec())
    world.raw.delete(keys.dataset_manifest(NAME, dataset))
    Registry(world.store).promote(NAME, str(first.version), op_id="x", actor="test", reason="", now=w.now())
    found = champion_of(after, result_of(after, "register", RegisterResult).version)
    assert found == Champion(
        version=str(first.version), holdout=None, why=f"Model {NAME} has no dataset {dataset[:12]}"
    )


@pytest.mark.parametrize(
    ("change", "classes", "why"),
    [
        ({"task": "multiclass", "target": {"column": "bought"}}, ("no", "yes"), "its task is binary"),
        ({"target": {"column": "told"}}, ("no", "yes"), "it predicts 'bought'"),
        ({}, ("yes", "no"), "its classes are 'no' and 'yes', the last one positive"),
    ],
)
def test_what_predicts_something_else_is_not_compared(
    world: World, change: dict[str, Any], classes: tuple[str, ...], why: str
) -> None:
    outcome, _ = world.cycle(make_spec())
    champion = load(world.store, NAME, str(outcome.version)).manifest
    changed = without("told", **change)
    other = champion.model_copy(update={"spec": changed, "classes": classes})
    assert incompatible(champion, other) == why
    assert incompatible(champion, champion) == ""


def test_a_model_against_itself_gains_nothing(world: World) -> None:
    outcome, w = world.cycle(make_spec())
    model = load(world.store, NAME, str(outcome.version))
    holdout = placed_holdout(world.store, w.spec, dataset_of(w))
    found = compare(model, holdout, model, holdout)
    assert found.holdout is not None and found.holdout.whole
    assert (found.holdout.gain, found.holdout.low, found.holdout.high, found.holdout.p_value) == (0, 0, 0, 1)
    assert found.holdout.mcnemar == 1
    assert found.holdout.champion == pytest.approx({k: m.value for k, m in model.manifest.metrics.items()}, abs=1e-12)
