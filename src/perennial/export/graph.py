"""A small ONNX graph builder: float64 matrix ``x`` [N, columns] or pictures in, named outputs out.

Only the domains ``ai.onnx`` and ``ai.onnx.ml`` exist here. Nodes are added in the order they run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from perennial.records import SORT_COLUMNS

OPSET = 21
ML_OPSET = 5
IR_VERSION = 10
ML_DOMAIN = "ai.onnx.ml"
INPUT = "x"

type_of = {"float32": TensorProto.FLOAT, "float64": TensorProto.DOUBLE, "int64": TensorProto.INT64}


class Graph:
    """One graph under construction. ``ml_opset`` is the version of ``ai.onnx.ml`` that its nodes are written in.

    ``width`` is the number of columns of its matrix; ``pictures``, rows, columns and channels, takes the place of it
    where the input is uint8 [N, rows, columns, channels]. ``sort_columns`` are those by which rows are best sorted
    before many go through it at once, the most important first.
    """

    def __init__(self, width: int, *, pictures: tuple[int, int, int] | None = None) -> None:
        self.width = width
        self.pictures = pictures
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self.ml_opset = ML_OPSET
        self.sort_columns: Sequence[int] = ()
        self._names = 0

    def name(self, stem: str) -> str:
        """A name not used before."""
        self._names += 1
        return f"{stem}_{self._names}"

    def constant(self, value: object, dtype: type = np.float64) -> str:
        """A constant tensor; returns its name."""
        name = self.name("c")
        self.initializers.append(numpy_helper.from_array(np.asarray(value, dtype=dtype), name))
        return name

    def op(self, kind: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """Add a node with one output; returns the output's name."""
        name = self.name(kind.lower())
        self.nodes.append(helper.make_node(kind, list(inputs), [name], domain=domain, **attributes))
        return name

    def cast(self, value: str, dtype: str) -> str:
        """Convert to ``float32``, ``float64`` or ``int64``."""
        return self.op("Cast", value, to=type_of[dtype])

    def trees(self, value: str, integers: Mapping[str, NDArray[np.int64]], tensors: Mapping[str, NDArray[np.generic]],
              outputs: int) -> str:  # fmt: skip
        """Add a TreeEnsemble that sums; attributes are filled without a detour over Python lists of protos."""
        name = self.name("trees")
        node = helper.make_node(
            "TreeEnsemble", [value], [name], domain=ML_DOMAIN, n_targets=outputs, aggregate_function=1, post_transform=0
        )
        for key, array in integers.items():
            attribute = node.attribute.add(name=key, type=onnx.AttributeProto.INTS)
            attribute.ints.extend(array.tolist())
        for key, tensor in tensors.items():
            attribute = node.attribute.add(name=key, type=onnx.AttributeProto.TENSOR)
            attribute.t.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(tensor), key))
        self.nodes.append(node)
        return name

    def finish(self, outputs: Mapping[str, tuple[str, str, int | None]]) -> bytes:
        """The model's bytes. ``outputs`` maps a name to (value, dtype, second dimension or None for a vector)."""
        infos = []
        for name, (value, dtype, size) in outputs.items():
            self.nodes.append(helper.make_node("Identity", [value], [name]))
            dimensions: list[str | int] = ["N"] if size is None else ["N", size]
            infos.append(helper.make_tensor_value_info(name, type_of[dtype], dimensions))
        kind, shape = (TensorProto.UINT8, self.pictures) if self.pictures else (TensorProto.DOUBLE, (self.width,))
        entry = helper.make_tensor_value_info(INPUT, kind, ["N", *shape])
        graph = helper.make_graph(self.nodes, "perennial", [entry], infos, self.initializers)
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid(ML_DOMAIN, self.ml_opset)],
            ir_version=IR_VERSION,
            producer_name="perennial",
        )
        if self.sort_columns:
            model.metadata_props.add(key=SORT_COLUMNS, value=",".join(map(str, self.sort_columns)))
        return bytes(model.SerializeToString())
