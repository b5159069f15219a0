"""From a registered version to a champion, or not: the steps that decide, and that go back."""

from __future__ import annotations

from perennial.errors import ConflictError, PromotionRefused
from perennial.jobs.rehearse import rehearse
from perennial.jobs.results import (
    ApprovalAnswer,
    GateResult,
    OutcomeResult,
    PromoteResult,
    RegisterResult,
    RollbackResult,
    SmokeResult,
    SnapshotResult,
)
from perennial.jobs.state import answer_of, champion_of, dataset_of, find_result, outcome_key, result_of, step_key
from perennial.jobs.workspace import Workspace
from perennial.registry.gate import Decision, decide, find_decision, record_decision
from perennial.registry.registry import Registry

ACTOR = "perennial"


def gate(w: Workspace) -> GateResult:
    """Judge the registered version against the policy and the champion, on the same rows."""
    decision = _decision(w)
    human = decision.approval or w.spec.gate.approval == "human"
    return GateResult(
        version=decision.candidate,
        passed=decision.passed,
        promote=decision.passed and not human,
        approval=decision.passed and human,
        failures=tuple(f"{rule.rule}: {rule.reason}" for rule in decision.rules if not rule.passed),
        reasons=tuple(f"{'pass' if rule.passed else 'FAIL'} {rule.rule}: {rule.reason}" for rule in decision.rules),
    )


def _decision(w: Workspace) -> Decision:
    """The gate's answer in this run, which is given once."""
    known = find_decision(w.store, w.spec.name, w.operation("gate"))
    if known is not None:
        return known
    version = result_of(w, "register", RegisterResult).version
    found = decide(Registry(w.store).manifest(w.spec.name, version), champion_of(w, version))
    return record_decision(w.store, w.spec.name, w.operation("gate"), found)


def promote(w: Workspace) -> PromoteResult:
    """Make the version champion.

    Raises:
        PromotionRefused: this run's gate did not pass it, a person has not approved it, another champion has come
            since it was compared, no trusted key signed it, or it does not survive its first run.
    """

    def compute() -> PromoteResult:
        decision, answer = _decision(w), _allowed(w)
        rehearse(w.store, w.spec.name, decision.candidate, megabytes=w.server_megabytes)
        entry = Registry(w.store).promote(
            w.spec.name,
            decision.candidate,
            op_id=w.operation("promote"),
            actor=answer.by if answer else ACTOR,
            reason=f"passed the gate in run {w.run}" + (f", {_approved(answer)}" if answer else ""),
            now=w.now(),
            over=decision.champion,
        )
        return PromoteResult(version=entry.version, generation=entry.generation, previous=entry.previous)

    return w.once(step_key(w, "promote"), PromoteResult, compute)


def _approved(answer: ApprovalAnswer) -> str:
    said = " ".join(answer.reason.split())[:500]
    return f"approved by {answer.by}" + (f": {said}" if said else "")


def _allowed(w: Workspace) -> ApprovalAnswer | None:
    """The approval of the version, None where nobody needs to give one. Raises PromotionRefused."""
    decision = gate(w)
    if not decision.passed:
        raise PromotionRefused(f"The gate did not pass version {decision.version}.", remedy="See the gate's reasons.")
    if decision.promote:
        return None
    answer = answer_of(w, decision.version)
    if answer is None:
        raise PromotionRefused(
            f"Version {decision.version} waits for a person.",
            remedy=f"`perennial approve {w.spec.name}` answers.",
        )
    if not answer.approved:
        raise PromotionRefused(f"Version {decision.version} was rejected by {answer.by}.")
    return answer


def smoke(w: Workspace) -> SmokeResult:
    """Ask the champion for a holdout row, by the real endpoint where one is known, and compare with the predictor."""
    from perennial.datasets.load import load_split
    from perennial.jobs.smoke import smoke_test

    promoted = promote(w)
    holdout = load_split(w.store, w.spec, dataset_of(w), "holdout")
    return smoke_test(w, promoted, holdout)


def rollback(w: Workspace, because: str = "") -> RollbackResult:
    """Go back to the champion before, because the promoted version failed its smoke test.

    Nothing is moved where there was none before, or where another version has been promoted meanwhile.
    """

    def compute() -> RollbackResult:
        promoted = promote(w)
        why = because or w.because or "it failed its smoke test"
        if promoted.previous is None:
            return RollbackResult(version=promoted.version, rolled_back=False, why=f"{why}; it is the first version")
        registry = Registry(w.store)
        try:
            entry = registry.rollback(
                w.spec.name, op_id=w.operation("rollback"), actor=ACTOR, reason=f"smoke test failed: {why}"[:500],
                now=w.now(), to=promoted.previous, over=promoted.version,
            )  # fmt: skip
        except ConflictError:
            head = registry.head(w.spec.name)
            serves = head.version if head else "none"
            return RollbackResult(version=promoted.version, rolled_back=False, why=f"{why}; {serves} serves now")
        return RollbackResult(
            version=promoted.version, rolled_back=True, why=why, to=entry.version, generation=entry.generation
        )

    return w.once(step_key(w, "rollback"), RollbackResult, compute)


def conclude(w: Workspace) -> OutcomeResult:
    """Note how the run ended, so that the same dataset and spec are not trained on again without being asked."""
    found = result_of(w, "snapshot", SnapshotResult)
    registered = result_of(w, "register", RegisterResult)
    decision = gate(w)
    promoted = find_result(w, "promote", PromoteResult)
    back = find_result(w, "rollback", RollbackResult)
    answer = answer_of(w, decision.version) if decision.approval else None
    outcome = OutcomeResult(
        model=w.spec.name,
        run=w.run,
        dataset=found.dataset,
        trained=True,
        at=w.now(),
        because=found.work or "",
        version=registered.version,
        candidate=registered.candidate,
        metrics=registered.metrics,
        passed=decision.passed,
        promoted=promoted is not None,
        generation=promoted.generation if promoted else None,
        previous=promoted.previous if promoted else None,
        waiting=decision.approval and answer is None,
        answered_by=answer.by if answer else None,
        rolled_back=back is not None and back.rolled_back,
        smoke_failure=back.why if back else None,
        reasons=decision.reasons,
        failures=decision.failures,
    )
    first = w.once(outcome_key(w, found.dataset), OutcomeResult, lambda: outcome)
    return outcome.model_copy(update={"at": first.at}) if first.run == w.run else outcome


def unchanged(w: Workspace) -> OutcomeResult:
    """The outcome of a run that found nothing to do, and why."""
    found = result_of(w, "snapshot", SnapshotResult)
    return OutcomeResult(
        model=w.spec.name,
        run=w.run,
        dataset=found.dataset,
        trained=False,
        because=found.blocked or "there was no reason",
    )
