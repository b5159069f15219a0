"""The first run of a version, in a process of its own with bounded memory and time, before it may serve anyone.

A graph of 82 bytes can allocate two gigabytes when it is run, or run for ever; nothing that reads it would notice. So
the predictor itself answers records at the edge of what its spec allows, as many as a request may hold, or pictures.
"""

from __future__ import annotations

import sys
import tempfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, ValidationError

from perennial.confined import Limits, confine, run_confined
from perennial.errors import IntegrityError, NotFoundError, PromotionRefused
from perennial.registry.manifest import MODEL_FILE, ModelManifest
from perennial.registry.verify import read_file, read_manifest
from perennial.settings import API_MEGABYTES, VARIABLES
from perennial.store import Store

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from perennial.serving.predictor import Predictor

LIMITS = Limits(seconds=60, memory=2 << 30, file_bytes=1 << 20)
MAPPED = 1 << 30
"""Bytes of address space that a process has beyond the memory it takes: libraries, and what allocators reserve."""
ROWS = 1000
"""As many as one request may hold."""
SEED = 0
FAR = 1e6
"""A number where the spec bounds none."""
_VARIABLE = VARIABLES["api_megabytes"]
_MANIFEST, _GRAPH, _REPORT = "manifest.json", "graph.onnx", "report.json"


class _Report(BaseModel):
    """What the process found: why the version may not serve, or nothing; and ``peak``, the bytes it took at most."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    problem: str = ""
    peak: int = 0


def limits_for(megabytes: int) -> Limits:
    """What a first run may take before it is ended, where a server has so much memory (MiB)."""
    return replace(LIMITS, memory=max(LIMITS.memory, (megabytes << 20) + MAPPED))


def rehearse(
    store: Store, model: str, version: str, *, megabytes: int = API_MEGABYTES, limits: Limits | None = None
) -> None:
    """Run a published version for the first time.

    Args:
        store: of the model.
        model: its name.
        version: of it.
        megabytes: MiB that the servers have; a version that takes more is refused, where the system tells how much.
        limits: at which the process is ended; by default those of ``limits_for``.

    Raises:
        PromotionRefused: it cannot be verified, cannot be run, or takes too long or too much.
        StoreUnavailable: S3 did not answer.
    """
    limits = limits or limits_for(megabytes)
    try:
        manifest = read_manifest(store, model, version)
        graph = read_file(store, manifest, MODEL_FILE)
    except (NotFoundError, IntegrityError) as error:
        raise PromotionRefused(f"{version} may not serve: {error.message}", remedy=error.remedy) from error
    with tempfile.TemporaryDirectory(prefix="perennial-") as name:
        folder = Path(name)
        (folder / _MANIFEST).write_bytes(manifest.to_bytes())
        (folder / _GRAPH).write_bytes(graph)
        code = run_confined("perennial.jobs.rehearse", folder, limits)
        report = _report(folder, code, limits)
    if report.problem:
        raise PromotionRefused(
            f"{version} may not serve: {report.problem}", remedy="Train it again, or choose another version."
        )
    if report.peak > megabytes << 20:
        raise PromotionRefused(
            f"{version} may not serve: it takes {report.peak >> 20:,} of the {megabytes:,} MB that the API has.",
            remedy=f"Train a smaller one, or raise ApiMegabytes of the deployment, and {_VARIABLE} here with it.",
        )


def _report(folder: Path, code: int | None, limits: Limits) -> _Report:
    """What the process found, or what became of it."""
    if code is None:
        return _Report(problem=f"its first run took longer than {limits.seconds:g} s.")
    try:
        return _Report.model_validate_json((folder / _REPORT).read_bytes())
    except (FileNotFoundError, ValidationError):
        return _Report(problem=f"its first run ended with code {code}, within {limits}.")


def _main(arguments: list[str]) -> None:
    """The process itself."""
    from perennial.serving.predictor import GRAPH_FAILURES, Predictor

    fatal: tuple[type[BaseException], ...] = (MemoryError, *GRAPH_FAILURES)
    folder = confine(arguments)
    manifest = ModelManifest.read((folder / _MANIFEST).read_bytes())
    try:
        answer_edges(Predictor(manifest, (folder / _GRAPH).read_bytes()))
        report = _Report(peak=_peak())
    except IntegrityError as error:
        report = _Report(problem=error.message)
    except fatal as error:
        reason = (str(error).strip().splitlines() or ["it takes too much memory"])[0][:200]
        report = _Report(problem=f"it cannot be run: {reason.rstrip('.')}.")
    (folder / _REPORT).write_text(report.model_dump_json())


def _peak() -> int:
    """Most bytes that this process has held in memory so far; 0 where the system does not say.

    Not ``ru_maxrss``, in which Linux counts what the parent held before it started this program.
    """
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) << 10
    return 0


def answer_edges(predictor: Predictor) -> None:
    """Let a predictor answer what lies at the edge of its spec. Raises what onnxruntime raises, and IntegrityError."""
    import numpy as np

    frame = predictor.manifest.pixels
    if frame is not None:
        noise = np.random.default_rng(SEED).integers(0, 256, frame.shape, np.uint8)
        found = predictor.look([np.zeros_like(noise), np.full_like(noise, 255), noise])
        count = 3
    else:
        rows = edges(predictor)
        found = predictor.run(np.resize(rows, (ROWS, rows.shape[1])))
        predictor.run(rows[:1])
        count = ROWS
    given = [len(part) for part in (found.labels, found.probabilities, found.values) if part is not None]
    if any(length != count for length in given):
        raise IntegrityError(f"It gives {', '.join(map(str, given))} answers to {count} questions.")


def edges(predictor: Predictor) -> NDArray[np.float64]:
    """Rows at the edge of what a spec allows [4, columns]: least, most, missing, and a category that is unknown."""
    import numpy as np

    from perennial.records import UNKNOWN
    from perennial.spec import NumberFeature

    columns = predictor.schema.columns
    rows = np.zeros((4, len(columns)))
    for place, column in enumerate(columns):
        feature = predictor.schema.features[column.feature]
        least, most = -FAR, FAR
        if column.kind == "category":
            least, most = 0.0, float(len(column.values) - 1)
        elif isinstance(feature, NumberFeature):
            least = least if feature.min is None else feature.min
            most = most if feature.max is None else feature.max
        rows[:, place] = (least, most, np.nan, UNKNOWN if column.kind == "category" else least)
    return rows


if __name__ == "__main__":
    _main(sys.argv[1:])
