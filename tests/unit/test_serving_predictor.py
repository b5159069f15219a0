"""The predictor: right answers, the same answers in any company, and only graphs that fit their manifest."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from perennial.errors import IntegrityError, InvalidRecord, NotFoundError
from perennial.registry.manifest import MODEL_FILE, FileRef
from perennial.serving.load import load
from perennial.serving.predictor import Prediction, Predictor
from perennial.store import memory_store
from tests.support.hostile_models import pinned
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
def test_a_record_has_the_same_bits_as_its_row_whatever_was_asked_before(task: str) -> None:
    found = predictor(build(make_spec("m", task), seed=3))
    drawn = np.random.default_rng(7).random(size=(40, 4)) * 7
    records = [found.schema.validate(dict(zip(IRIS_RECORD, row.tolist(), strict=True))) for row in drawn]
    scores = found.run(drawn)
    expected = scores.values if scores.values is not None else scores.probabilities
    assert expected is not None

    for start, count in ((0, 1), (1, 8), (9, 3), (12, 1), (13, 7), (20, 9), (29, 11)):
        predictions = found.predict(records[start : start + count])
        told = [list(one.probabilities.values()) if one.probabilities else [one.prediction] for one in predictions]
        assert told == expected[start : start + count].reshape(count, -1).tolist()


def test_threads_that_predict_at_once_do_not_meet() -> None:
    found = predictor(build(make_spec("m", "multiclass"), seed=3))
    drawn = np.random.default_rng(8).random(size=(8, 4)) * 7
    records = [found.schema.validate(dict(zip(IRIS_RECORD, row.tolist(), strict=True))) for row in drawn]
    alone = [found.predict([record]) for record in records]

    def ask(record: BaseModel) -> list[list[Prediction]]:
        return [found.predict([record]) for _ in range(400)]

    with ThreadPoolExecutor(len(records)) as pool:
        for told, expected in zip(pool.map(ask, records), alone, strict=True):
            assert all(one == expected for one in told)


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


@pytest.mark.parametrize("said", [1, 8, 16])
@pytest.mark.parametrize("rows", [1, 8, 9])
def test_a_graph_that_names_a_number_of_rows_answers_any(said: int, rows: int) -> None:
    made = pinned(said)
    found = Predictor(made.manifest, made.onnx)
    records = [found.schema.validate({"a": float(place)}) for place in range(rows)]
    assert [one.prediction for one in found.predict(records)] == [float(place) for place in range(rows)]


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

    @pytest.mark.parametrize(
        ("kind", "shape"), [("INT64", ["N"]), ("STRING", ["N"]), ("BOOL", ["N"]), ("DOUBLE", ["N", 1]), ("FLOAT", [])]
    )
    def test_wrong_kind_of_answer(self, kind: str, shape: list[Any]) -> None:
        """Only what the API could tell as a number a row."""
        made = onnx.load_model_from_string(linear_onnx("regression", np.ones((4, 1)), np.zeros(1)))
        squeezed = made.graph.node[-1]
        if kind != "DOUBLE":
            squeezed.output[0] = "squeezed"
            made.graph.node.append(
                onnx.helper.make_node("Cast", ["squeezed"], ["value"], to=getattr(onnx.TensorProto, kind))
            )
        else:
            squeezed.op_type, squeezed.input[:] = "Identity", ["score"]
        if kind == "FLOAT":
            made.graph.node.append(onnx.helper.make_node("SequenceConstruct", ["value"], ["several"]))
            made.graph.node[-2].output[0] = made.graph.node[-1].input[0] = "one"
            made.graph.node[-1].output[0] = "value"
            value = onnx.helper.make_tensor_sequence_value_info("value", onnx.TensorProto.FLOAT, None)
        else:
            value = onnx.helper.make_tensor_value_info("value", getattr(onnx.TensorProto, kind), shape)
        made.graph.output[0].CopyFrom(value)
        with pytest.raises(IntegrityError, match="gives as value a"):
            Predictor(*self.manifest_and(made.SerializeToString(), "regression", ()))

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
