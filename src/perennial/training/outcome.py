"""What became of a candidate, and which one is the best."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import fmean

from pydantic import BaseModel, ConfigDict

from perennial.errors import TrainingError
from perennial.registry.manifest import FileRef, Metric, Parity
from perennial.spec import Frame, ModelSpec

ONNX_TYPE = "application/octet-stream"
AGAIN = "Then train with --force, since the data are not new."
"""What follows on a remedy that lies outside spec and data: what was refused is not tried again by itself."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CandidateReport(_Frozen):
    """A candidate that was trained and exported.

    ``params`` are those it was fitted with, found ones included; ``cross_validation`` is the mean of ``folds``,
    each the spec's metric on one fold, with the 95 % interval of that mean (Student's t) unless the folds are
    chronological; ``model`` refers to the ONNX bytes; ``pixels`` is the frame in which it takes pictures, None
    where it takes records; ``notes`` holds warnings of the libraries and whatever was odd, one line each.
    """

    name: str
    estimator: str
    params: dict[str, object]
    cross_validation: Metric
    folds: tuple[float, ...]
    fold_kind: str
    train_rows: int
    seed: int
    parity: Parity
    model: FileRef
    pixels: Frame | None = None
    notes: tuple[str, ...] = ()


class RefusedCandidate(_Frozen):
    """A candidate that could not be trained or not be exported faithfully. ``reason`` is one line."""

    name: str
    estimator: str
    reason: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class TrainedCandidate:
    """A report and the ONNX bytes it refers to: all that leaves the training of a candidate."""

    report: CandidateReport
    onnx: bytes


def select(outcomes: Iterable[CandidateReport | RefusedCandidate], spec: ModelSpec) -> CandidateReport:
    """The candidate with the best cross-validated score; equal ones go by their order in the spec.

    A network is scored on the first fold alone: it is compared on that fold with the best of those scored on more,
    since folds are not equally hard.

    Raises:
        TrainingError: every candidate was refused; names each with its reason.
    """
    found = {outcome.name: outcome for outcome in outcomes}
    reports = [one for name in spec.candidates if isinstance(one := found.get(name), CandidateReport)]
    best: CandidateReport | None = None
    for report in sorted(reports, key=lambda one: -len(one.folds)):
        if best is None or _beats(report, best, spec):
            best = report
    if best is None:
        reasons = "; ".join(f"{o.name}: {o.reason}" for o in found.values() if isinstance(o, RefusedCandidate))
        raise TrainingError(
            f"No candidate could be trained and exported. {reasons or 'None was tried.'}",
            remedy="Mend `candidates` in the spec, or the data.",
        )
    return best


def _beats(one: CandidateReport, other: CandidateReport, spec: ModelSpec) -> bool:
    difference = one.cross_validation.value - other.cross_validation.value
    if len(one.folds) != len(other.folds):
        shared = min(len(one.folds), len(other.folds))
        difference = fmean(one.folds[:shared]) - fmean(other.folds[:shared])
    return difference < 0 if spec.lower_is_better else difference > 0
