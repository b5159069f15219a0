"""Graphs of a few bytes that take all memory there is when they are run, or never end."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from tests.support.hostile_models import Made, endless, regression

_AXIS = numpy_helper.from_array(np.array([1], np.int64), "axis")
_SQUEEZE = helper.make_node("Squeeze", ["x", "axis"], ["plain"])


def _numbers(name: str, *values: int) -> Any:
    return numpy_helper.from_array(np.array(values, np.int64), name)


def bombs(size: int) -> dict[str, Made]:
    """A few bytes each that ask for ``size`` bytes when they are run, in different ways."""
    count = size // 8
    total = [helper.make_node("ReduceSum", ["large"], ["sum"], keepdims=0), _SQUEEZE,
             helper.make_node("Add", ["plain", "sum"], ["value"])]  # fmt: skip
    one = numpy_helper.from_array(np.array([1.0]), "one")
    makers: dict[str, tuple[list[Any], list[Any]]] = {
        "ConstantOfShape": (
            [helper.make_node("ConstantOfShape", ["shape"], ["large"], value=numpy_helper.from_array(np.array([1.0])))],
            [_numbers("shape", count)],
        ),
        "Expand": ([helper.make_node("Expand", ["one", "shape"], ["large"])], [one, _numbers("shape", count)]),
        "Tile": ([helper.make_node("Tile", ["one", "shape"], ["large"])], [one, _numbers("shape", count)]),
        "Range": (
            [helper.make_node("Range", ["from", "to", "by"], ["whole"]),
             helper.make_node("Cast", ["whole"], ["large"], to=TensorProto.DOUBLE)],
            [numpy_helper.from_array(np.array(v, np.int64), name)
             for name, v in (("from", 0), ("to", count), ("by", 1))],
        ),
        "Pad": ([helper.make_node("Pad", ["one", "shape"], ["large"])], [one, _numbers("shape", 0, count)]),
        "outer product of its input": (
            [helper.make_node("Tile", ["x", "times"], ["long"]), helper.make_node("Transpose", ["long"], ["across"]),
             helper.make_node("MatMul", ["long", "across"], ["large"])],
            [_numbers("times", int(count**0.5) // 1000 + 1, 1)],
        ),
    }  # fmt: skip
    return {name: regression([*nodes, *total], [*inits, _AXIS]) for name, (nodes, inits) in makers.items()}


def _loop(trips: int, *, inside: list[Any] | None = None) -> Any:
    """The body of a loop that keeps what it holds, ``trips`` times; ``inside`` stands in each turn."""
    outputs = [helper.make_tensor_value_info("still", TensorProto.BOOL, []),
               helper.make_tensor_value_info("kept", TensorProto.DOUBLE, ["N"])]  # fmt: skip
    kept = inside or [helper.make_node("Identity", ["held"], ["kept"])]
    return helper.make_graph(
        [helper.make_node("Identity", ["going"], ["still"]), *kept], f"body {trips}",
        [helper.make_tensor_value_info("i", TensorProto.INT64, []),
         helper.make_tensor_value_info("going", TensorProto.BOOL, []),
         helper.make_tensor_value_info("held", TensorProto.DOUBLE, ["N"])], outputs,
    )  # fmt: skip


_TRUE = helper.make_tensor("true", TensorProto.BOOL, [], [True])


def counted(trips: int) -> Made:
    """A loop that ends after so many turns."""
    return regression([_SQUEEZE, helper.make_node("Loop", ["trips", "true", "plain"], ["value"], body=_loop(trips))],
                      [_TRUE, numpy_helper.from_array(np.array(trips, np.int64), "trips"), _AXIS])  # fmt: skip


def loops() -> dict[str, Made]:
    """What does not end, or not in this life."""
    inner = helper.make_graph(
        [helper.make_node("Identity", ["going2"], ["still2"]), helper.make_node("Identity", ["held2"], ["kept2"])],
        "inner",
        [helper.make_tensor_value_info("i2", TensorProto.INT64, []),
         helper.make_tensor_value_info("going2", TensorProto.BOOL, []),
         helper.make_tensor_value_info("held2", TensorProto.DOUBLE, ["N"])],
        [helper.make_tensor_value_info("still2", TensorProto.BOOL, []),
         helper.make_tensor_value_info("kept2", TensorProto.DOUBLE, ["N"])],
    )  # fmt: skip
    within = [helper.make_node("Loop", ["trips", "true", "held"], ["kept"], body=inner)]
    many = numpy_helper.from_array(np.array(10**7, np.int64), "trips")
    nested = regression(
        [_SQUEEZE, helper.make_node("Loop", ["trips", "true", "plain"], ["value"], body=_loop(0, inside=within))],
        [_TRUE, many, _AXIS],
    )
    return {"Loop": endless(), "Loop counted to the end of its numbers": counted(2**63 - 1), "Loop in a loop": nested,
            "Scan over a long sequence": _scan()}  # fmt: skip


def _scan() -> Made:
    """A turn for each of 100 million numbers."""
    body = helper.make_graph(
        [helper.make_node("Add", ["held", "each"], ["kept"])], "turn",
        [helper.make_tensor_value_info("held", TensorProto.DOUBLE, []),
         helper.make_tensor_value_info("each", TensorProto.DOUBLE, [])],
        [helper.make_tensor_value_info("kept", TensorProto.DOUBLE, [])],
    )  # fmt: skip
    shape = _numbers("shape", 10**8)
    return regression(
        [helper.make_node("ConstantOfShape", ["shape"], ["long"], value=numpy_helper.from_array(np.array([1.0]))),
         helper.make_node("Scan", ["zero", "long"], ["sum"], body=body, num_scan_inputs=1), _SQUEEZE,
         helper.make_node("Add", ["plain", "sum"], ["value"])],
        [shape, numpy_helper.from_array(np.array(0.0), "zero"), _AXIS],
    )  # fmt: skip
