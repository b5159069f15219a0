"""onnxruntime as a server runs it: CPU, one thread."""

from __future__ import annotations

from typing import Any

THREADS = 1


def session(onnx: bytes) -> Any:
    """An inference session over a model's bytes. Raises one of :func:`failures`."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = THREADS
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])


def failures() -> tuple[type[Exception], ...]:
    """What onnxruntime raises on a graph that it cannot load or run; they share no base class of their own."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    return (
        RuntimeError, state.Fail, state.InvalidArgument, state.InvalidGraph, state.InvalidProtobuf,
        state.NotImplemented, state.RuntimeException,
    )  # fmt: skip
