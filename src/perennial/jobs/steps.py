"""The steps of the loop, each a plain function of a workspace: Airflow wires them, `cycle` runs them in order.

A step may be repeated at any time: its result is stored under the run's name by put-new and found again.
Heavy libraries are imported by the step that needs them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from perennial import keys
from perennial.errors import NotFoundError, PromotionRefused, SettingsError
from perennial.jobs.results import (
    GateResult,
    OutcomeResult,
    PromoteResult,
    RegisterResult,
    SelectResult,
    SmokeResult,
    SnapshotResult,
    StepResult,
    TrainResult,
)
from perennial.jobs.state import (
    candidate_of,
    champion_of,
    dataset_of,
    outcome_key,
    result_of,
    step_key,
    train_candidate_of,
)
from perennial.jobs.workspace import Workspace
from perennial.registry.gate import decide, record_decision
from perennial.registry.registry import Registry

ACTOR = "perennial"


def snapshot(w: Workspace) -> SnapshotResult:
    """Turn what has landed into a dataset version, and say whether there is reason to train on it."""

    def compute() -> SnapshotResult:
        from perennial.datasets.snapshot import snapshot as take

        taken = take(w.store, w.spec, w.progress)
        version = taken.manifest
        return SnapshotResult(
            dataset=version.id,
            new=taken.new,
            train_rows=version.rows("train"),
            holdout_rows=version.rows("holdout"),
            refused=version.refused,
            duplicates=version.duplicates,
            work=_reason_to_train(w, version.id),
        )

    return w.once(step_key(w, "snapshot"), SnapshotResult, compute)


def _reason_to_train(w: Workspace, dataset: str) -> str | None:
    if w.force:
        return "it was asked for"
    if w.store.exists(outcome_key(w, dataset)):
        return None
    return "this dataset and spec have not been trained on before"


def train(w: Workspace, candidate: str) -> TrainResult:
    """Train one candidate; what becomes of it, a refusal included, is kept with the run."""
    from perennial.training.outcome import CandidateReport, RefusedCandidate

    if candidate not in w.spec.candidates:
        raise NotFoundError(f"The spec has no candidate {candidate}.", remedy=f"It has {', '.join(w.spec.candidates)}.")
    outcome = candidate_of(w, candidate) or train_candidate_of(w, candidate)
    match outcome:
        case CandidateReport():
            return TrainResult(candidate=candidate, score=outcome.cross_validation.value, notes=outcome.notes)
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
    """Evaluate the selected candidate once on the holdout, and publish it as a version."""

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
        metrics = {metric: found.value for metric, found in built.manifest.metrics.items()}
        return RegisterResult(version=version, candidate=name, metrics=metrics)

    return w.once(step_key(w, "register"), RegisterResult, compute)


def gate(w: Workspace) -> GateResult:
    """Judge the registered version against the policy and the champion, on the same holdout rows."""
    registry = Registry(w.store)
    version = result_of(w, "register", RegisterResult).version
    decision = record_decision(
        w.store,
        w.spec.name,
        w.operation("gate"),
        decide(registry.manifest(w.spec.name, version), champion_of(w, version)),
    )
    return GateResult(
        version=version,
        passed=decision.passed,
        promote=decision.passed and w.spec.gate.approval == "auto",
        failures=tuple(f"{rule.rule}: {rule.reason}" for rule in decision.rules if not rule.passed),
        reasons=tuple(f"{'pass' if rule.passed else 'FAIL'} {rule.rule}: {rule.reason}" for rule in decision.rules),
    )


def promote(w: Workspace) -> PromoteResult:
    """Make the version champion. Raises PromotionRefused unless this run's gate passed it and nobody is to be asked."""
    decision = gate(w)
    if not decision.passed:
        raise PromotionRefused(f"The gate did not pass version {decision.version}.", remedy="See the gate's reasons.")
    if not decision.promote:
        raise PromotionRefused(
            f"Version {decision.version} waits for a person (gate.approval: human).",
            remedy=f"`perennial promote {w.spec.name} {decision.version}` promotes it.",
        )
    entry = Registry(w.store).promote(
        w.spec.name,
        decision.version,
        op_id=w.operation("promote"),
        actor=ACTOR,
        reason=f"passed the gate in run {w.run}",
        now=w.now(),
    )
    return PromoteResult(version=entry.version, generation=entry.generation, previous=entry.previous)


def smoke(w: Workspace) -> SmokeResult:
    """Ask the champion for a holdout row, by the real endpoint where one is known, and compare with the predictor."""
    from perennial.datasets.load import load_split
    from perennial.jobs.smoke import smoke_test

    promoted = promote(w)
    holdout = load_split(w.store, w.spec, dataset_of(w), "holdout")
    return smoke_test(w, promoted, holdout)


def conclude(w: Workspace) -> OutcomeResult:
    """Note how the run ended, so that the same dataset and spec are not trained on again without being asked."""
    found = result_of(w, "snapshot", SnapshotResult)
    registered = result_of(w, "register", RegisterResult)
    decision = gate(w)
    outcome = OutcomeResult(
        model=w.spec.name,
        run=w.run,
        dataset=found.dataset,
        trained=True,
        version=registered.version,
        candidate=registered.candidate,
        metrics=registered.metrics,
        passed=decision.passed,
        promoted=decision.promote,
        generation=promote(w).generation if decision.promote else None,
        reasons=decision.reasons,
        failures=decision.failures,
    )
    w.once(outcome_key(w, found.dataset), OutcomeResult, lambda: outcome)
    return outcome


def unchanged(w: Workspace) -> OutcomeResult:
    """The outcome of a run that found nothing to do."""
    found = result_of(w, "snapshot", SnapshotResult)
    return OutcomeResult(model=w.spec.name, run=w.run, dataset=found.dataset, trained=False)


STEPS: Mapping[str, Callable[[Workspace], StepResult]] = {
    "snapshot": snapshot,
    "select": select,
    "register": register,
    "gate": gate,
    "promote": promote,
    "smoke": smoke,
    "conclude": conclude,
}


def perform(step: str, w: Workspace, candidate: str | None = None) -> StepResult:
    """Run a step by name; ``train`` takes the candidate. Raises SettingsError for a name that is none."""
    if step == "train":
        if candidate is None:
            raise SettingsError("The step train needs a candidate.", remedy="Give --candidate NAME.")
        return train(w, candidate)
    return STEPS[step](w)
