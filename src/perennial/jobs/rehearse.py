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

from pydantic import BaseModel, ConfigDict, ValidationError

from perennial.confined import Limits, confine, run_confined
from perennial.errors import IntegrityError, NotFoundError, PromotionRefused
from perennial.registry.manifest import MODEL_FILE, ModelManifest
from perennial.registry.verify import read_file, read_manifest
from perennial.settings import API_MEGABYTES, VARIABLES
from perennial.store import Store

LIMITS = Limits(seconds=60, memory=2 << 30, file_bytes=1 << 20)
MAPPED = 1 << 30
"""Bytes of address space that a process has beyond the memory it takes: libraries, and what allocators reserve."""
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
        _refuse_large(manifest, megabytes)
        graph = read_file(store, manifest, MODEL_FILE)
    except (NotFoundError, IntegrityError) as error:
        raise PromotionRefused(f"{version} of {model} may not serve: {error.message}", remedy=error.remedy) from error
    with tempfile.TemporaryDirectory(prefix="perennial-") as name:
        folder = Path(name)
        (folder / _MANIFEST).write_bytes(manifest.to_bytes())
        (folder / _GRAPH).write_bytes(graph)
        code = run_confined("perennial.jobs.rehearse", folder, limits)
        report = _report(folder, code, limits)
    if report.problem:
        raise PromotionRefused(
            f"{MODEL_FILE} of {model} {version} may not serve: {report.problem}",
            remedy="Train it again, or choose another version.",
        )
    if report.peak > megabytes << 20:
        raise _too_large(manifest, "takes", report.peak, megabytes)


def _refuse_large(manifest: ModelManifest, megabytes: int) -> None:
    """Before a byte of it is read. Raises PromotionRefused."""
    ref = manifest.files.get(MODEL_FILE)
    if ref is not None and ref.size >= megabytes << 20:
        raise _too_large(manifest, "has", ref.size, megabytes)


def _too_large(manifest: ModelManifest, verb: str, size: int, megabytes: int) -> PromotionRefused:
    return PromotionRefused(
        f"{MODEL_FILE} of {manifest.model} {manifest.version} may not serve: "
        f"it {verb} {size >> 20:,} of the {megabytes:,} MB that the API has.",
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
    from perennial.jobs.edges import answer_edges
    from perennial.serving.predictor import Predictor
    from perennial.serving.session import GRAPH_FAILURES, said_by

    fatal: tuple[type[BaseException], ...] = (MemoryError, *GRAPH_FAILURES)
    folder = confine(arguments)
    manifest = ModelManifest.read((folder / _MANIFEST).read_bytes())
    try:
        answer_edges(Predictor(manifest, (folder / _GRAPH).read_bytes()))
        report = _Report(peak=_peak())
    except IntegrityError as error:
        report = _Report(problem=error.message)
    except fatal as error:
        report = _Report(problem=f"it cannot be run: {said_by(error) or 'it takes too much memory'}.")
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


if __name__ == "__main__":
    _main(sys.argv[1:])
