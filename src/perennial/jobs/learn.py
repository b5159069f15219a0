"""From what has landed to a registered version: the steps that learn.

A step may be repeated at any time: its result is stored under the run's name by put-new and found again.
Heavy libraries are imported by the step that needs them.
"""

from __future__ import annotations

from perennial import keys
from perennial.errors import NotFoundError
from perennial.jobs.results import RegisterResult, SelectResult, SnapshotResult, TrainResult
from perennial.jobs.signers import open_signer
from perennial.jobs.state import candidate_of, dataset_of, result_of, step_key, train_candidate_of
from perennial.jobs.workspace import Workspace
from perennial.registry.registry import Registry
from perennial.registry.signing import sign_version, untrusted


def snapshot(w: Workspace) -> SnapshotResult:
    """Turn what has landed into a dataset version, and decide whether to train on it."""

    def compute() -> SnapshotResult:
        from perennial.datasets.snapshot import snapshot as take
        from perennial.jobs.signals import of_snapshot
        from perennial.monitoring.decision import decide

        taken = take(w.store, w.spec, w.progress)
        version = taken.manifest
        decision = decide(w.spec.retrain, of_snapshot(w, version))
        return SnapshotResult(
            dataset=version.id,
            train_rows=version.rows("train"),
            holdout_rows=version.rows("holdout"),
            refused=version.refused,
            duplicates=version.duplicates,
            work="; ".join(decision.reasons) if decision.retrain else None,
            blocked=decision.blocked,
            window_rows=version.rows("window"),
        )

    return w.once(step_key(w, "snapshot"), SnapshotResult, compute)


def train(w: Workspace, candidate: str) -> TrainResult:
    """Train one candidate; what becomes of it, a refusal included, is kept with the run."""
    from perennial.training.outcome import CandidateReport, RefusedCandidate

    if candidate not in w.spec.candidates:
        raise NotFoundError(f"The spec has no candidate {candidate}.", remedy=f"It has {', '.join(w.spec.candidates)}.")
    outcome = candidate_of(w, candidate) or train_candidate_of(w, candidate)
    match outcome:
        case CandidateReport():
            partly = outcome.fold_kind if outcome.fold_kind.startswith("one of ") else None
            score = outcome.cross_validation.value
            return TrainResult(candidate=candidate, score=score, folds=partly, notes=outcome.notes)
        case RefusedCandidate():
            return TrainResult(candidate=candidate, refused=outcome.reason, notes=outcome.notes)


def select(w: Workspace) -> SelectResult:
    """Choose the candidate with the best cross-validated score on the training part."""

    def compute() -> SelectResult:
        from perennial.training.outcome import select as best_of

        outcomes = [outcome for name in w.spec.candidates if (outcome := candidate_of(w, name)) is not None]
        best = best_of(outcomes, w.spec)
        return SelectResult(candidate=best.name, score=best.cross_validation.value)

    return w.once(step_key(w, "select"), SelectResult, compute)


def register(w: Workspace) -> RegisterResult:
    """Evaluate the selected candidate once on the holdout, publish it as a version, and sign that."""

    def compute() -> RegisterResult:
        from perennial.datasets.load import load_split
        from perennial.training.build import build_version
        from perennial.training.outcome import CandidateReport, TrainedCandidate

        name = result_of(w, "select", SelectResult).candidate
        report = candidate_of(w, name)
        assert isinstance(report, CandidateReport)  # select chooses none that was refused
        onnx = w.store.get(keys.registry_blob(w.spec.name, report.model.digest)).data
        dataset = dataset_of(w)
        built = build_version(
            spec=w.spec,
            candidate=TrainedCandidate(report, onnx),
            holdout=load_split(w.store, w.spec, dataset, "holdout"),
            dataset=dataset.id,
            classes=dataset.classes,
            code=w.code,
            run=w.run,
            progress=w.progress,
        )
        version = Registry(w.store).publish(built.manifest, built.files)
        _sign(w, version)  # where this process dies before, the step has no result yet: repeated, it comes here again
        metrics = {metric: found.value for metric, found in built.manifest.metrics.items()}
        return RegisterResult(version=version, candidate=name, metrics=metrics)

    return w.once(step_key(w, "register"), RegisterResult, compute)


def _sign(w: Workspace, version: str) -> None:
    """Sign a version with the key that the settings name; said where none does though signatures are asked for."""
    signer = open_signer(w.settings) if w.settings else None
    if signer is not None:
        signature = sign_version(w.store, signer, w.spec.name, version)
        w.progress(f"signed {version} with the key {signature.key_id}{untrusted(w.store, signature.key_id)}")
    elif w.store.trust is not None:
        w.progress(f"{version} is not signed, and cannot be promoted: PERENNIAL_SIGNING_KEY names no key")
