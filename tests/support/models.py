"""Small real models for tests: a hand-made ONNX graph, its manifest, and its place in a registry.

The graphs are linear with a link, in float64, missing values read as zero: enough to be a model, and
simple enough that a test can compute the answer with numpy.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from perennial.records import columns
from perennial.registry.log import LogEntry
from perennial.registry.manifest import MODEL_FILE, FileRef, Metric, ModelManifest, Parity
from perennial.registry.registry import Registry
from perennial.spec import ModelSpec
from perennial.store import Store
from tests.support.signing import signed

NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
MEASURES = ("sepal_length", "sepal_width", "petal_length", "petal_width")
IRIS: dict[str, Any] = {name: {"type": "number", "min": 0, "max": 10} for name in MEASURES}
IRIS_RECORD = {"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2}
MIXED: dict[str, Any] = {
    "Age": {"type": "number", "min": 10, "max": 100, "integer": True, "description": "In full years."},
    "CGPA": {"type": "number", "missing": True},
    "Sleep Duration": {"type": "category", "values": ["Less than 5 hours", "5-6 hours", "7-8 hours"]},
    "City": {"type": "category", "values": ["Pune", "Goa"], "unknown": "encode"},
    "Since": {"type": "date", "missing": True},
}
MIXED_RECORD = {"Age": 33, "CGPA": 8.97, "Sleep Duration": "5-6 hours", "City": "Pune", "Since": "2026-11-21"}
CLASSES = {"binary": ("0", "1"), "multiclass": ("setosa", "versicolor", "virginica"), "regression": ()}


class Publishable(Protocol):
    """A version that is not in a registry yet."""

    @property
    def manifest(self) -> ModelManifest: ...
    @property
    def onnx(self) -> bytes: ...


@dataclass(frozen=True)
class Built:
    """A model version that is not in a registry yet, with the weights it was made of."""

    manifest: ModelManifest
    onnx: bytes
    weights: NDArray[np.float64]
    bias: NDArray[np.float64]

    @property
    def version(self) -> str:
        return self.manifest.version


def make_spec(name: str = "iris", task: str = "multiclass", features: Mapping[str, Any] = IRIS) -> ModelSpec:
    return ModelSpec.model_validate(
        {
            "name": name,
            "task": task,
            "target": {"column": "target"},
            "features": dict(features),
            "candidates": {"linear": {"estimator": "sklearn.linear_model.LogisticRegression"}},
        }
    )


def build(spec: ModelSpec | None = None, *, seed: int = 0, scale: float = 1.0) -> Built:
    """A version whose weights follow from ``seed``; another seed is another version with other answers."""
    spec = spec or make_spec()
    rng = np.random.default_rng(seed)
    classes = CLASSES[spec.task]
    width, outputs = len(columns(spec)), len(classes) if spec.task == "multiclass" else 1
    weights, bias = rng.normal(size=(width, outputs)) * scale, rng.normal(size=outputs)
    graph = linear_onnx(spec.task, weights, bias)
    return Built(make_manifest(spec, classes, graph, seed), graph, weights, bias)


def make_manifest(spec: ModelSpec, classes: tuple[str, ...], graph: bytes, seed: int = 0) -> ModelManifest:
    metric = Metric(value=0.9, low=0.85, high=0.95)
    return ModelManifest(
        spec=spec,
        spec_digest=spec.digest(),
        classes=classes,
        candidate="linear",
        estimator="sklearn.linear_model.LogisticRegression",
        params={"C": 1.0},
        cross_validation=metric,
        metrics={spec.metric: metric},
        holdout_rows=30,
        parity=Parity(max_difference=1e-15, changed_classes=0, holdout_rows=30, boundary_rows=200),
        dataset=hashlib.sha256(b"dataset").hexdigest(),
        code="0123abc",
        run="run-1",
        seed=seed,
        libraries={"onnx": "1"},
        files={
            MODEL_FILE: FileRef(
                digest=hashlib.sha256(graph).hexdigest(), size=len(graph), media_type="application/octet-stream"
            )
        },
    )


def linear_onnx(task: str, weights: NDArray[np.float64], bias: NDArray[np.float64]) -> bytes:
    """A linear model [columns, outputs] as the ONNX graph the contract asks for: one input, label and probabilities."""
    width, outputs = weights.shape
    constants = [numpy_helper.from_array(weights, "w"), numpy_helper.from_array(bias, "b")]
    nodes = [
        helper.make_node("IsNaN", ["x"], ["missing"]),
        helper.make_node("Where", ["missing", "zero", "x"], ["given"]),
        helper.make_node("MatMul", ["given", "w"], ["product"]),
        helper.make_node("Add", ["product", "b"], ["score"]),
    ]
    constants += [
        numpy_helper.from_array(np.zeros(()), "zero"),
        numpy_helper.from_array(np.array([1], dtype=np.int64), "axis"),
    ]
    if task == "regression":
        nodes.append(helper.make_node("Squeeze", ["score", "axis"], ["value"]))
        results = [helper.make_tensor_value_info("value", TensorProto.DOUBLE, ["N"])]
    else:
        if task == "binary":
            constants.append(numpy_helper.from_array(np.ones(()), "one"))
            nodes += [
                helper.make_node("Sigmoid", ["score"], ["positive"]),
                helper.make_node("Sub", ["one", "positive"], ["negative"]),
                helper.make_node("Concat", ["negative", "positive"], ["probabilities"], axis=1),
            ]
        else:
            nodes.append(helper.make_node("Softmax", ["score"], ["probabilities"], axis=1))
        nodes.append(helper.make_node("ArgMax", ["probabilities"], ["label"], axis=1, keepdims=0))
        results = [
            helper.make_tensor_value_info("label", TensorProto.INT64, ["N"]),
            helper.make_tensor_value_info("probabilities", TensorProto.DOUBLE, ["N", max(outputs, 2)]),
        ]
    rows = helper.make_tensor_value_info("x", TensorProto.DOUBLE, ["N", width])
    graph = helper.make_graph(nodes, "linear", [rows], results, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def register(store: Store, built: Publishable) -> str:
    """Publish a version without promoting it, signed where the store asks for that; returns its name."""
    return signed(store, built.manifest.model, Registry(store).publish(built.manifest, {MODEL_FILE: built.onnx}))


def promote(store: Store, built: Publishable, *, op_id: str | None = None, now: datetime = NOW) -> LogEntry:
    """Publish a version and make it champion."""
    version = register(store, built)
    return Registry(store).promote(
        built.manifest.model, version, op_id=op_id or f"promote-{version}", actor="test", reason="", now=now
    )


def answer(built: Built, rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """What the model says of a matrix, computed by numpy: probabilities [n, classes], or values [n]."""
    score = np.where(np.isnan(rows), 0.0, rows) @ built.weights + built.bias
    match built.manifest.spec.task:
        case "regression":
            return score[:, 0]
        case "binary":
            positive = 1 / (1 + np.exp(-score))
            return np.hstack([1 - positive, positive])
        case _:
            power = np.exp(score - score.max(axis=1, keepdims=True))
            return np.asarray(power / power.sum(axis=1, keepdims=True))


def body(record: object) -> bytes:
    return json.dumps(record).encode()
