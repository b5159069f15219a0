"""The proof that a graph over pictures answers as the model it came from: on the holdout, and on pictures of its edge.

Graphs are run as a server runs them: one picture at a time, on one thread.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from perennial.errors import ExportError
from perennial.export.features import Matrix
from perennial.export.graph import INPUT
from perennial.export.parity import TOLERANCE, largest_difference
from perennial.export.runtime import failures, session
from perennial.images.decode import Pixels
from perennial.registry.manifest import Parity
from perennial.spec import Frame

SEED = 0
BLENDS = 8


class Looks(NamedTuple):
    """What a model answers for n pictures: ``labels`` int64 [n] and ``probabilities`` float64 [n, classes]."""

    labels: NDArray[np.int64]
    probabilities: Matrix


def boundary_pictures(frame: Frame, some: Sequence[Pixels]) -> list[Pixels]:
    """Pictures that no camera takes, and what lies between and beside ``some`` real ones.

    Flat ones in black, grey, white and each pure colour; noise, stripes, a checkerboard, a ramp and a single point; and
    of real ones: negatives, mirrored and turned ones, halves of the light, and blends of two.
    """
    rng = np.random.default_rng(SEED)
    rows, columns, channels = frame.shape
    shape = frame.shape
    flats = [np.full(shape, value, np.uint8) for value in (0, 1, 127, 128, 254, 255)]
    pure = [np.zeros(shape, np.uint8) for _ in range(channels if channels > 1 else 0)]
    for channel, picture in enumerate(pure):
        picture[:, :, channel] = 255
    noise = [rng.integers(0, high, shape, np.uint8) for high in (2, 256, 256)]
    grid = np.add.outer(np.arange(rows), np.arange(columns)) % 2
    checks = np.repeat((grid * 255).astype(np.uint8)[:, :, None], channels, axis=2)
    stripes = np.zeros(shape, np.uint8)
    stripes[::2] = 255
    ramp = np.broadcast_to(np.linspace(0, 255, columns).astype(np.uint8)[None, :, None], shape)
    point = np.zeros(shape, np.uint8)
    point[rows // 2, columns // 2] = 255
    made = [*flats, *pure, *noise, checks, stripes, np.ascontiguousarray(stripes.swapaxes(0, 1)), ramp, point]
    return [np.ascontiguousarray(picture) for picture in [*made, *_beside(some)]]


def _beside(some: Sequence[Pixels]) -> Iterator[Pixels]:
    for picture in some[:BLENDS]:
        yield 255 - picture
        yield picture[:, ::-1]
        yield picture.swapaxes(0, 1)
        yield picture // 2
        yield 255 - (255 - picture) // 2
    for one, other in pairwise(some[: BLENDS + 1]):
        yield ((one.astype(np.uint16) + other) // 2).astype(np.uint8)


def look(onnx: bytes, pictures: Iterable[Pixels]) -> Looks:
    """What a graph answers for pictures, uint8 [size, size, channels], one by one.

    Raises:
        ExportError: onnxruntime cannot load or run it.
    """
    try:
        runner = session(onnx)
        found = [runner.run(["label", "probabilities"], {INPUT: picture[np.newaxis]}) for picture in pictures]
    except failures() as error:
        reason = str(error).strip().splitlines()[0][:200]
        raise ExportError(f"The graph cannot be run: {reason}", remedy="The candidate is refused.") from error
    if not found:
        return Looks(np.empty(0, np.int64), np.empty((0, 0)))
    return Looks(np.concatenate([one[0] for one in found]), np.concatenate([one[1] for one in found]))


def proof(name: str, theirs: Looks, ours: Looks, holdout: int, boundary: int) -> Parity:
    """Compare what a model answered with what its graph does, for ``holdout`` pictures and then ``boundary`` ones.

    Args:
        name: of the estimator or network, for the error.

    Raises:
        ExportError: a probability differs by more than 1e-6, or a class changed.
    """
    difference = largest_difference(theirs.probabilities, ours.probabilities, relative=False)
    rows = holdout + boundary
    counted = len(theirs.labels) == len(ours.labels) == rows
    changed = int((theirs.labels != ours.labels).sum()) if counted else rows
    if not difference <= TOLERANCE or changed:
        raise ExportError(
            f"The graph of {name} is not faithful: largest difference {difference:.3g} (at most {TOLERANCE:g}), "
            f"{changed} of {rows} classes changed.",
            remedy="The candidate is refused; choose another estimator or other parameters.",
        )
    return Parity(max_difference=difference, changed_classes=changed, holdout_rows=holdout, boundary_rows=boundary)
