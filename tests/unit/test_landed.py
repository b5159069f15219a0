"""What messages of S3 tell of: a training for each model with new files, and nothing for anything else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perennial import keys
from perennial.jobs.landed import Arrivals, arrivals

MODELS = ("iris", "shop")


def event(key: str, *, name: str = "ObjectCreated:Put", bucket: str = "data", sequencer: str = "1") -> dict[str, Any]:
    """One record, as S3 writes it; the key comes as it would stand in a URL."""
    thing = {"key": key, "size": 3, "eTag": "e", "sequencer": sequencer}
    return {"eventSource": "aws:s3", "eventName": name, "s3": {"bucket": {"name": bucket}, "object": thing}}


def message(*events: object) -> str:
    return json.dumps({"Records": events})


def models(found: Arrivals) -> list[str]:
    return [each.model for each in found.trainings]


def test_files_of_several_models_start_one_training_each() -> None:
    found = arrivals(
        [message(event("shop/landing/a.csv"), event("shop/landing/b.csv")), message(event("iris/landing/c.csv"))],
        MODELS,
    )
    assert [(each.model, each.keys) for each in found.trainings] == [
        ("iris", ("iris/landing/c.csv",)),
        ("shop", ("shop/landing/a.csv", "shop/landing/b.csv")),
    ]
    assert found.ignored == ()


def test_a_key_comes_as_in_a_url() -> None:
    found = arrivals([message(event("shop/landing/M%C3%A4rz+2026%2B.csv"))], MODELS)
    assert found.trainings[0].keys == ("shop/landing/März 2026+.csv",)


def test_what_a_source_pulled_is_a_new_file() -> None:
    assert models(arrivals([message(event(keys.pulled("shop", "orders", 1)))], MODELS)) == ["shop"]


@pytest.mark.parametrize(
    "key",
    [
        keys.collected("shop", "feedback", 1),
        keys.collected("shop", "labels", 1),
        keys.pull_staging("shop", "orders", "run"),
        keys.dataset_blob("shop", "0" * 64),
        keys.label_file("shop", "0" * 64),
        "shop/landing.csv",
        "shop/landing/",
        "shop/landing/_SUCCESS",
        "shop/landing/part/.hidden.csv",
        "other/landing/a.csv",
        "landing/a.csv",
        "/shop/landing/a.csv",
    ],
)
def test_any_other_object_starts_nothing(key: str) -> None:
    found = arrivals([message(event(key))], MODELS)
    assert found.trainings == ()
    assert len(found.ignored) == 1


@pytest.mark.parametrize(
    "body",
    [
        json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "data"}),
        "",
        "hello",
        "[]",
        "null",
        "{}",
        json.dumps({"Records": "shop/landing/a.csv"}),
        json.dumps({"Records": [{"s3": {"object": {"key": "shop/landing/a.csv"}}}]}),
        json.dumps({"Records": [None]}),
        message(event("shop/landing/a.csv", name="ObjectRemoved:Delete")),
        message(event("shop/landing/a.csv", bucket="mine")),
    ],
)
def test_what_tells_of_no_new_file_starts_nothing(body: str) -> None:
    found = arrivals([body], MODELS, "data")
    assert found.trainings == ()
    assert len(found.ignored) == 1


def test_a_broken_event_hides_no_other() -> None:
    assert models(arrivals([message({}, event("shop/landing/a.csv")), "x"], MODELS)) == ["shop"]


def test_the_same_events_start_the_same_run_however_they_come() -> None:
    one, two = event("shop/landing/a.csv"), event("shop/landing/b.csv", sequencer="2")
    first = arrivals([message(one), message(two)], MODELS).trainings
    assert arrivals([message(two, one), message(one)], MODELS).trainings == first
    assert arrivals([message(one)], MODELS).trainings[0].run_id != first[0].run_id


def test_a_file_that_is_put_again_is_another_event() -> None:
    first = arrivals([message(event("shop/landing/a.csv", sequencer="1"))], MODELS).trainings[0]
    again = arrivals([message(event("shop/landing/a.csv", sequencer="2"))], MODELS).trainings[0]
    assert first.run_id != again.run_id


def test_the_reason_names_some_files() -> None:
    found = arrivals([message(*(event(f"shop/landing/{number}.csv") for number in range(5)))], MODELS)
    assert found.trainings[0].because == (
        "new files: shop/landing/0.csv, shop/landing/1.csv, shop/landing/2.csv and 2 more"
    )


@given(st.text() | st.recursive(st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(
    st.sampled_from(["Records", "s3", "object", "key", "bucket", "name", "eventName", "Event"]), inner
)).map(json.dumps))  # fmt: skip
def test_no_message_is_an_error(body: str) -> None:
    assert arrivals([body], MODELS).trainings == ()
