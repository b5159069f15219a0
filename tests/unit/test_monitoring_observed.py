"""Captured predictions read back: each once, gaps counted, and joined with what turned out true."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import pytest
from obstore.store import MemoryStore

from perennial import keys
from perennial.datasets.arrow import arrow_schema
from perennial.errors import IntegrityError
from perennial.monitoring.observed import Labelled, labelled, observe
from perennial.serving.captured import CapturedPrediction
from perennial.spec import ModelSpec
from perennial.store import Store, memory_store
from tests.support.captures import (
    capture,
    contradict,
    each_minute,
    give,
    land_label_file,
    line,
    prediction_id,
)
from tests.support.seam import Seam

T = TypeVar("T")
START = datetime(2026, 11, 20, 23, 30, tzinfo=UTC)
END = START + timedelta(days=2)
MODEL = "people"


def make_spec(**changes: Any) -> ModelSpec:
    said: dict[str, Any] = {
        "name": MODEL,
        "task": "binary",
        "target": {"column": "ill", "positive": "yes"},
        "id": "ssn",
        "time": "seen",
        "features": {
            "age": {"type": "number", "missing": True},
            "town": {"type": "category", "values": ["Rome", "Bari"], "unknown": "encode"},
            "born": {"type": "date", "missing": True},
        },
        "candidates": {"linear": {"estimator": "sklearn.linear_model.LogisticRegression"}},
    }
    return ModelSpec.model_validate({**said, **changes})


def people(count: int, start: datetime = START) -> list[CapturedPrediction]:
    """One a minute, so that they cross midnight."""
    return [
        line(
            MODEL,
            moment,
            i + 1,
            {"age": 20 + i, "town": "Rome", "born": "1990-05-06", "ssn": i, "seen": "2026-11-20T10:00:00+02:00"},
            "yes" if i % 2 else "no",
            probabilities={"no": 0.25, "yes": 0.75},
        )
        for i, moment in enumerate(each_minute(start, count))
    ]


def truths(found: Labelled) -> dict[str, tuple[Any, str]]:
    columns = (found.about["prediction_id"], found.rows["ill"], found.about["source"])
    return {
        identifier: (truth, source) for identifier, truth, source in zip(*(c.to_pylist() for c in columns), strict=True)
    }


def test_a_record_comes_back_in_the_types_of_a_dataset() -> None:
    store, spec = memory_store(), make_spec()
    capture(store, people(1))
    found = observe(store, spec, START, END)
    assert found.rows.to_pylist() == [
        {"age": 20.0, "town": "Rome", "born": datetime(1990, 5, 6), "ssn": "0", "seen": datetime(2026, 11, 20, 8)}
    ]
    assert found.about.to_pylist()[0]["prediction"] == "no"
    assert found.about.to_pylist()[0]["probabilities"] == [("no", 0.25), ("yes", 0.75)]


def test_what_does_not_fit_todays_spec_counts_as_missing_and_a_time_not_given_is_that_of_the_prediction() -> None:
    store, spec = memory_store(), make_spec()
    strange = {"town": 7, "born": "yesterday", "gone": 1}
    capture(store, [line(MODEL, START, i, {"age": age, **strange}, "no") for i, age in enumerate(("old", 10**400), 1)])
    assert (
        observe(store, spec, START, END).rows.to_pylist()
        == [{"age": None, "town": "7", "born": None, "ssn": None, "seen": START.replace(tzinfo=None)}] * 2
    )


def test_a_window_holds_its_first_moment_and_not_its_last() -> None:
    store, spec = memory_store(), make_spec()
    capture(store, people(60), batch=7)
    found = observe(store, spec, START + timedelta(minutes=10), START + timedelta(minutes=40))
    assert found.rows["age"].to_pylist() == [float(30 + i) for i in range(30)]
    assert (found.total, found.lost, found.duplicates) == (30, 0, 0)


def test_batches_outside_the_window_are_not_read() -> None:
    raw, read = MemoryStore(), set[str]()

    def around(operation: str, key: str, request: Callable[[], T]) -> T:
        read.update({key} if operation == "get" else ())
        return request()

    capture(Store(raw), people(60), batch=10)
    found = observe(Store(Seam(raw, around)), make_spec(), START + timedelta(minutes=40), END)
    assert found.total == 20
    assert len(read) == 2


def test_lines_that_came_again_count_once() -> None:
    store, spec, lines = memory_store(), make_spec(), people(20)
    capture(store, lines, batch=5)
    capture(store, lines, batch=8)  # a delivery repeated with others: other objects, the same lines
    found = observe(store, spec, START, END)
    assert (found.total, found.rows.num_rows, found.duplicates, found.lost) == (20, 20, 20, 0)
    assert len(set(found.about["prediction_id"].to_pylist())) == 20


def test_gaps_in_running_numbers_are_losses_and_the_edges_of_the_window_are_not() -> None:
    store, lines = memory_store(), people(30)
    capture(store, [each for each in lines if each.number not in (1, 2, 12, 13, 20, 30)], batch=4)
    assert observe(store, make_spec(), START, END).lost == 3
    assert observe(store, make_spec(), START + timedelta(minutes=12), END).lost == 1


def test_numbers_go_on_across_versions_and_each_process_has_its_own() -> None:
    store, lines = memory_store(), people(10)
    other = [each.model_copy(update={"version": "f" * 16}) for each in lines[5:]]
    elsewhere = line(MODEL, START, 900, {}, "no", instance="two")
    capture(store, [*lines[:5], *other, elsewhere])
    assert observe(store, make_spec(), START, END).lost == 0


def test_a_number_just_outside_the_window_fills_its_gap() -> None:
    store = memory_store()
    swapped = people(4)
    swapped[1] = line(MODEL, START - timedelta(seconds=1), 3, {}, "no")  # made before 1, but numbered after it
    capture(store, [*swapped[:2], line(MODEL, START + timedelta(minutes=2), 2, {}, "no"), swapped[3]])
    assert observe(store, make_spec(), START, END).lost == 0


def test_a_sampled_model_served_more_than_was_captured() -> None:
    store = memory_store()
    capture(store, [line(MODEL, m, i + 1, {}, "no", served=10 * i + 3) for i, m in enumerate(each_minute(START, 5))])
    found = observe(store, make_spec(), START, END)
    assert (found.total, found.served, found.lost) == (5, 41, 0)


def test_a_window_without_predictions_is_empty() -> None:
    found = observe(memory_store(), make_spec(), START, END)
    assert (found.total, found.served, found.lost, found.duplicates, found.rows.num_rows) == (0, 0, 0, 0, 0)


def test_other_text_and_other_models_are_passed_over() -> None:
    store = memory_store()
    stranger = line("others", START, 1, {}, "no").model_dump_json()
    mine = line(MODEL, START, 2, {}, "no").model_dump_json()
    data = "\n".join(["", "{", '{"kind": "else"}', stranger, mine]).encode()
    store.put_new(keys.prediction_batch(MODEL, "2026-11-20", "233000000", "233000000", "d" * 64), data)
    assert observe(store, make_spec(), START, END).total == 1


def test_a_huge_window_is_judged_by_the_same_sample_in_whatever_order_it_came() -> None:
    lines, samples = people(300), []
    for seed in (1, 2):
        store, mixed = memory_store(), list(lines)
        random.Random(seed).shuffle(mixed)
        capture(store, mixed, batch=30 + seed)
        capture(store, mixed, batch=50)
        found = observe(store, make_spec(), START, END, most=100)
        assert found.total == 300 and found.lost == 0
        assert 25 < found.rows.num_rows <= 100
        ages = [int(identifier[-4:], 16) + 19 for identifier in found.about["prediction_id"].to_pylist()]
        assert found.rows["age"].to_pylist() == ages
        samples.append(set(ages))
    assert samples[0] == samples[1]


def test_truths_are_joined_and_a_file_goes_before_the_api() -> None:
    store, spec, lines = memory_store(), make_spec(), people(6)
    ids = [each.prediction_id for each in lines]
    capture(store, lines)
    give(store, MODEL, ids[0], "no", END - timedelta(hours=1))
    give(store, MODEL, ids[1], "no", END - timedelta(hours=1))
    give(store, MODEL, ids[2], "yes", END - timedelta(hours=1))
    land_label_file(store, MODEL, "a", [(ids[1], "prediction_id", "yes"), ("2", "id", "yes"), ("4", "id", "no")])
    found = labelled(store, spec, since=START, until=END)
    assert found.rows.schema.equals(arrow_schema(spec))
    assert truths(found) == {
        ids[0]: ("no", "feedback"), ids[1]: ("yes", "labels"), ids[2]: ("yes", "labels"), ids[4]: ("no", "labels"),
    }  # fmt: skip
    assert (found.contradicted, found.unmatched) == (1, 0)


def test_truths_without_their_prediction_are_counted() -> None:
    store, spec = memory_store(), make_spec()
    capture(store, people(2))
    give(store, MODEL, prediction_id(START + timedelta(hours=1), 77), "no", END)
    rows = [(prediction_id(START, 78), "prediction_id", "no"), ("1", "id", "no"), ("99", "id", "no")]
    rows += [("ffffffff-ffff-7fff-bfff-ffffffffffff", "prediction_id", "no"), ("?", "prediction_id", "no")]
    land_label_file(store, MODEL, "a", rows)  # the last two are no predictions of ours
    found = labelled(store, spec, since=START, until=END)
    assert (found.rows.num_rows, found.unmatched) == (1, 3)


def test_labels_that_were_contradicted_are_counted() -> None:
    store, spec, lines = memory_store(), make_spec(), people(4)
    ids = [each.prediction_id for each in lines]
    capture(store, lines)
    give(store, MODEL, ids[0], "no", START)
    contradict(store, MODEL, ids[0], "yes", START)
    rows = [("1", "id", "no"), ("1", "id", "yes"), (ids[2], "prediction_id", "no"), (ids[2], "prediction_id", "yes")]
    land_label_file(store, MODEL, "a", rows)
    found = labelled(store, spec, since=START, until=END)
    assert truths(found)[ids[0]] == ("no", "feedback")  # the first stands
    assert found.contradicted == 3


def test_a_later_file_corrects_an_earlier_one() -> None:
    store, spec, lines = memory_store(), make_spec(), people(1)
    capture(store, lines)
    for name, truth in (("b", "no"), ("a", "yes")):
        land_label_file(store, MODEL, name, [(lines[0].prediction_id, "prediction_id", truth)])
    assert truths(labelled(store, spec, since=START, until=END)) == {lines[0].prediction_id: ("yes", "labels")}


def test_what_is_known_already_and_what_was_told_later_is_left_out() -> None:
    store, spec, lines = memory_store(), make_spec(), people(3)
    ids = [each.prediction_id for each in lines]
    capture(store, lines)
    give(store, MODEL, ids[0], "no", START)
    give(store, MODEL, ids[1], "no", START)
    give(store, MODEL, ids[2], "no", END)
    land_label_file(store, MODEL, "a", [("0", "id", "yes")])
    found = labelled(store, spec, since=None, until=END, known={ids[0]})
    assert truths(found) == {ids[1]: ("no", "feedback")}


def test_only_batches_with_a_labelled_prediction_are_read() -> None:
    raw, read, lines = MemoryStore(), set[str](), people(100)

    def around(operation: str, key: str, request: Callable[[], T]) -> T:
        read.update({key} if operation == "get" else ())
        return request()

    capture(Store(raw), lines, batch=10)
    give(Store(raw), MODEL, lines[42].prediction_id, "no", START)
    found = labelled(Store(Seam(raw, around)), make_spec(), since=None, until=None)
    assert found.rows.num_rows == 1
    assert len(read) == 2  # one batch, one label


def test_a_regression_reads_its_truth_as_a_number() -> None:
    spec = make_spec(task="regression", target={"column": "ill"}, id=None, time=None)
    store = memory_store()
    lines = [line(MODEL, START, i, {"age": i}, i + 0.5) for i in (1, 2, 3)]
    capture(store, lines)
    give(store, MODEL, lines[0].prediction_id, 7, START)
    rows = [(lines[1].prediction_id, "prediction_id", "8.25"), (lines[2].prediction_id, "prediction_id", "high")]
    land_label_file(store, MODEL, "a", rows)
    found = labelled(store, spec, since=START, until=END)
    assert found.rows["ill"].to_pylist() == [7.0, 8.25]
    assert found.about["prediction"].to_pylist() == [1.5, 2.5]


def test_damage_is_named() -> None:
    store, lines = memory_store(), people(1)
    capture(store, lines)
    store.put_new(keys.label(MODEL, "2026-11-20", lines[0].prediction_id), b"{}")
    with pytest.raises(IntegrityError, match=r"feedback/2026-11-20/.*malformed"):
        labelled(store, make_spec(), since=None, until=None)
    store.put_new(keys.label_file(MODEL, "broken"), b"PAR1")
    with pytest.raises(IntegrityError, match=r"labels/broken.parquet is damaged"):
        labelled(store, make_spec(), since=None, until=None)
