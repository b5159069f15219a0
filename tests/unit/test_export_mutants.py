"""The proof must notice: graphs that are wrong in one number are refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from sklearn.ensemble import (
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.tree import DecisionTreeClassifier
from xgboost import XGBClassifier

from perennial.errors import ExportError
from perennial.export import prove
from perennial.export.boundary import MAX_ROWS, boundary_rows
from perennial.export.compiler import take_apart
from perennial.export.folding import MEMBER, NEQ
from perennial.export.parity import largest_difference
from perennial.records import Column
from tests.support.pipelines import answers, proven

COLUMNS = (
    Column("a", "a", "number"),
    Column("b", "b", "number"),
    Column("c", "c", "category", tuple("pqrstuvw")),
    Column("d", "d", "number"),
)
TREES = {
    "tree": DecisionTreeClassifier(random_state=0, max_depth=5),
    "forest": RandomForestClassifier(2, random_state=0, max_depth=4),
    "histogram": HistGradientBoostingClassifier(max_iter=3, min_samples_leaf=5, max_leaf_nodes=8),
    "xgboost": XGBClassifier(n_estimators=3, max_depth=4, n_jobs=1),
}


@pytest.fixture(scope="module")
def data() -> tuple[np.ndarray, np.ndarray]:
    """300 rows with missing cells, and a class that depends on every column."""
    rng = np.random.default_rng(3)
    x = np.stack(
        [rng.normal(size=300), np.round(rng.normal(size=300), 1), rng.integers(0, 8, 300).astype(float),
         rng.normal(size=300)],
        axis=1,
    )  # fmt: skip
    x[rng.random(x.shape) < 0.08] = np.nan
    known = np.nan_to_num(x)
    signal = known[:, 0] + np.sin(known[:, 2] * 2) + 0.5 * np.isnan(x[:, 3]) + rng.normal(size=300) * 0.3
    return x, (signal > 0.2).astype(np.int64)


@pytest.mark.parametrize("kind", TREES)
def test_every_shifted_split_is_noticed(kind: str, data: tuple[np.ndarray, np.ndarray]) -> None:
    """A threshold moved by the least that its arithmetic can tell, a code by one, a set by one member."""
    x, y = data
    pipeline, graph, _ = proven(COLUMNS, TREES[kind], x, y, 2)
    count = 0
    for mutant in _mutants(onnx.load_from_string(graph)):
        count += 1
        with pytest.raises(ExportError, match="not faithful"):
            prove(pipeline, mutant, COLUMNS, x[225:])
    assert count >= 20


@pytest.mark.parametrize("estimator", [*TREES.values(), LogisticRegression()], ids=[*TREES, "logistic"])
def test_shifted_probabilities_are_noticed(estimator: Any, data: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = data
    pipeline, graph, _ = proven(COLUMNS, estimator, x, y, 2)
    with pytest.raises(ExportError, match=r"largest difference 1\.?0*\d*e-05"):
        prove(pipeline, _shifted(graph, "probabilities", 1e-5), COLUMNS, x[225:])


def test_shifted_values_are_noticed_in_proportion(data: tuple[np.ndarray, np.ndarray]) -> None:
    x, _ = data
    y = np.nan_to_num(x[:, 0]) * 1000
    for estimator in (Ridge(), GradientBoostingRegressor(n_estimators=5)):
        pipeline, graph, _ = proven(COLUMNS, estimator, x, y, 0)
        with pytest.raises(ExportError, match="not faithful"):
            prove(pipeline, _shifted(graph, "value", 1e-4), COLUMNS, x[225:])


def test_one_wrong_label_is_noticed(data: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = data
    pipeline, graph, _ = proven(COLUMNS, LogisticRegression(), x, y, 2)
    model = onnx.load_from_string(graph)
    positive = next(node for node in model.graph.node if node.op_type == "Greater")
    positive.op_type = "Less"
    with pytest.raises(ExportError, match=r"[1-9]\d* of \d+ classes changed"):
        prove(pipeline, model.SerializeToString(), COLUMNS, x[225:])


def test_a_graph_that_cannot_run_is_refused(data: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = data
    pipeline, graph, _ = proven(COLUMNS, LogisticRegression(), x, y, 2)
    for broken in (b"", graph[:-40], _shifted(graph, "probabilities", float("nan"))):
        with pytest.raises(ExportError, match=r"cannot be run|not faithful"):
            prove(pipeline, broken, COLUMNS, x[225:])


def test_boundary_rows_are_bounded_and_repeatable(data: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = data
    for estimator in (LogisticRegression(), RandomForestClassifier(40, random_state=0)):
        pipeline, _, proof = proven(COLUMNS, estimator, x, y, 2)
        fitted = take_apart(pipeline)
        rows = boundary_rows(fitted, COLUMNS, x[225:])
        assert 0 < len(rows) == proof.boundary_rows <= MAX_ROWS
        assert np.array_equal(rows, boundary_rows(fitted, COLUMNS, x[225:]), equal_nan=True)
        assert set(range(-1, 8)) <= set(rows[:, 2])
        assert np.isnan(rows).all(axis=1).any()
        assert not np.isinf(rows).any()
        assert len(boundary_rows(fitted, COLUMNS, x[:0], limit=500)) <= 500


def test_the_difference_is_absolute_or_relative_and_never_hides_a_nan() -> None:
    ones = np.ones((2, 1))
    assert largest_difference(ones * 1e9, ones * 1e9 + 1, relative=True) == pytest.approx(1e-9)
    assert largest_difference(ones * 0.5, ones * 0.75, relative=True) == 0.25
    assert largest_difference(ones * 0.5, ones * 0.75, relative=False) == 0.25
    assert largest_difference(ones * np.inf, ones * np.inf, relative=True) == 0
    for odd in (np.nan, np.inf):
        assert np.isnan(largest_difference(ones, ones * odd, relative=False))
    assert np.isnan(largest_difference(ones, np.ones((2, 2)), relative=False))


def _mutants(model: onnx.ModelProto) -> Iterator[bytes]:
    """Each with one number of the tree ensemble wrong; where a tree has no split, nothing turns on it."""
    node = next(node for node in model.graph.node if node.op_type == "TreeEnsemble")
    attributes = {each.name: each for each in node.attribute}
    single = any(each.op_type == "Cast" and each.input[0] == "x" for each in model.graph.node)
    splits, modes = (numpy_helper.to_array(attributes[name].t) for name in ("nodes_splits", "nodes_modes"))
    both = zip(attributes["nodes_truenodeids"].ints, attributes["nodes_falsenodeids"].ints, strict=True)
    for index, (true, false) in enumerate(both):
        bare = true == false and attributes["nodes_trueleafs"].ints[index]
        if bare or modes[index] == MEMBER or np.isinf(splits[index]):
            continue
        if modes[index] == NEQ:
            yield _with(model, attributes, "nodes_splits", _changed(splits, index, splits[index] + 1))
            continue
        for direction in (-np.inf, np.inf):
            yield _with(
                model, attributes, "nodes_splits", _changed(splits, index, _ulp(splits[index], direction, single))
            )
    if "membership_values" in attributes:
        members = numpy_helper.to_array(attributes["membership_values"].t)
        for index in np.flatnonzero(~np.isnan(members)).tolist():
            alone = np.isnan(members[index + 1]) and (index == 0 or np.isnan(members[index - 1]))
            changed = _changed(members, index, 99.0) if alone else np.delete(members, index)
            yield _with(model, attributes, "membership_values", changed)


def _ulp(value: Any, direction: float, single: bool) -> float:
    """One step of what the comparison can tell: of float32 where the input was rounded to it."""
    if not single:
        return float(np.nextafter(value, direction))
    near = np.float32(value)
    low = near if near <= value else np.nextafter(near, np.float32(-np.inf))  # the last that passes an LEQ
    return float(np.nextafter(low, np.float32(direction)))


def _changed(array: np.ndarray, index: int, value: float) -> np.ndarray:
    changed = array.copy()
    changed[index] = value
    return changed


def _with(model: onnx.ModelProto, attributes: Any, name: str, array: np.ndarray) -> bytes:
    original = onnx.TensorProto()
    original.CopyFrom(attributes[name].t)
    attributes[name].t.CopyFrom(numpy_helper.from_array(array, name))
    mutant = model.SerializeToString()
    attributes[name].t.CopyFrom(original)
    return bytes(mutant)


def _shifted(graph: bytes, output: str, by: float) -> bytes:
    """The same graph with a constant added to one of its outputs."""
    model = onnx.load_from_string(graph)
    last = next(node for node in model.graph.node if node.output[0] == output)
    model.graph.initializer.append(numpy_helper.from_array(np.asarray(by), "shift"))
    last.CopyFrom(onnx.helper.make_node("Add", [last.input[0], "shift"], [output]))
    assert answers(model.SerializeToString(), np.zeros((1, len(COLUMNS))))
    return bytes(model.SerializeToString())
