"""A network's graph in eight bits: static quantisation, calibrated on pictures, written as standard operators (QDQ).

Weights get seven of their eight bits and a scale for each channel: on processors without VNNI, products of eight bits
by eight overflow where onnxruntime adds them in pairs, and one graph would answer differently from machine to machine.
What this costs in accuracy is measured as for any candidate; nothing here is proven.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from perennial.errors import ExportError
from perennial.export.graph import INPUT
from perennial.export.merge import opset_of
from perennial.export.runtime import failures
from perennial.images.decode import Pixels

CALIBRATION = 128
"""Pictures whose values say what range each tensor has."""
HEAVY = frozenset({"Conv", "Gemm", "MatMul"})
QUANTISED = (*sorted(HEAVY), "Add", "AveragePool", "Clip", "Concat", "GlobalAveragePool", "MaxPool", "Mul", "Relu")
_UNQUANTISED = (ValueError, KeyError, TypeError, IndexError, AttributeError, NotImplementedError, AssertionError)


def calibration_rows(count: int) -> NDArray[np.int64]:
    """Positions of at most ``CALIBRATION`` of ``count`` pictures, evenly spread."""
    return np.unique(np.linspace(0, count - 1, min(count, CALIBRATION)).astype(np.int64))


def quantized(graph: bytes, pictures: Iterable[Pixels]) -> bytes:
    """A graph over ``x`` uint8 [1, size, size, channels] with its convolutions and products in eight bits.

    What stands before the first of them, which prepares the picture, and what is not float32 stays as it is.
    ``pictures`` calibrate it: of the training part, so that the holdout stays unseen.

    Raises:
        ExportError: there is nothing to quantise, or onnxruntime cannot do it with standard operators.
    """
    from onnxruntime.quantization import QuantType, quantize_static

    model = onnx.shape_inference.infer_shapes(onnx.load_model_from_string(graph))
    kept = _named(model)
    model.metadata_props.add(key="onnx.quant.pre_process", value="onnxruntime.quant")  # or it advises shape inference
    failed: tuple[type[Exception], ...] = (*failures(), *_UNQUANTISED)
    with tempfile.TemporaryDirectory(prefix="perennial-") as folder:
        path = Path(folder) / "quantized.onnx"
        try:
            quantize_static(
                model,
                path,
                _Reader(pictures),
                op_types_to_quantize=list(QUANTISED),
                nodes_to_exclude=kept,
                per_channel=True,
                reduce_range=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                calibration_providers=["CPUExecutionProvider"],
            )
            made = onnx.load_model_from_string(path.read_bytes())
        except failed as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
            raise ExportError(f"The graph cannot be quantised: {reason}", remedy="Remove quantize.") from error
    return _standard(made, opset_of(model))


class _Reader:
    """Pictures as onnxruntime asks for them, one by one."""

    def __init__(self, pictures: Iterable[Pixels]) -> None:
        self._rest: Iterator[Pixels] = iter(pictures)

    def get_next(self) -> Mapping[str, Pixels] | None:
        """The next picture, None after the last."""
        found = next(self._rest, None)
        return None if found is None else {INPUT: found[np.newaxis]}

    def __iter__(self) -> Iterator[Mapping[str, Pixels]]:
        return self

    def __next__(self) -> Mapping[str, Pixels]:
        found = self.get_next()
        if found is None:
            raise StopIteration
        return found


def _named(model: onnx.ModelProto) -> list[str]:
    """Give every node a name of its own; returns those that stand before the first heavy one.

    Raises:
        ExportError: there is no heavy one.
    """
    behind: set[str] = set()
    before: list[str] = []
    for place, node in enumerate(model.graph.node):
        node.name = f"node_{place}"
        if node.op_type in HEAVY or not behind.isdisjoint(node.input):
            behind.update(node.output)
        else:
            before.append(node.name)
    if not behind:
        raise ExportError("The graph has nothing to quantise.", remedy="Remove quantize.")
    return before


def _standard(model: onnx.ModelProto, opset: int) -> bytes:
    """The quantised graph without what its maker noted in it. Raises ExportError where it is not standard."""
    domains = {node.domain for node in model.graph.node} - {"", "ai.onnx", "ai.onnx.ml"}
    if domains or opset_of(model) != opset:
        raise ExportError("The quantised graph needs operators that are not served.", remedy="Remove quantize.")
    imports = [each for each in model.opset_import if each.domain in ("", "ai.onnx.ml")]
    del model.opset_import[:], model.metadata_props[:], model.graph.value_info[:]
    model.opset_import.extend(imports)
    model.doc_string = ""
    return bytes(model.SerializeToString(deterministic=True))
