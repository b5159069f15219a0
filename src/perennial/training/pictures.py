"""A scikit-learn candidate over pictures: a frozen extractor, an estimator over what it gives, and one graph of both.

The features an estimator learns from are those that the extractor's own graph gives in onnxruntime, picture by picture
on one thread, so that they are bit for bit what it will be given when it serves.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, islice

import numpy as np
from numpy.typing import NDArray

from perennial.errors import TrainingError
from perennial.export import export_pipeline, prove
from perennial.export.extractors import FEATURES, Extractor
from perennial.export.graph import INPUT
from perennial.export.merge import merged
from perennial.export.picture_parity import BLENDS, Looks, boundary_pictures, look, proof
from perennial.export.runtime import session
from perennial.images.decode import Pixels
from perennial.records import Column
from perennial.registry.manifest import Parity
from perennial.training.answers import Floats
from perennial.training.extractor import extractor_of
from perennial.training.fitting import Fit, Fitting, check_estimator, report_of, search_and_fit
from perennial.training.foreign import foreign
from perennial.training.outcome import TrainedCandidate
from perennial.training.picture_work import PictureWork
from perennial.training.search import WORKERS, Problem

Singles = NDArray[np.float32]
AHEAD = 8
TOLD_EVERY = 500
MOST_NUMBERS = 100_000_000
"""What the features of all training pictures may come to: 0.8 GB in float64, four times that while folds are fitted."""


def train_pictures(work: PictureWork) -> TrainedCandidate:
    """Train one candidate that is an estimator. Raises TrainingError or ExportError where it is to be refused."""
    check_estimator(work.name, work.candidate, work.spec.task, work.seed)
    extractor = extractor_of(work)
    _check_room(work, extractor)
    x, views = lessons_of(work, extractor)
    problem = Problem(
        x, work.y.astype(np.float64), work.spec.task, work.spec.metric, len(work.classes), work.folds, work.seed, views
    )
    fitting = Fitting(work.name, work.candidate, problem, feature_columns(x.shape[1]), work.classes, work.progress)
    fit = search_and_fit(fitting)
    work.say(f"features of {len(work.holdout):,} holdout pictures")
    seen = list(extracted(extractor, work.holdout.framed(extractor.frame)))
    holdout_x = np.stack(seen) if seen else np.empty((0, extractor.width))
    work.say("exporting, and proving the export")
    with foreign():
        head = export_pipeline(fit.pipeline, fitting.columns, problem.classes)
        of_head = prove(fit.pipeline, head, fitting.columns, holdout_x)
    onnx = merged(extractor.onnx, head)
    whole = _prove_whole(work, extractor, fit, onnx, holdout_x)
    return TrainedCandidate(report_of(fitting, fit, onnx, _both(of_head, whole), extractor.frame), onnx)


def lessons_of(work: PictureWork, extractor: Extractor) -> tuple[Floats, Singles | None]:
    """Of the training pictures: features [n, width], and those of each view [n, views, width] where there are some."""
    count = len(work.pictures)
    x = np.empty((count, extractor.width))
    views = np.empty((count, extractor.views, extractor.width), np.float32) if extractor.views else None
    seen = f"{extractor.width:,} features" + (f" in {extractor.views} views" if extractor.views else "")
    work.say(f"{seen} of each of {count:,} training pictures")
    for place, found in enumerate(_run(extractor, work.pictures.framed(extractor.frame), None)):
        x[place] = found[0][0]
        if views is not None:
            views[place] = found[1]
        if (place + 1) % TOLD_EVERY == 0:
            work.say(f"features of {place + 1:,} of {count:,} training pictures")
    return x, views


def extracted(extractor: Extractor, pictures: Iterator[Pixels]) -> Iterator[Floats]:
    """The features [width] of each picture: one by one on one thread each, a few of them at once."""
    for found in _run(extractor, pictures, [FEATURES]):
        yield np.asarray(found[0][0], dtype=np.float64)


def _run(
    extractor: Extractor, pictures: Iterator[Pixels], names: Sequence[str] | None
) -> Iterator[Sequence[Floats | Singles]]:
    """Values of the extractor's graph by name, all of them for None, of each picture."""
    runner = session(extractor.onnx)

    def one(pixels: Pixels) -> Sequence[Floats | Singles]:
        found: Sequence[Floats | Singles] = runner.run(names, {INPUT: pixels[np.newaxis]})
        return found

    with ThreadPoolExecutor(WORKERS) as pool:
        while batch := list(islice(pictures, AHEAD)):
            yield from pool.map(one, batch)


def feature_columns(count: int) -> tuple[Column, ...]:
    """Columns of the matrix that an estimator over pictures sees."""
    return tuple(Column(f"feature_{place}", f"feature_{place}", "number") for place in range(count))


def _check_room(work: PictureWork, extractor: Extractor) -> None:
    each = extractor.width * (1 + extractor.views)
    if each * len(work.pictures) > MOST_NUMBERS:
        raise TrainingError(
            f"candidates.{work.name}: {each:,} numbers of each of {len(work.pictures):,} pictures do not fit into "
            "memory.",
            remedy="Name a backbone with fewer features, or remove tiles." if extractor.views
            else "Set a smaller size, or name a backbone.",
        )  # fmt: skip


def _prove_whole(work: PictureWork, extractor: Extractor, fit: Fit, onnx: bytes, holdout_x: Floats) -> Parity:
    """The one graph against extractor and pipeline, on the pictures of the holdout and on those of the edge."""
    some = list(islice(work.holdout.framed(extractor.frame), BLENDS + 1))
    edge = boundary_pictures(extractor.frame, some)
    edge_x = np.stack(list(extracted(extractor, iter(edge))))
    x = np.concatenate([holdout_x, edge_x])
    with foreign(), np.errstate(all="ignore"):
        probabilities = np.zeros((len(x), len(work.classes)))
        present = [int(each) for each in fit.pipeline.classes_]
        probabilities[:, present] = fit.pipeline.predict_proba(x)
        theirs = Looks(np.asarray(fit.pipeline.predict(x)).astype(np.int64), probabilities)
    ours = look(onnx, chain(work.holdout.framed(extractor.frame), edge))
    return proof(work.candidate.estimator, theirs, ours, len(holdout_x), len(edge))


def _both(head: Parity, whole: Parity) -> Parity:
    """One proof out of that of the head, on rows of features, and that of the whole, on pictures."""
    return Parity(
        max_difference=max(head.max_difference, whole.max_difference),
        changed_classes=head.changed_classes + whole.changed_classes,
        holdout_rows=whole.holdout_rows,
        boundary_rows=head.boundary_rows + whole.boundary_rows,
    )
