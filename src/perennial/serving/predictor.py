"""The one predictor: the API, the batch scorer, the Spark job and the gate's smoke test all call it.

onnxruntime's element-wise kernels (``Exp``, ``Sigmoid``, ``Tanh`` in double) take whole SIMD packets
through one polynomial and the remainder through another, so a row's answer could depend, in its last
bit, on how many rows stand beside it. Every run is therefore padded to a multiple of eight rows, a
whole number of packets on every CPU: a row's answer is the same alone and in any batch. Pictures, whose
kernels have more such secrets, are run one by one.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from perennial.errors import InvalidRecord
from perennial.records import RecordSchema
from perennial.registry.manifest import ModelManifest
from perennial.serving.onnx_walk import check_graph
from perennial.serving.packet import ROWS as PACKET
from perennial.serving.packet import Packet, is_bindable
from perennial.serving.session import INPUT, open_session, outputs_of, sort_columns_of

if TYPE_CHECKING:
    from perennial.images.record import ImageRecord

Matrix = NDArray[np.float64]
Pixels = NDArray[np.uint8]


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
        self._outputs = outputs_of(manifest)
        self._width = len(self.schema.columns)
        self._frame = manifest.pixels
        self._session = open_session(manifest, onnx, self._width)
        self._bindable = self._frame is None and is_bindable(self._session, self._outputs)
        self._own = threading.local()

    @property
    def sort_columns(self) -> tuple[int, ...]:
        """The columns by which rows are best sorted before many are run at once; none where the graph says none."""
        return sort_columns_of(self._session, self._width)

    def run(self, x: Matrix) -> Scores:
        """Score a float64 matrix [n, columns]; bit for bit the same for a row alone and within any batch."""
        rows = len(x)
        padding = -rows % PACKET
        if padding or not rows:
            padded = np.zeros((rows + padding or PACKET, self._width))
            padded[:rows] = x
            x = padded
        return _scores([output[:rows] for output in self._session.run(self._outputs, {INPUT: x})])

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
        return self._answers(self.score(map(self.schema.row, records), len(records)), len(records))

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

    def score(self, rows: Iterable[Sequence[float]], count: int) -> Scores:
        """Score ``count`` rows as those of records are, a few at once in memory that is bound to the graph.

        There may be answers to rows behind them, and they are overwritten by the next in the same thread.
        """
        if self._bindable and count <= PACKET:
            packet = self._packet()
            for i, row in enumerate(rows):
                packet.x[i] = row
            packet.x[count:] = 0.0
            packet.run()
            return _scores(packet.outputs)
        x = np.zeros((count + -count % PACKET, self._width))
        for i, row in enumerate(rows):
            x[i] = row
        return self.run(x)

    def _packet(self) -> Packet:
        """The packet of this thread."""
        try:
            found: Packet = self._own.packet
        except AttributeError:
            found = self._own.packet = Packet(self._session, INPUT, self._width, self._outputs)
        return found


def _scores(outputs: Sequence[NDArray[Any]]) -> Scores:
    return Scores(None, None, outputs[0]) if len(outputs) == 1 else Scores(outputs[0], outputs[1], None)


def _refuse_overflow(finite: Sequence[bool]) -> None:
    if not all(finite):
        raise InvalidRecord(
            tuple(
                (str(i), "The model has no finite answer to these values; are they far out of range?")
                for i, good in enumerate(finite)
                if not good
            )
        )
