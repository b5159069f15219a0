"""The predictor: right answers, the same answers in any company, and only graphs that fit their manifest."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perennial.errors import IntegrityError, InvalidRecord, NotFoundError
from perennial.registry.manifest import MODEL_FILE, FileRef
from perennial.serving.load import load
from perennial.serving.predictor import Predictor
from perennial.store import memory_store
from tests.support.models import (
    IRIS,
    IRIS_RECORD,
    MIXED,
    MIXED_RECORD,
    Built,
    answer,
    build,
    linear_onnx,
    make_manifest,
    make_spec,
    register,
)

TASKS = ("binary", "multiclass", "regression")


def predictor(built: Built) -> Predictor:
    return Predictor(built.manifest, built.onnx)


@pytest.mark.parametrize("task", TASKS)
def test_predict_answers_what_the_graph_computes(task: str) -> None:
    built = build(make_spec("m", task))
    found = predictor(built)
    record = found.schema.validate(IRIS_RECORD)

    [prediction] = found.predict([record])

    expected = answer(built, np.array([found.schema.row(record)]))[0]
    if task == "regression":
        assert prediction.probabilities is None
        assert prediction.prediction == pytest.approx(expected, rel=1e-12)
    else:
        assert prediction.probabilities is not None
        assert list(prediction.probabilities) == list(built.manifest.classes)
        assert list(prediction.probabilities.values()) == pytest.approx(list(expected), rel=1e-12)
        assert prediction.prediction == built.manifest.classes[int(np.argmax(expected))]


@pytest.mark.parametrize("task", TASKS)
@settings(derandomize=True, max_examples=40, deadline=None)
@given(data=st.data())
def test_a_row_has_the_same_bits_alone_and_in_any_batch(task: str, data: st.DataObject) -> None:
    found = predictor(build(make_spec("m", task), seed=3))
    rows = data.draw(st.integers(1, 70))
    x = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1))).normal(size=(rows, 4)) * 3

    together = found.run(x)

    for i in range(rows):
        alone = found.run(x[i : i + 1])
        for one, many in zip(alone, together, strict=True):
            assert (one is None) == (many is None)
            if one is not None and many is not None:
                assert one.tobytes() == many[i : i + 1].tobytes()


def test_no_rows_give_no_scores() -> None:
    found = predictor(build())
    scores = found.run(np.empty((0, 4)))
    assert scores.labels is not None and scores.labels.shape == (0,)
    assert scores.probabilities is not None and scores.probabilities.shape == (0, 3)
    assert found.predict([]) == []


def test_mixed_records_reach_the_right_columns() -> None:
    """A stored spec keeps the order of its features: the columns the graph was trained on."""
    built = build(make_spec("mixed", "binary", MIXED), scale=1e-3)
    store = memory_store()
    register(store, built)
    found = load(store, "mixed", built.version)

    record = found.schema.validate_json(json.dumps(MIXED_RECORD).encode())
    row = found.schema.row(record)
    assert row[:4] == [33.0, 8.97, 1.0, 0.0]
    [prediction] = found.predict([record])

    assert prediction.probabilities is not None
    expected = answer(built, np.array([row]))[0]
    assert list(prediction.probabilities.values()) == pytest.approx(list(expected), rel=1e-12)


def test_overflow_names_the_row_instead_of_answering_infinity() -> None:
    features = {name: {"type": "number"} for name in IRIS}
    found = predictor(build(make_spec("m", "regression", features), scale=100.0))
    good, bad = (found.schema.validate(dict.fromkeys(features, value)) for value in (1.0, 1.7e308))

    with pytest.raises(InvalidRecord) as caught:
        found.predict([good, bad, good])

    assert [field for field, _ in caught.value.problems] == ["1"]


class TestGraphsThatDoNotFit:
    def manifest_and(self, graph: bytes, task: str = "multiclass", classes: Any = ("a", "b", "c")) -> tuple[Any, bytes]:
        return make_manifest(make_spec("m", task), classes, graph), graph

    def test_wrong_width(self) -> None:
        with pytest.raises(IntegrityError, match="takes"):
            Predictor(*self.manifest_and(linear_onnx("multiclass", np.ones((5, 3)), np.zeros(3))))

    def test_wrong_number_of_classes(self) -> None:
        with pytest.raises(IntegrityError, match="3 probabilities for 2 classes"):
            Predictor(*self.manifest_and(linear_onnx("multiclass", np.ones((4, 3)), np.zeros(3)), classes=("a", "b")))

    def test_wrong_task(self) -> None:
        with pytest.raises(IntegrityError, match="answers"):
            Predictor(*self.manifest_and(linear_onnx("regression", np.ones((4, 1)), np.zeros(1))))

    @pytest.mark.parametrize("graph", [b"", b"\x00\x01not a graph", b"{}" * 100])
    def test_not_a_graph(self, graph: bytes) -> None:
        with pytest.raises(IntegrityError, match="refuse"):
            Predictor(*self.manifest_and(graph))


class TestLoad:
    def test_loads_what_was_published(self) -> None:
        store, built = memory_store(), build()
        register(store, built)
        assert load(store, "iris", built.version).manifest == built.manifest

    def test_unknown_version(self) -> None:
        with pytest.raises(NotFoundError):
            load(memory_store(), "iris", "0" * 16)

    def test_altered_graph_is_refused_before_it_is_parsed(self) -> None:
        store, built = memory_store(), build()
        register(store, built)
        tamper(store, f"iris/registry/blobs/sha256/{built.manifest.files[MODEL_FILE].digest}", b"not even a graph")
        with pytest.raises(IntegrityError, match="digest"):
            load(store, "iris", built.version)

    def test_altered_manifest_is_refused(self) -> None:
        store, built = memory_store(), build()
        register(store, built)
        key = f"iris/registry/versions/{built.version}/manifest.json"
        tamper(store, key, built.manifest.model_copy(update={"dataset": "0" * 64}).to_bytes())
        with pytest.raises(IntegrityError):
            load(store, "iris", built.version)

    def test_version_without_a_graph_is_refused(self) -> None:
        store, built = memory_store(), build()
        other = {"card.json": FileRef(digest="0" * 64, size=0, media_type="application/json")}
        manifest = built.manifest.model_copy(update={"files": other})
        store.put_new(f"iris/registry/versions/{manifest.version}/manifest.json", manifest.to_bytes())
        with pytest.raises(IntegrityError, match=r"no model\.onnx"):
            load(store, "iris", manifest.version)


def tamper(store: Any, key: str, data: bytes) -> None:
    store.put_if_match(key, data, store.get(key).etag)
