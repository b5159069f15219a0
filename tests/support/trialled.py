"""A model with a trial, and what its servers captured of it: rows that one or both of the two have answered."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

from perennial.jobs.trial import look_at_trial
from perennial.jobs.workspace import Workspace
from perennial.monitoring.results import TrialReport
from perennial.registry.entries import LogEntry
from perennial.registry.trials import start_trial
from perennial.serving.captured import CapturedPrediction, Role
from perennial.spec import ModelSpec
from perennial.spec_policy import TrialPolicy
from perennial.store import Store, memory_store
from tests.support.captures import capture, line
from tests.support.models import IRIS, IRIS_RECORD, Built, build, make_spec, promote, register

BEGAN = datetime(2026, 11, 20, 12, tzinfo=UTC)
NOW = BEGAN + timedelta(days=1)
CLASSES = ("setosa", "versicolor", "virginica")


class Trialled:
    """One model with a trial, and whatever its servers are said to have captured."""

    def __init__(self, *, mode: str = "canary", task: str = "multiclass") -> None:
        self.store: Store = memory_store()
        self.spec: ModelSpec = make_spec(task=task, features=IRIS)
        self.champion: Built = build(self.spec, seed=1)
        self.challenger: Built = build(self.spec, seed=2)
        promote(self.store, self.champion, now=BEGAN - timedelta(days=9))
        register(self.store, self.challenger)
        self.mode, self.number, self.role = mode, 0, "canary" if mode == "canary" else "champion"
        self.begun = self.begin("try")

    def begin(self, op_id: str) -> LogEntry:
        shadow = self.mode == "shadow"
        return start_trial(
            self.store, "iris", self.challenger.version, mode="shadow" if shadow else "canary",
            share=1.0 if shadow else 0.3, op_id=op_id, actor="ada", reason="", now=BEGAN,
        )  # fmt: skip

    def row(
        self, ours: str | float | None, theirs: str | float | None, *, role: str = "", generation: int | None = None
    ) -> list[CapturedPrediction]:
        """One request, answered by champion and challenger; None where one of them failed or was not asked."""
        self.number += 1
        role = role or self.role
        at = BEGAN + timedelta(seconds=self.number)

        def of(version: str, word: str | float, role: Role, **more: Any) -> CapturedPrediction:
            chances = None if isinstance(word, float) else {name: float(name == word) for name in CLASSES}
            made = line("iris", at, self.number, IRIS_RECORD, word, probabilities=chances, version=version)
            generation_ = generation or self.begun.generation
            return made.model_copy(update={"role": role, "generation": generation_, **more})

        champion, challenger = self.champion.version, self.challenger.version
        if role == "outside":
            return [of(champion, ours or 0.0, "champion")]
        if theirs is None:
            return [of(champion, ours or 0.0, "champion", challenger_error="overflow")]
        if role == "canary":
            beside = [] if ours is None else [of(champion, ours, "shadow", record={})]
            return [of(challenger, theirs, "canary"), *beside]
        return [of(champion, ours or 0.0, "champion"), of(challenger, theirs, "shadow", record={})]

    def capture(self, *rows: list[CapturedPrediction]) -> list[str]:
        """Keep them; gives the ids of the predictions."""
        lines = [one for row in rows for one in row]
        random.Random(1).shuffle(lines)  # batches come in any order
        capture(self.store, lines, batch=37)
        return [row[0].prediction_id for row in rows]

    def look(self, policy: TrialPolicy | None = None) -> TrialReport:
        found = look_at_trial(self.store, "iris", NOW, policy)
        assert found is not None
        return found

    def workspace(self, run: str = "pass", **spec: Any) -> Workspace:
        return Workspace(
            spec=self.spec.model_copy(update=spec), store=self.store, run=run, code="0123abc", api_url=None,
            progress=lambda text: None, now=lambda: NOW,
        )  # fmt: skip


def agreeing(trial: Trialled, count: int) -> list[list[CapturedPrediction]]:
    return [trial.row(CLASSES[place % 3], CLASSES[place % 3]) for place in range(count)]
