"""What a run has come to so far, as it stands in the bucket: the memory that steps share."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from pydantic import TypeAdapter

from perennial import keys
from perennial.errors import AlreadyExistsError, NotFoundError
from perennial.jobs.results import ApprovalAnswer, SnapshotResult
from perennial.jobs.workspace import R, Workspace
from perennial.registry.gate import Champion
from perennial.registry.registry import Registry
from perennial.spec import canonical

if TYPE_CHECKING:
    from perennial.datasets.manifest import DatasetManifest
    from perennial.training.outcome import CandidateReport, RefusedCandidate


def step_key(w: Workspace, step: str) -> str:
    return keys.run_step(w.spec.name, w.attempt, step)


def outcome_key(w: Workspace, dataset: str) -> str:
    """Where the outcome of training on ``dataset`` with this very spec is noted."""
    return keys.outcome(w.spec.name, hashlib.sha256(f"{dataset} {w.spec.digest()}".encode()).hexdigest())


def result_of(w: Workspace, step: str, kind: type[R]) -> R:
    """What an earlier step of this run returned. Raises NotFoundError when it has not run."""
    found = find_result(w, step, kind)
    if found is None:
        raise NotFoundError(
            f"Run {w.run} has no result of the step {step} under this spec.", remedy=f"Run the step {step} first."
        )
    return found


def find_result(w: Workspace, step: str, kind: type[R]) -> R | None:
    """What an earlier step of this run returned, None when it has not run."""
    found = w.store.find(step_key(w, step))
    return kind.model_validate_json(found.data) if found else None


def answer_of(w: Workspace, version: str) -> ApprovalAnswer | None:
    """What a person said of a version; None as long as nobody has."""
    found = w.store.find(keys.approval(w.spec.name, version))
    return ApprovalAnswer.model_validate_json(found.data) if found else None


def dataset_of(w: Workspace) -> DatasetManifest:
    """The dataset version this run works on."""
    from perennial.datasets.history import read_manifest

    return read_manifest(w.store, w.spec.name, result_of(w, "snapshot", SnapshotResult).dataset)


def candidate_of(w: Workspace, name: str) -> CandidateReport | RefusedCandidate | None:
    """What became of a candidate in this run; None when it has not been trained."""
    from perennial.training.outcome import CandidateReport, RefusedCandidate

    found = w.store.find(keys.run_candidate(w.spec.name, w.attempt, name))
    if found is None:
        return None
    kinds: TypeAdapter[CandidateReport | RefusedCandidate] = TypeAdapter(CandidateReport | RefusedCandidate)
    return kinds.validate_json(found.data)


def train_candidate_of(w: Workspace, name: str) -> CandidateReport | RefusedCandidate:
    """Train a candidate and keep what became of it: the graph first, the report last."""
    from perennial.datasets.load import load_split
    from perennial.training.candidate import train_candidate
    from perennial.training.outcome import TrainedCandidate

    dataset = dataset_of(w)
    holdout = load_split(w.store, w.spec, dataset, "holdout")
    outcome = train_candidate(
        w.spec,
        name,
        load_split(w.store, w.spec, dataset, "train"),
        holdout.x,
        dataset.classes,
        w.progress,
        holdout_pictures=holdout.pictures,
    )
    if isinstance(outcome, TrainedCandidate):
        w.store.put_new(keys.registry_blob(w.spec.name, outcome.report.model.digest), outcome.onnx)
        report: CandidateReport | RefusedCandidate = outcome.report
    else:
        report = outcome
    try:
        w.store.put_new(keys.run_candidate(w.spec.name, w.attempt, name), canonical(report.model_dump(mode="json")))
    except AlreadyExistsError:  # the same task, run twice at once: the first report stands
        return candidate_of(w, name) or report
    return report


def champion_of(w: Workspace, challenger: str) -> Champion | None:
    """The champion against the challenger, on the rows neither has learnt from; None before the first promotion."""
    from perennial.serving.load import load
    from perennial.training.champion import challenge

    name = w.spec.name
    head = Registry(w.store).head(name)
    if head is None or head.version == challenger:
        return None
    return challenge(w.store, load(w.store, name, head.version), load(w.store, name, challenger), dataset_of(w))
