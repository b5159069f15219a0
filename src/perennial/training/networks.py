"""A candidate that is a network: trained by PyTorch in a process of its own, exported, proven and scored here.

A network is trained once. Of the folds of cross-validation the first one scores it, the second says when to stop, and
it learns from the others: pictures that belong together are never on two of these sides.
"""

from __future__ import annotations

import hashlib
import json
import math
import shutil
import tempfile
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from perennial.datasets.pictures import Pictures
from perennial.errors import TrainingError
from perennial.export.picture_parity import BLENDS, Looks, boundary_pictures, look, proof
from perennial.export.quantize import calibration_rows, quantized
from perennial.registry.manifest import FileRef, Metric, Parity
from perennial.training.answers import Answers, Ints
from perennial.training.metrics import measure
from perennial.training.network.job import Result
from perennial.training.network_params import NetworkParams, params_of
from perennial.training.network_process import interpreter, made, run
from perennial.training.network_weights import fetch, told
from perennial.training.outcome import ONNX_TYPE, CandidateReport, TrainedCandidate
from perennial.training.picture_work import PictureWork

BAR = 12
TOLD_EVERY = 500
SPARE = 200_000_000
"""Bytes of disk besides the pictures: the model, and what is said."""


@dataclass(frozen=True)
class Split:
    """Positions of the training pictures to learn from, to watch and to score on."""

    fit: Ints
    watch: Ints
    test: Ints


def train_network(work: PictureWork, python: Path | None = None) -> TrainedCandidate:
    """Train one network of a spec. Repeating it on the same kind of machine gives the same bytes.

    Args:
        python: an interpreter that has PyTorch; found by itself where it is None.

    Raises:
        TrainingError: it cannot be trained here, or not so; says what to do.
        ExportError: its graph is not faithful.
        IntegrityError: a picture is gone or altered.
    """
    params = params_of(work.name, work.candidate, work.frame)
    split = split_of(work)
    with tempfile.TemporaryDirectory(prefix="perennial-") as name:
        folder = Path(name)
        weights = b"" if work.candidate.weights is None else fetch(work.name, work.candidate.weights, work.store)
        edge = _prepare(work, params, split, weights, folder)
        run(python or interpreter(), folder, lambda step: work.say(progress_line(step)), seconds=params.minutes * 60)
        result, onnx = made(folder)
        work.say("proving the export")
        parity = _proven(work, folder, onnx, edge)
        onnx, notes = _smaller(work, onnx, folder)
        score = _score(work, onnx, folder, split)
    if weights:
        notes = (*notes, told(str(work.candidate.weights), weights, result.loaded))
    return TrainedCandidate(_report(work, params, split, result, onnx, parity, score, notes), onnx)


def split_of(work: PictureWork) -> Split:
    """Which pictures are learnt from, watched and scored on; without a second fold none are watched."""
    first, rest = work.folds.folds[0], work.folds.folds[1:]
    watch = np.intersect1d(rest[0].test, first.train) if rest else np.empty(0, np.int64)
    fit = np.setdiff1d(first.train, watch)
    if len(np.unique(work.y[fit])) < len(work.classes):
        fit, watch = np.sort(first.train), np.empty(0, np.int64)
    return Split(fit.astype(np.int64), watch.astype(np.int64), np.sort(first.test).astype(np.int64))


def progress_line(step: Any) -> str:
    """What is said of one step of the script."""
    if "epoch" not in step:
        return "exporting"
    epoch, epochs, part = step["epoch"], step["epochs"], step.get("part")
    done = round(BAR * (epoch - 1 + (1 if part is None else part)) / epochs)
    bar = f"epoch {epoch:>{len(str(epochs))}}/{epochs} [{'#' * done}{'.' * (BAR - done)}]"
    if part is not None:
        return f"{bar} {part:.0%} of it"
    watched = "" if step["watched"] is None else f", watched {step['watched']:.3f}, accuracy {step['accuracy']:.3f}"
    left = step["left"]
    more = f", {left / 60:.0f} min left" if left >= 90 else f", {left:.0f} s left"
    return f"{bar} loss {step['loss']:.3f}{watched}{more if epoch < epochs else ''}"


def _prepare(work: PictureWork, params: NetworkParams, split: Split, weights: bytes, folder: Path) -> int:
    """Fill the folder as the script says; how many pictures of the edge its proof holds."""
    frame = work.frame
    needed = (len(work.pictures) + len(work.holdout)) * math.prod(frame.shape) + len(weights) + SPARE
    if (free := shutil.disk_usage(folder).free) < needed:
        raise TrainingError(
            f"{folder.parent} has {free // 1_000_000:,} MB left, and {needed // 1_000_000:,} MB are needed.",
            remedy="Make room, or name another folder by TMPDIR.",
        )
    job = params.job(work.name, work.candidate, frame, work.classes, work.seed)
    (folder / "job.json").write_text(json.dumps(asdict(job)))
    if weights:
        (folder / "weights").write_bytes(weights)
    np.save(folder / "labels.npy", work.y.astype(np.int64))
    np.save(folder / "fit.npy", split.fit)
    np.save(folder / "watch.npy", split.watch)
    _write(work, work.pictures, folder / "pictures.npy", [], "training")
    edge = boundary_pictures(frame, list(islice(work.holdout.framed(frame), BLENDS + 1)))
    _write(work, work.holdout, folder / "proof.npy", edge, "holdout")
    return len(edge)


def _write(work: PictureWork, pictures: Pictures, path: Path, more: list[Any], what: str) -> None:
    """Pictures, and some more behind them, as one array in a file: they need not fit into memory."""
    shape = (len(pictures) + len(more), *work.frame.shape)
    rows = np.lib.format.open_memmap(path, "w+", np.uint8, shape)
    for place, pixels in enumerate(pictures.framed(work.frame)):
        rows[place] = pixels
        if (place + 1) % TOLD_EVERY == 0:
            work.say(f"read {place + 1:,} of {len(pictures):,} {what} pictures")
    for place, pixels in enumerate(more, len(pictures)):
        rows[place] = pixels
    rows.flush()


def _proven(work: PictureWork, folder: Path, onnx: bytes, edge: int) -> Parity:
    with np.load(folder / "answers.npz", allow_pickle=False) as found:
        theirs = Looks(found["label"], found["probabilities"])
    pictures = np.load(folder / "proof.npy", mmap_mode="r", allow_pickle=False)
    return proof(work.candidate.estimator, theirs, look(onnx, pictures), len(pictures) - edge, edge)


def _smaller(work: PictureWork, onnx: bytes, folder: Path) -> tuple[bytes, tuple[str, ...]]:
    """The graph in eight bits, where the spec asks for it: what is scored then, and what is published."""
    if work.candidate.quantize is None:
        return onnx, ()
    pictures = np.load(folder / "pictures.npy", mmap_mode="r", allow_pickle=False)
    some = calibration_rows(len(pictures))
    work.say(f"quantising the network, calibrated on {len(some)} training pictures")
    small = quantized(onnx, (np.array(pictures[row]) for row in some))
    saved = f"{len(onnx) / 1e6:.1f} to {len(small) / 1e6:.1f} MB"
    return small, (f"quantised to int8 after its export was proven: {saved}, scored as quantised",)


def _score(work: PictureWork, onnx: bytes, folder: Path, split: Split) -> float:
    """The spec's metric of the graph that is published, on pictures it has not learnt from. Raises TrainingError."""
    pictures = np.load(folder / "pictures.npy", mmap_mode="r", allow_pickle=False)
    found = look(onnx, (np.array(pictures[row]) for row in split.test))
    truth = work.y[split.test].astype(np.float64)
    answers = Answers(truth, found.labels, found.probabilities, np.empty(0))
    score = measure(work.spec.metric, work.spec.task, answers)
    if not math.isfinite(score):
        raise TrainingError(
            f"{work.spec.metric} is undefined on the {len(truth)} pictures that score it.",
            remedy="Land more pictures, or choose another metric.",
        )
    return score


def _report(
    work: PictureWork, params: NetworkParams, split: Split, result: Result, onnx: bytes, parity: Parity, score: float,
    notes: tuple[str, ...],
) -> CandidateReport:  # fmt: skip
    given = {name: value for name, value in params.model_dump().items() if value is not None and name != "minutes"}
    sides = f"learnt from {len(split.fit):,} pictures, watched {len(split.watch):,} and scored on {len(split.test):,}"
    ran = f"{result.epochs} of {params.epochs} epochs ran; the weights are those after epoch {result.best}"
    if result.temperature > 1:
        notes = (f"its logits are divided by {result.temperature:.3g}, so that it is as sure as it is right", *notes)
    made = f"{result.parameters:,} parameters, trained by PyTorch {result.torch} and transformers {result.transformers}"
    return CandidateReport(
        name=work.name,
        estimator=work.candidate.estimator,
        params=given,
        cross_validation=Metric(value=score),
        folds=(score,),
        fold_kind=f"one of {len(work.folds.folds)} {work.folds.kind} folds",
        train_rows=len(split.fit),
        seed=work.seed,
        parity=parity,
        model=FileRef(digest=hashlib.sha256(onnx).hexdigest(), size=len(onnx), media_type=ONNX_TYPE),
        pixels=work.frame,
        notes=(sides, ran, made, *notes),
    )
