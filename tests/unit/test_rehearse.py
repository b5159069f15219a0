"""A version's first run: in bounds for real models, refused before it serves where it takes too much or never ends."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from perennial.errors import PromotionRefused
from perennial.jobs.rehearse import LIMITS, answer_edges, edges, limits_for, rehearse
from perennial.registry.manifest import ModelManifest
from perennial.serving.predictor import Predictor
from perennial.store import memory_store
from tests.support.models import MIXED, build, make_manifest, make_spec, register
from tests.support.picture_models import build_pictures

QUICK = replace(LIMITS, seconds=6)


@dataclass(frozen=True)
class Made:
    manifest: ModelManifest
    onnx: bytes


def regression(nodes: list[Any], constants: list[Any]) -> Made:
    """A version of a regression with one number, and whatever graph."""
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", TensorProto.DOUBLE, ["N", 1])],
        [helper.make_tensor_value_info("value", TensorProto.DOUBLE, ["N"])], constants,
    )  # fmt: skip
    onnx = bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9).SerializeToString()
    )
    spec = make_spec("m", "regression", {"a": {"type": "number"}})
    return Made(make_manifest(spec, (), onnx), onnx)


def bomb(megabytes: int = 2048) -> Made:
    """A few bytes that ask for so much memory when they are run."""
    shape = numpy_helper.from_array(np.array([(megabytes << 20) // 8], np.int64), "shape")
    one = numpy_helper.from_array(np.array([1.0]), "value")
    return regression(
        [helper.make_node("ConstantOfShape", ["shape"], ["large"], value=one),
         helper.make_node("ReduceSum", ["large"], ["sum"], keepdims=0),
         helper.make_node("Squeeze", ["x", "axis"], ["plain"]), helper.make_node("Add", ["plain", "sum"], ["value"])],
        [shape, numpy_helper.from_array(np.array([1], np.int64), "axis")],
    )  # fmt: skip


def endless() -> Made:
    """A loop without an end: its condition stays true, and it counts nothing."""
    true = helper.make_tensor("true", TensorProto.BOOL, [], [True])
    body = helper.make_graph(
        [helper.make_node("Identity", ["going"], ["still"]), helper.make_node("Identity", ["held"], ["kept"])], "body",
        [helper.make_tensor_value_info("i", TensorProto.INT64, []),
         helper.make_tensor_value_info("going", TensorProto.BOOL, []),
         helper.make_tensor_value_info("held", TensorProto.DOUBLE, ["N"])],
        [helper.make_tensor_value_info("still", TensorProto.BOOL, []),
         helper.make_tensor_value_info("kept", TensorProto.DOUBLE, ["N"])],
    )  # fmt: skip
    return regression(
        [helper.make_node("Squeeze", ["x", "axis"], ["plain"]),
         helper.make_node("Loop", ["", "true", "plain"], ["value"], body=body)],
        [true, numpy_helper.from_array(np.array([1], np.int64), "axis")],
    )  # fmt: skip


@pytest.mark.parametrize("made", [build(make_spec("m", features=MIXED)), build_pictures()], ids=["table", "pictures"])
def test_a_real_version_survives_its_first_run(made: Any) -> None:
    store = memory_store()
    rehearse(store, made.manifest.model, register(store, made))


def test_what_asks_for_all_memory_is_refused() -> None:
    store, made = memory_store(), bomb()
    with pytest.raises(PromotionRefused, match=r"may not serve: it cannot be run: .*ConstantOfShape"):
        rehearse(store, "m", register(store, made), limits=QUICK)


def test_what_takes_more_than_the_function_has_is_refused() -> None:
    store, made = memory_store(), bomb(300)
    version = register(store, made)
    rehearse(store, "m", version)
    with pytest.raises(PromotionRefused, match=r"takes [\d,]{3,} of the 512 MB that the API has") as refused:
        rehearse(store, "m", version, megabytes=512)
    assert "ApiMegabytes" in str(refused.value.remedy) and "PERENNIAL_API_MEGABYTES" in str(refused.value.remedy)


def test_a_larger_function_bounds_the_process_less() -> None:
    assert limits_for(512) == limits_for(1024) == LIMITS
    assert limits_for(4096).memory > 4096 << 20


def test_what_never_ends_is_refused() -> None:
    store, made = memory_store(), endless()
    with pytest.raises(PromotionRefused, match=r"may not serve: its first run (took longer than|ended with code)"):
        rehearse(store, "m", register(store, made), limits=replace(LIMITS, seconds=3))


def test_a_version_that_is_not_there_is_refused() -> None:
    with pytest.raises(PromotionRefused, match="has no version"):
        rehearse(memory_store(), "m", hashlib.sha256(b"").hexdigest()[:16])


def test_edges_are_those_of_the_spec() -> None:
    features = {"a": {"type": "number", "min": 2, "max": 3}, "b": {"type": "category", "values": ["x", "y", "z"]},
                "c": {"type": "number"}}  # fmt: skip
    made = build(make_spec("m", features=features))
    predictor = Predictor(made.manifest, made.onnx)
    least, most, missing, unknown = edges(predictor)
    assert least.tolist() == [2, 0, -1e6]
    assert most.tolist() == [3, 2, 1e6]
    assert np.isnan(missing).all()
    assert unknown.tolist() == [2, -1, -1e6]
    answer_edges(predictor)
