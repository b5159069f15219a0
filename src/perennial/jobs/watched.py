"""What a monitoring pass looks at: fixed once, so that every task and every retry of it sees the same."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from perennial.errors import IntegrityError, NotFoundError, SettingsError
from perennial.jobs.results import StepResult
from perennial.jobs.state import result_of, step_key
from perennial.jobs.workspace import Workspace
from perennial.monitoring.captures import Span, batches
from perennial.registry.manifest import ModelManifest
from perennial.registry.registry import Registry

if TYPE_CHECKING:
    from perennial.monitoring.baseline import Baseline
    from perennial.monitoring.observed import Labelled, Observed

LABELS = timedelta(days=30)
"""How far back performance is measured, where the window is no longer."""
NO_CHAMPION = "nothing has been promoted yet"
CHECK = "monitor-check"


class CheckResult(StepResult):
    """The window ``[since, until)`` of a pass, which is called ``name``, and the champion it is about.

    Ground truth is taken of predictions from ``labels_since`` on. ``batches`` counts the objects that may hold
    predictions of the window: none, and the pass will have nothing to say.
    """

    name: str
    since: datetime
    until: datetime
    labels_since: datetime
    champion: str | None
    generation: int | None
    batches: int


def moment(text: str) -> datetime:
    """A moment as ISO 8601, UTC where it names no zone. Raises SettingsError."""
    try:
        found = datetime.fromisoformat(text)
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise SettingsError(f"{text!r} is no moment.", remedy="Write it as 2026-11-21T06:00:00+00:00.") from error


def plan(w: Workspace, at: datetime | None) -> CheckResult:
    """Fix what the pass of this run looks at: the window before ``at``, or before now."""

    def compute() -> CheckResult:
        until = (at or w.now()).astimezone(UTC)
        since = until - w.spec.monitor.window
        head = Registry(w.store).head(w.spec.name)
        return CheckResult(
            name=f"{until:%Y%m%dT%H%M%SZ}-{hashlib.sha256(w.attempt.encode()).hexdigest()[:8]}",
            since=since,
            until=until,
            labels_since=min(since, until - LABELS),
            champion=head.version if head else None,
            generation=head.generation if head else None,
            batches=len(batches(w.store, w.spec.name, Span(since, until))),
        )

    return w.once(step_key(w, CHECK), CheckResult, compute)


@dataclass(frozen=True)
class Watched:
    """The rows of a pass, read when first asked for and then held."""

    w: Workspace

    @cached_property
    def plan(self) -> CheckResult:
        """Raises NotFoundError where the pass was not begun."""
        return result_of(self.w, CHECK, CheckResult)

    @cached_property
    def window(self) -> Observed:
        from perennial.monitoring.observed import observe

        return observe(self.w.store, self.w.spec, self.plan.since, self.plan.until)

    @cached_property
    def truth(self) -> Labelled:
        from perennial.monitoring.observed import labelled

        return labelled(self.w.store, self.w.spec, since=self.plan.labels_since, until=self.plan.until)

    @cached_property
    def champion(self) -> ModelManifest | str:
        """The manifest of the champion, or why there is none to speak of."""
        if self.plan.champion is None:
            return NO_CHAMPION
        try:
            return Registry(self.w.store).manifest(self.w.spec.name, self.plan.champion)
        except (NotFoundError, IntegrityError) as error:
            return f"champion {self.plan.champion} cannot be read: {error.message.rstrip('.')}"

    @cached_property
    def baseline(self) -> Baseline:
        from perennial.monitoring.baseline import absent, load_baseline

        champion = self.champion
        return absent(champion) if isinstance(champion, str) else load_baseline(self.w.store, champion)
