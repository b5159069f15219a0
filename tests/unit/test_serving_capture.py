"""Lines of predictions: what they hold, how they are counted and sampled, and what becomes of one that is too long."""

from __future__ import annotations

import hmac
import json
import os
from typing import Any

import pytest

from perennial.serving.capture import MAX_LINE_BYTES, Capture, Lines, Occasion, is_sampled
from perennial.serving.captured import CapturedPrediction, parse
from perennial.serving.ids import uuid7
from perennial.serving.refresh import ModelCache, Snapshot
from perennial.serving.tokens import KEY_BYTES, Signer
from perennial.spec import ModelSpec
from perennial.store import memory_store
from tests.support.models import IRIS_RECORD, MIXED, MIXED_RECORD, build, make_spec, promote

OCCASION = Occasion("2026-11-21T08:00:00.000+00:00", 'request "1"')


def served(name: str = "iris", task: str = "multiclass", features: Any = None, **changes: Any) -> Snapshot:
    """A model as a server holds it; ``changes`` are those of its spec."""
    spec = make_spec(name, task, features) if features else make_spec(name, task)
    store = memory_store()
    promote(store, build(ModelSpec.model_validate(spec.model_dump(mode="json") | changes), scale=1e-3))
    return ModelCache(store, refresh_seconds=60, clock=lambda: 0.0).get(name)


def ids(count: int) -> list[str]:
    return [uuid7(1_795_000_000.0, os.urandom(10)) for _ in range(count)]


def written(capture: Capture, snapshot: Snapshot, *records: dict[str, Any]) -> Lines:
    valid = [snapshot.predictor.schema.validate(record) for record in records]
    return capture.lines(snapshot, OCCASION, valid, snapshot.predictor.predict(valid), ids(len(valid)))


def read(lines: Lines) -> list[CapturedPrediction]:
    assert lines.text == "" or lines.text.endswith("\n")
    found = [parse(line) for line in lines.text.splitlines()]
    assert None not in found
    return [line for line in found if line is not None]


def test_a_line_is_the_prediction_as_it_was_made() -> None:
    snapshot = served()
    record = snapshot.predictor.schema.validate(IRIS_RECORD)
    [prediction] = snapshot.predictor.predict([record])
    [identifier] = ids(1)
    text = Capture("f00d").lines(snapshot, OCCASION, [record], [prediction], [identifier]).text
    assert text.startswith('{"kind":"perennial.prediction",')
    assert json.loads(text) == {
        "kind": "perennial.prediction", "prediction_id": identifier, "model": "iris",
        "version": snapshot.entry.version, "generation": 1, "time": OCCASION.time, "instance": "f00d", "number": 1,
        "served": 1, "request_id": OCCASION.request_id, "record": IRIS_RECORD, "prediction": prediction.prediction,
        "probabilities": prediction.probabilities, "role": "champion",
    }  # fmt: skip


def test_features_stand_under_their_own_names_as_sent_with_id_and_time() -> None:
    features = MIXED | {'It\'s "odd"': {"type": "number", "missing": True}}
    snapshot = served("mixed", "binary", features, id="Nr", time="When")
    sent = {name: value for name, value in MIXED_RECORD.items() if name != "CGPA"}
    sent |= {'It\'s "odd"': None, "Nr": 7, "When": "2026-11-21"}
    [line] = read(written(Capture("a"), snapshot, sent))
    assert line.record == sent


def test_a_regression_has_a_number_alone() -> None:
    [line] = read(written(Capture("a"), served(task="regression"), IRIS_RECORD))
    assert isinstance(line.prediction, float) and line.probabilities is None


@pytest.mark.parametrize(
    "city", ["Zürich", "\u2028\u2029\x85", "x\ny\r\x1c\x0b", "京都 😀", "perennial.prediction", "\x7f"]
)
def test_a_line_is_one_line_in_ascii_whatever_it_holds(city: str) -> None:
    lines = written(Capture("a"), served("mixed", "binary", MIXED), MIXED_RECORD | {"City": city})
    assert lines.text.isascii() and len(lines.text.splitlines()) == 1
    assert read(lines)[0].record["City"] == city


class TestNumbers:
    def test_run_from_1_for_each_model(self) -> None:
        capture, iris, other = Capture("a"), served(), served("other")
        first = read(written(capture, iris, *[IRIS_RECORD] * 3))
        second = read(written(capture, other, IRIS_RECORD))
        third = read(written(capture, iris, IRIS_RECORD))
        assert [(line.number, line.served) for line in first + second + third] == [
            (1, 1),
            (2, 2),
            (3, 3),
            (1, 1),
            (4, 4),
        ]

    def test_served_counts_what_is_not_sampled(self) -> None:
        capture, snapshot = Capture("a"), served(monitor={"capture": 0.3})
        lines = [line for _ in range(40) for line in read(written(capture, snapshot, *[IRIS_RECORD] * 50))]
        assert [line.number for line in lines] == list(range(1, len(lines) + 1))
        assert 0.25 < len(lines) / 2000 < 0.35
        assert lines[-1].served > 1900

    def test_off_writes_nothing(self) -> None:
        capture = Capture("a")
        assert written(capture, served(monitor={"capture": 0}), IRIS_RECORD) == Lines("", 0)
        [line] = read(written(capture, served(), IRIS_RECORD))
        assert (line.number, line.served) == (1, 2)

    def test_a_line_that_is_too_long_leaves_a_gap(self) -> None:
        features = {f"text {i}": {"type": "category", "values": ["a"], "unknown": "encode"} for i in range(600)}
        capture, snapshot = Capture("a"), served("wide", "binary", features)
        short, long = dict.fromkeys(features, "a"), dict.fromkeys(features, "é" * 100)
        lines = written(capture, snapshot, short, long, short)
        assert lines.lost == 1
        assert [line.number for line in read(lines)] == [1, 3]
        assert all(len(line) < MAX_LINE_BYTES for line in lines.text.splitlines())


class TestSampling:
    def test_is_of_the_id_alone(self) -> None:
        identifiers = ids(5000)
        kept = [is_sampled(identifier, 0.2) for identifier in identifiers]
        assert kept == [is_sampled(identifier, 0.2) for identifier in identifiers]
        assert 0.17 < sum(kept) / 5000 < 0.23

    def test_a_larger_share_keeps_what_a_smaller_one_kept(self) -> None:
        assert all(is_sampled(one, 0.6) for one in ids(1000) if is_sampled(one, 0.3))
        assert all(is_sampled(one, 1.0) and not is_sampled(one, 0.0) for one in ids(100))


def test_tokens_are_hmacs_in_base64url() -> None:
    import base64

    key, [identifier] = os.urandom(KEY_BYTES), ids(1)
    digest = hmac.digest(key, f"iris/{identifier}".encode(), "sha256")
    token = Signer(key).token("iris", identifier)
    assert base64.urlsafe_b64decode(token + "=") == digest
    assert Signer(key).accepts("iris", identifier, token)
    assert not Signer(os.urandom(KEY_BYTES)).accepts("iris", identifier, token)
    assert not Signer(key).accepts("iri", f"s/{identifier}", token[:-1])
