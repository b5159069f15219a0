"""The one predictor: the API, the batch scorer, the Spark job and the gate's smoke test all call it.

onnxruntime's element-wise kernels (``Exp``, ``Sigmoid``, ``Tanh`` in double) take whole SIMD packets
through one polynomial and the remainder through another, so a row's answer could depend, in its last
bit, on how many rows stand beside it. Every run is therefore padded to a multiple of eight rows, a
whole number of packets on every CPU: a row's answer is the same alone and in any batch. Pictures, whose
kernels have more such secrets, are run one by one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors
from pydantic import BaseModel

from perennial.errors import IntegrityError, InvalidRecord
from perennial.records import RecordSchema
from perennial.registry.manifest import ModelManifest
from perennial.serving.onnx_walk import check_graph

if TYPE_CHECKING:
    from perennial.images.record import ImageRecord

PACKET = 8
INPUT = "x"
CLASSIFICATION = ("label", "probabilities")
REGRESSION = ("value",)

Matrix = NDArray[np.float64]
Pixels = NDArray[np.uint8]

GRAPH_FAILURES = (
    ort_errors.Fail,
    ort_errors.InvalidArgument,
    ort_errors.InvalidGraph,
    ort_errors.InvalidProtobuf,
    ort_errors.NotImplemented,
    ort_errors.RuntimeException,
)
"""What onnxruntime raises of a graph, when it loads one and when it runs it."""


class Scores(NamedTuple):
    """What the graph answered for n rows: class indices and [n, classes] probabilities, or [n] values."""

    labels: NDArray[np.int64] | None
    probabilities: Matrix | None
    values: Matrix | None


class Prediction(NamedTuple):
    """One answer: the class label, a key of ``probabilities``, or for a regression the value and None."""

    prediction: str | float
    probabilities: dict[str, float] | None


class Predictor:
    """A verified model version, ready to answer. Immutable, and safe to share between threads."""

    def __init__(self, manifest: ModelManifest, onnx: bytes) -> None:
        """Build the session of a graph whose digest has been verified.

        Raises:
            IntegrityError: the graph reaches beyond itself, onnxruntime refuses it, or its inputs and outputs are not
                those of the manifest.
        """
        check_graph(onnx, f"The graph of {manifest.model} {manifest.version}")
        self.manifest = manifest
        self.schema = RecordSchema(manifest.spec)
        self._outputs = REGRESSION if manifest.spec.task == "regression" else CLASSIFICATION
        self._width = len(self.schema.columns)
        self._frame = manifest.pixels
        self._session = _session(manifest, onnx)
        self._check_signature()

    def run(self, x: Matrix) -> Scores:
        """Score a float64 matrix [n, columns]; bit for bit the same for a row alone and within any batch."""
        rows = len(x)
        padding = -rows % PACKET
        if padding or not rows:
            padded = np.zeros((rows + padding or PACKET, self._width))
            padded[:rows] = x
            x = padded
        found = self._session.run(self._outputs, {INPUT: x})
        if len(found) == 1:
            return Scores(None, None, found[0][:rows])
        return Scores(found[0][:rows], found[1][:rows], None)

    def look(self, pictures: Iterable[Pixels]) -> Scores:
        """Score pictures in the frame of ``manifest.pixels``, uint8 [size, size, channels], one by one in order."""
        found = [self._session.run(self._outputs, {INPUT: pixels[np.newaxis]}) for pixels in pictures]
        if not found:
            return Scores(np.empty(0, np.int64), np.empty((0, len(self.manifest.classes))), None)
        return Scores(np.concatenate([one[0] for one in found]), np.concatenate([one[1] for one in found]), None)

    def predict(self, records: Sequence[BaseModel]) -> list[Prediction]:
        """Answer valid records, in order: those of ``schema``, or of a model of pictures ``ImageRecord``.

        Raises:
            InvalidRecord: the model overflows on a record; the field is the record's position.
        """
        if self._frame is not None:
            return self.predict_framed([self.frame(record) for record in cast("Sequence[ImageRecord]", records)])
        return self._answers(self._run(records), len(records))

    def predict_framed(self, pictures: Sequence[Pixels]) -> list[Prediction]:
        """Answer pictures that :meth:`frame` gave, in order. Raises as ``predict``."""
        return self._answers(self.look(pictures), len(pictures))

    def frame(self, record: ImageRecord) -> Pixels:
        """A picture as a model of pictures is given it: uint8 [size, size, channels]."""
        from perennial.images.pixels import framed  # Pillow is imported where there are pictures

        assert self._frame is not None
        return framed(record.picture, self._frame)

    def _answers(self, scores: Scores, count: int) -> list[Prediction]:
        """The first ``count`` rows in words. Raises InvalidRecord where one is not finite."""
        if scores.values is not None:
            values = scores.values[:count].tolist()
            _refuse_overflow([math.isfinite(value) for value in values])
            return [Prediction(value, None) for value in values]
        assert scores.labels is not None and scores.probabilities is not None  # not a regression
        classes = self.manifest.classes
        labels = scores.labels[:count].tolist()
        rows = scores.probabilities[:count].tolist()
        _refuse_overflow([all(map(math.isfinite, probabilities)) for probabilities in rows])
        return [
            Prediction(classes[label], dict(zip(classes, probabilities, strict=True)))
            for label, probabilities in zip(labels, rows, strict=True)
        ]

    def _run(self, records: Sequence[BaseModel]) -> Scores:
        row = self.schema.row
        x = np.zeros((len(records) + -len(records) % PACKET, self._width))
        for i, record in enumerate(records):
            x[i] = row(record)
        return self.run(x)

    def _check_signature(self) -> None:
        """Raises IntegrityError unless the graph takes and gives what the manifest says."""
        inputs = [(node.name, node.type, node.shape[1:]) for node in self._session.get_inputs()]
        outputs = {node.name: node.shape[1:] for node in self._session.get_outputs()}
        expected: list[tuple[str, str, list[int]]] = [(INPUT, "tensor(double)", [self._width])]
        if self._frame is not None:
            expected = [(INPUT, "tensor(uint8)", list(self._frame.shape))]
        if inputs != expected:
            raise self._refusal(f"takes {inputs} instead of {expected}")
        if not set(self._outputs) <= set(outputs):
            raise self._refusal(f"answers {sorted(outputs)} instead of {sorted(self._outputs)}")
        width = outputs.get("probabilities", [])
        if width and isinstance(width[0], int) and width[0] != len(self.manifest.classes):
            raise self._refusal(f"gives {width[0]} probabilities for {len(self.manifest.classes)} classes")

    def _refusal(self, reason: str) -> IntegrityError:
        return IntegrityError(
            f"The graph of {self.manifest.model} {self.manifest.version} {reason}.",
            remedy="Train the model again; this version cannot be served.",
        )


def _session(manifest: ModelManifest, onnx: bytes) -> ort.InferenceSession:
    """One thread: a request is one row, and a Lambda is one core. No memory pattern: batches vary in length."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.enable_mem_pattern = False
    options.log_severity_level = 4
    options.add_session_config_entry("session.load_model_format", "ONNX")
    try:
        return ort.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
    except GRAPH_FAILURES as error:
        raise IntegrityError(
            f"onnxruntime refuses the graph of {manifest.model} {manifest.version}: {str(error).splitlines()[0][:200]}",
            remedy="Train the model again; this version cannot be served.",
        ) from error


def _refuse_overflow(finite: Sequence[bool]) -> None:
    if not all(finite):
        raise InvalidRecord(
            tuple(
                (str(i), "The model has no finite answer to these values; are they far out of range?")
                for i, good in enumerate(finite)
                if not good
            )
        )
