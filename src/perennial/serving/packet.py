"""One packet of rows through a graph, in memory that is bound to it once: what a request of one record costs least."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

ROWS = 8
_ALIGNED = 64
"""Bytes, as onnxruntime places what it allocates itself: its kernels take rows before the first such place one by one,
by another polynomial than whole packets."""
_TYPES: dict[str, type[np.generic]] = {
    "tensor(int64)": np.int64,
    "tensor(double)": np.float64,
    "tensor(float)": np.float32,
}


class Packet:
    """Eight rows and their answers, for one thread: :meth:`run` makes ``outputs`` of ``x``, always the same arrays.

    ``x`` is float64 [8, columns], and ``outputs`` are in the order they were asked for.
    """

    def __init__(self, session: ort.InferenceSession, name: str, columns: int, outputs: Sequence[str]) -> None:
        self._run = session.run_with_iobinding
        self._binding = session.io_binding()
        self.x = _zeros((ROWS, columns), np.float64)
        self._binding.bind_input(name, "cpu", 0, np.float64, self.x.shape, self.x.ctypes.data)
        declared = {node.name: node for node in session.get_outputs()}
        self.outputs = [self._bound(declared[output]) for output in outputs]

    def run(self) -> None:
        """Score ``x``. Raises what onnxruntime raises of a graph."""
        self._run(self._binding)

    def _bound(self, declared: ort.NodeArg) -> NDArray[Any]:
        found = _zeros((ROWS, *declared.shape[1:]), _TYPES[declared.type])
        self._binding.bind_output(declared.name, "cpu", 0, found.dtype.type, found.shape, found.ctypes.data)
        return found


def is_bindable(session: ort.InferenceSession, outputs: Sequence[str]) -> bool:
    """Whether a graph says of its outputs how large they are, but for the number of rows, which it leaves open.

    One that names a number of rows may give others all the same, but takes no memory for any but those.
    """
    declared = {node.name: node for node in session.get_outputs()}
    return all(
        declared[output].type in _TYPES
        and declared[output].shape
        and not isinstance(declared[output].shape[0], int)
        and all(isinstance(size, int) for size in declared[output].shape[1:])
        for output in outputs
    )


def _zeros(shape: tuple[int, ...], kind: type[np.generic]) -> NDArray[Any]:
    """Zeros that begin where ``_ALIGNED`` wants them."""
    size = int(np.prod(shape)) * np.dtype(kind).itemsize
    memory = np.zeros(size + _ALIGNED, np.uint8)
    start = -memory.ctypes.data % _ALIGNED
    return memory[start : start + size].view(kind).reshape(shape)
