"""The session of a graph: opened only where it takes and gives what its manifest says."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import onnxruntime as ort
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from perennial.errors import IntegrityError
from perennial.records import SORT_COLUMNS
from perennial.registry.manifest import ModelManifest

INPUT = "x"
CLASSIFICATION = ("label", "probabilities")
REGRESSION = ("value",)
MOST_SAID = 300
"""Characters of what onnxruntime says, or a graph says of itself."""
_RANKS = {"label": 1, "probabilities": 2, "value": 1}
_REAL = ("tensor(double)", "tensor(float)")
_TYPES: Mapping[str, Sequence[str]] = {"label": ("tensor(int64)",), "probabilities": _REAL, "value": _REAL}
_SORTED = re.compile(r"[0-9]{1,6}(,[0-9]{1,6}){0,3}", re.ASCII)
_PLACE = re.compile(r"/onnxruntime_src/\S+ [^(]*\([^)]*\) ")

GRAPH_FAILURES = (
    ort_errors.Fail,
    ort_errors.InvalidArgument,
    ort_errors.InvalidGraph,
    ort_errors.InvalidProtobuf,
    ort_errors.NotImplemented,
    ort_errors.RuntimeException,
)
"""What onnxruntime raises of a graph, when it loads one and when it runs it."""


def said_by(error: BaseException) -> str:
    """What onnxruntime says of a graph, in one line without a full stop: of its own source nothing.

    It repeats names of the graph, whatever bytes those have: what is no print does not get to a terminal or a log.
    """
    words = _PLACE.sub("", " ".join(str(error).split()))
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in words[:MOST_SAID]).rstrip(" .")


def outputs_of(manifest: ModelManifest) -> tuple[str, ...]:
    """The outputs that a graph of this task has."""
    return REGRESSION if manifest.spec.task == "regression" else CLASSIFICATION


def open_session(manifest: ModelManifest, onnx: bytes, width: int) -> ort.InferenceSession:
    """A session for a graph over ``width`` columns, or over pictures in the frame of the manifest.

    One thread: a request is one row, and a Lambda is one core. No memory pattern: batches vary in length.

    Raises:
        IntegrityError: onnxruntime refuses the graph, or its inputs and outputs are not those of the manifest.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.enable_mem_pattern = False
    options.log_severity_level = 4
    options.add_session_config_entry("session.load_model_format", "ONNX")
    try:
        session = ort.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
    except GRAPH_FAILURES as error:
        what = f"onnxruntime refuses the graph of {manifest.model} {manifest.version}: {said_by(error)}."
        raise IntegrityError(what, remedy=_REMEDY) from error
    amiss = _amiss(manifest, session, width)
    if amiss:
        raise IntegrityError(f"The graph of {manifest.model} {manifest.version} {amiss}.", remedy=_REMEDY)
    return session


def sort_columns_of(session: ort.InferenceSession, width: int) -> tuple[int, ...]:
    """The columns by which rows are best sorted, as the graph says; none where that is not what an export writes."""
    try:
        told = session.get_modelmeta().custom_metadata_map.get(SORT_COLUMNS, "")
    except UnicodeDecodeError:  # onnxruntime lets any bytes through
        return ()
    found = _SORTED.fullmatch(told)
    columns = tuple(map(int, found[0].split(","))) if found else ()
    return columns if all(column < width for column in columns) else ()


_REMEDY = "Train the model again; this version cannot be served."


def _amiss(manifest: ModelManifest, session: ort.InferenceSession, width: int) -> str:
    """How a graph is not what the manifest says, as far as it declares that; empty where it is."""
    inputs = [(node.name, node.type, node.shape[1:]) for node in session.get_inputs()]
    expected: list[tuple[str, str, list[int]]] = [(INPUT, "tensor(double)", [width])]
    if manifest.pixels is not None:
        expected = [(INPUT, "tensor(uint8)", list(manifest.pixels.shape))]
    if inputs != expected:
        return f"takes {_told(inputs)} instead of {expected}"
    outputs = {node.name: node for node in session.get_outputs()}
    wanted = outputs_of(manifest)
    if not set(wanted) <= set(outputs):
        return f"answers {_told(sorted(outputs))} instead of {sorted(wanted)}"
    for name in wanted:
        kind, shape = outputs[name].type, outputs[name].shape
        if kind not in _TYPES[name] or (shape and len(shape) != _RANKS[name]):
            return f"gives as {name} a {_told(kind)} of the shape {_told(shape)}"
    columns = outputs[wanted[-1]].shape[1:]
    if columns and isinstance(columns[0], int) and columns[0] != len(manifest.classes):
        return f"gives {columns[0]} probabilities for {len(manifest.classes)} classes"
    return ""


def _told(value: object) -> str:
    """What a graph says of itself, of which there may be megabytes."""
    said = repr(value)
    return said if len(said) <= MOST_SAID else f"{said[:MOST_SAID]}…"
