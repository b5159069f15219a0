"""A foreign graph is read, normalised and run for the first time in a process of its own, with bounded memory and time.

A few bytes of ONNX can ask for all memory there is, or never end: see :mod:`perennial.confined`.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from perennial.confined import Limits, confine, run_confined
from perennial.errors import ExportError
from perennial.export.preparation import Preparation

SECONDS = 60
MEMORY_BYTES = 3 * 2**30
LARGEST = 120_000_000
"""Bytes of a graph: what a function of 1,024 MB can hold besides all else."""
SEED = 0
CLOSE = 1e-4
_REQUEST, _SOURCE, _GRAPH, _REPORT = "request.json", "source.onnx", "graph.onnx", "report.json"


class _Report(BaseModel):
    """What the process found: how many features there are, or why the graph is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: int = 0
    problem: str = ""
    remedy: str = ""


@dataclass(frozen=True)
class Tried:
    """A graph that was normalised and has run: uint8 [1, size, size, 3] in, [1, width] out."""

    onnx: bytes
    width: int


def tried(source: bytes, how: Preparation, *, seconds: float = SECONDS, memory: int = MEMORY_BYTES) -> Tried:
    """Normalise a foreign graph and run it, within ``seconds`` and ``memory`` bytes.

    Raises:
        ExportError: it is refused, took too long or too much, or does not answer as the graph it was made from.
    """
    if len(source) > LARGEST:
        raise ExportError(f"It has {len(source):,} bytes, of at most {LARGEST:,}.", remedy="Name a smaller extractor.")
    with tempfile.TemporaryDirectory(prefix="perennial-") as name:
        folder = Path(name)
        (folder / _SOURCE).write_bytes(source)
        (folder / _REQUEST).write_text(how.model_dump_json())
        limits = Limits(seconds, memory, 4 * LARGEST)
        code = run_confined("perennial.export.trial", folder, limits)
        if code is None:
            raise ExportError(f"Reading and running it took longer than {seconds:g} s.", remedy="Name another graph.")
        try:
            report = _Report.model_validate_json((folder / _REPORT).read_bytes())
        except (FileNotFoundError, ValidationError) as error:
            raise ExportError(
                f"Reading and running it ended with code {code}, within {limits}.",
                remedy="Name another graph, or a smaller one.",
            ) from error
        if report.problem:
            raise ExportError(report.problem, remedy=report.remedy or None)
        return Tried((folder / _GRAPH).read_bytes(), report.width)


def _main(arguments: list[str]) -> None:
    """The process itself."""
    from perennial.export.normalise import normalised, read_graph, with_width
    from perennial.export.runtime import failures

    fatal: tuple[type[BaseException], ...] = (MemoryError, *failures())
    folder = confine(arguments)
    how = Preparation.model_validate_json((folder / _REQUEST).read_bytes())
    try:
        source = (folder / _SOURCE).read_bytes()
        graph = normalised(read_graph(source), how)
        width = _rehearsed(graph, source, how)
        (folder / _GRAPH).write_bytes(with_width(graph, width))
        report = _Report(width=width)
    except ExportError as error:
        report = _Report(problem=error.message, remedy=error.remedy or "")
    except fatal as error:
        reason = (str(error).strip().splitlines() or ["it takes too much memory"])[0][:200]
        report = _Report(problem=f"It cannot be run: {reason}", remedy="Name another graph, or a smaller one.")
    (folder / _REPORT).write_text(report.model_dump_json())


def _rehearsed(graph: bytes, source: bytes, how: Preparation) -> int:
    """Run the graph on two pictures; returns how many features it gives.

    Raises:
        ExportError: they are not one row of finite numbers, too many, other ones at a second look or the same for any
            picture, or not those of the graph it was made from.
    """
    from perennial.export.extractors import MOST_FEATURES
    from perennial.export.graph import INPUT
    from perennial.export.runtime import session

    run = session(graph)
    noise = np.random.default_rng(SEED).integers(0, 256, (1, how.size, how.size, 3), np.uint8)
    first, again, black = (run.run(None, {INPUT: one})[0] for one in (noise, noise, np.zeros_like(noise)))
    if first.ndim != 2 or len(first) != 1 or not 0 < first.shape[1] <= MOST_FEATURES:
        raise ExportError(
            f"It gives {' x '.join(map(str, first.shape))} numbers, of at most 1 x {MOST_FEATURES:,}.",
            remedy="Name a pooled value by --output.",
        )
    if not (np.isfinite(first).all() and np.isfinite(black).all()):
        raise ExportError("It gives features that are not finite.", remedy="Check --range, --mean and --std.")
    if not np.array_equal(first, again):
        raise ExportError("It gives other features at a second look.", remedy="Name a graph without random operators.")
    if np.array_equal(first, black):
        raise ExportError("It gives the same features for any picture.", remedy="Check --output.")
    _compare(first, noise, source, how)
    return int(first.shape[1])


def _compare(features: NDArray[np.float32], picture: NDArray[np.uint8], source: bytes, how: Preparation) -> None:
    """Against the graph as it was given, where onnxruntime runs that. Raises ExportError."""
    from perennial.export.runtime import failures, session

    ordered = picture[..., ::-1] if how.color == "BGR" else picture
    light = ordered.astype(np.float32) * np.asarray(how.factor, np.float32) + np.asarray(how.offset, np.float32)
    if how.layout == "NCHW":
        light = light.transpose(0, 3, 1, 2)
    try:
        original = session(source)
        names = None if how.output is None else [how.output]
        found = original.run(names, {original.get_inputs()[0].name: np.ascontiguousarray(light)})[0]
    except failures():
        return  # an operator that is gone since, or a value within: there is nothing to compare with
    difference = float(np.abs(found.reshape(1, -1) - features).max()) if found.size == features.size else np.inf
    if not difference <= CLOSE * max(1.0, float(np.abs(features).max())):
        raise ExportError(
            f"In opset 21 it gives other features than the file does: they differ by {difference:.3g}.",
            remedy="Export it again in opset 21.",
        )


if __name__ == "__main__":
    _main(sys.argv[1:])
