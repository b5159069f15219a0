"""What a spec may say, and that it means the same however it is written."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from perennial.errors import SpecError
from perennial.spec import METRICS, ModelSpec, label
from perennial.spec_policy import duration
from perennial.spec_source import parse_spec
from tests.support.datasets import FEATURES, make_spec


@pytest.mark.parametrize(
    ("value", "text"),
    [(1, "1"), (1.0, "1"), ("1", "1"), ("1.0", "1"), ("-3.00", "-3"), (" a ", "a"), (True, "true"), (1.5, "1.5"),
     ("1.50", "1.50"), ("007", "007"), ("1.0.0", "1.0.0"), ("v1.0", "v1.0")],
)  # fmt: skip
def test_a_label_has_one_text(value: object, text: str) -> None:
    assert label(value) == text


def test_equal_specs_have_equal_digests_and_different_ones_different() -> None:
    one = make_spec(target={"column": "ill", "positive": "1", "classes": ["0", "1"]})
    two = make_spec(target={"classes": [0.0, 1], "positive": 1.0, "column": "ill"})
    assert one == two
    assert one.digest() == two.digest()
    assert make_spec(metric="accuracy").digest() != make_spec().digest()


def test_a_stored_spec_reads_back_with_its_features_in_order() -> None:
    features = dict(reversed(FEATURES.items()))
    spec = make_spec(features=features, retrain={"cooldown": "90m", "performance": {"roc_auc": 0.8}})
    again = ModelSpec.model_validate_json(spec.model_dump_json())
    assert again == spec
    assert list(again.features) == list(features)


def test_the_order_of_features_is_part_of_the_digest() -> None:
    assert make_spec(features=dict(reversed(FEATURES.items()))).digest() != make_spec().digest()


@pytest.mark.parametrize("task", sorted(METRICS))
def test_each_task_has_a_metric_of_its_own_by_default(task: Any) -> None:
    target = {"column": "y"}
    spec = make_spec(task=task, target=target)
    assert spec.metric in METRICS[task]
    assert spec.lower_is_better == (task == "regression")


@pytest.mark.parametrize(
    ("changes", "key", "says"),
    [
        ({"name": "No Name"}, "name", "lower-case"),
        ({"name": "a" * 41}, "name", "at most 40"),
        ({"name": "trailing\n"}, "name", "lower-case"),
        ({"id": "ill"}, "id", "is the target column"),
        ({"time": "ill"}, "time", "is the target column"),
        ({"id": "age"}, "features.age", "is the id column"),
        ({"id": "when", "time": "when"}, "time", "is the id column"),
        ({"time": "colour"}, "features.colour", "is the time column"),
        ({"target": {"column": "age"}}, "features.age", "is the target"),
        ({"target": {"column": "ill", "positive": "no", "classes": ["no", "yes"]}}, "target.positive", "the last"),
        ({"target": {"column": "ill", "classes": ["a", "b", "c"]}}, "target.classes", "exactly two"),
        ({"target": {"column": "ill", "classes": ["a", "a"]}}, "target.classes", "two different"),
        ({"task": "multiclass"}, "target.positive", "only a binary task"),
        ({"task": "regression"}, "target", "no classes"),
        ({"metric": "r2"}, "metric", "unknown for a binary task"),
        ({"gate": {"minimum": {"auc": 1}}}, "gate.minimum.auc", "unknown metric"),
        ({"gate": {"slices": {"age": {"maximum_gap": 0.1}}}}, "gate.slices.age", "not a category"),
        ({"gate": {"minimum": {"roc_auc": 5}}}, "gate.minimum.roc_auc", "never be reached"),
        ({"retrain": {"performance": {"foo": 0.8}}}, "retrain.performance.foo", "unknown"),
        ({"features": {" a": {"type": "number"}}}, "features. a", "white space"),
        ({"id": ""}, "id", "is empty"),
        ({"candidates": {"1": {"estimator": "sklearn.svm.SVC"}}}, "candidates.1", "use a letter"),
    ],
)
def test_contradictions_are_found(changes: dict[str, Any], key: str, says: str) -> None:
    with pytest.raises(ValidationError) as caught:
        make_spec(**changes)
    message = caught.value.errors()[0]["msg"]
    assert f"@{key}@" in message
    assert says in message


@pytest.mark.parametrize(
    "changes",
    [
        {"task": ["binary"]},
        {"features": {}},
        {"features": {"a": {"type": "category", "values": ["x", "x"]}}},
        {"features": {"a": {"type": "category", "values": []}}},
        {"features": {"a": {"type": "number", "min": 2, "max": 1}}},
        {"features": {"a": {"type": "number", "min": float("nan")}}},
        {"candidates": {"a": {"estimator": "sklearn.x", "params": {"missing": float("nan")}}}},
        {"candidates": {"a": {"estimator": "sklearn.x", "search": {"C": [float("inf")]}}}},
        {"holdout": {"fraction": 0}},
        {"retrain": {"cooldown": "soon"}},
        {"unheard_of": 1},
    ],
)
def test_nonsense_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        make_spec(**changes)


def test_many_values_are_checked_quickly_and_durations_read() -> None:
    spec = make_spec(features={"a": {"type": "category", "values": [f"v{i}" for i in range(10_000)]}})
    assert len(spec.features["a"].values) == 10_000  # type: ignore[union-attr]
    assert str(duration("90m")) == "1:30:00"


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("gate: {minimum: {accuracy: .nan}}", "gate.minimum.accuracy"),
        ("gate: {gain: .inf}", "gate.gain"),
        ("candidates: {a: {estimator: sklearn.svm.SVC, params: {missing: .nan}}}", "candidates.a.params"),
    ],
)
def test_a_number_that_is_none_is_refused_by_its_key(line: str, key: str) -> None:
    text = "name: shop\ntask: binary\ntarget: {column: y}\nfeatures: {x: {type: number}}\n"
    if not line.startswith("candidates"):
        text += "candidates: {a: {estimator: sklearn.svm.SVC}}\n"
    with pytest.raises(SpecError) as caught:
        parse_spec(text + line + "\n")
    assert caught.value.key == key


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("candidates: {a: {estimator: os.system}}", "candidates.a.estimator"),
        ("candidates: {a: {estimator: sklearn.svm.SVC, search: {C: []}}}", "candidates.a.search"),
        ("retrain: {cooldown: 99999999999d}", "retrain.cooldown"),
        ("monitor: {window: 900000d}", "monitor.window"),
        ("monitor: {window: 0d}", "monitor.window"),
        ("retrain: {schedule: every day}", "retrain.schedule"),
        ("monitor: {schedule: 99 99 * * *}", "monitor.schedule"),
        ("notify: {email: [nobody]}", "notify.email.0"),
        ("gate: {approval: maybe}", "gate.approval"),
    ],
)
def test_what_no_later_step_could_use_is_refused_by_its_key(line: str, key: str) -> None:
    text = "name: shop\ntask: binary\ntarget: {column: y}\nfeatures: {x: {type: number}}\n"
    if not line.startswith("candidates"):
        text += "candidates: {a: {estimator: sklearn.svm.SVC}}\n"
    with pytest.raises(SpecError) as caught:
        parse_spec(text + line + "\n")
    assert (caught.value.key, caught.value.line) == (key, len((text + line).splitlines()))
