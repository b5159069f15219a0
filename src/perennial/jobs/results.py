"""What each step returns: small, frozen, and JSON, so that it fits an Airflow XCom and a retry can read it back."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict


class StepResult(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SnapshotResult(StepResult):
    """The dataset version a run works on.

    ``work`` is why it should train, None where it should not: ``blocked`` then says what stands against the reasons
    there are, None where there is none.
    """

    dataset: str
    train_rows: int
    holdout_rows: int
    refused: int
    duplicates: int
    work: str | None
    blocked: str | None = None
    window_rows: int = 0


class TrainResult(StepResult):
    """One candidate: its cross-validated score, on ``folds`` where not on all of them, or why it was refused."""

    candidate: str
    score: float | None = None
    folds: str | None = None
    refused: str | None = None
    notes: tuple[str, ...] = ()

    def summary(self, metric: str) -> str:
        """One line for people."""
        if self.score is None:
            return f"refused: {self.refused}"
        return f"{metric} {self.score:.4f} {f'on {self.folds}' if self.folds else 'in cross-validation'}"


class SelectResult(StepResult):
    """The best candidate by cross-validation on the training part."""

    candidate: str
    score: float


class RegisterResult(StepResult):
    """The version the run registered, with its holdout metrics."""

    version: str
    candidate: str
    metrics: dict[str, float]


class GateResult(StepResult):
    """The gate's answer; ``reasons`` holds one sentence a rule, ``failures`` those of the rules that failed.

    ``promote`` is False where the gate failed, and where the spec leaves the promotion to a person: ``approval``.
    """

    version: str
    passed: bool
    promote: bool
    approval: bool = False
    reasons: tuple[str, ...]
    failures: tuple[str, ...]


class PromoteResult(StepResult):
    """The commit that made the version champion."""

    version: str
    generation: int
    previous: str | None


class SmokeResult(StepResult):
    """A holdout row asked of the champion: by ``endpoint`` when an API is known, else in this process."""

    version: str
    endpoint: str | None
    prediction: str | float


class ApprovalAnswer(StepResult):
    """What a person said of a version that passed the gate; a timeout is a rejection. The first answer stands."""

    version: str
    approved: bool
    by: str
    at: datetime
    reason: str = ""


class RollbackResult(StepResult):
    """What was done about a failed smoke test of ``version``; ``why`` it failed, and why nothing was moved."""

    version: str
    rolled_back: bool
    why: str
    to: str | None = None
    generation: int | None = None


class ReleaseResult(StepResult):
    """The end of a run's turn to train."""

    run: str


class OutcomeResult(StepResult):
    """How a run ended. ``trained`` is False where there was nothing to do; ``version`` is what it registered.

    ``because`` is why it trained, or why not. ``passed`` is the gate's answer; a version that passed and that
    a person has to approve is ``waiting`` until they answer. ``smoke_failure`` is why a promoted version was to be
    ``rolled_back``.
    """

    model: str
    run: str
    dataset: str
    trained: bool
    at: datetime | None = None
    because: str = ""
    version: str | None = None
    candidate: str | None = None
    metrics: dict[str, float] = {}
    passed: bool = False
    promoted: bool = False
    generation: int | None = None
    previous: str | None = None
    waiting: bool = False
    answered_by: str | None = None
    rolled_back: bool = False
    smoke_failure: str | None = None
    reasons: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()

    def summary(self) -> str:
        """A few lines for people."""
        lines = [f"model      {self.model}", f"run        {self.run}", f"dataset    {self.dataset}"]
        if not self.trained:
            return "\n".join([*lines, "nothing to do"])
        lines.append(f"version    {self.version} ({self.candidate})")
        lines += [f"  {name} {value:.4f}" for name, value in self.metrics.items()]
        return "\n".join([*lines, f"gate       {'passed' if self.passed else 'failed'}; {self.fate}"])

    @property
    def fate(self) -> str:
        """What became of the version."""
        if self.smoke_failure is not None:
            end = "rolled back" if self.rolled_back else "not rolled back"
            return f"promoted, but its smoke test failed; {end}"
        if self.promoted:
            return f"promoted, generation {self.generation}"
        if self.waiting:
            return "waiting for a person"
        return f"rejected by {self.answered_by}" if self.answered_by else "not promoted"
