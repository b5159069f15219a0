"""Answering a request for approval from outside of the run that asked: by Airflow's REST API, or here."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, Literal

from perennial.errors import ConflictError, NotFoundError, SettingsError
from perennial.jobs import lock
from perennial.jobs.airflow_rest import AirflowRest, TaskPlace, answered_by
from perennial.jobs.approval import (
    NOBODY,
    AnswerStands,
    ApprovalRequest,
    answer_approval,
    find_answer,
    find_request,
    record_answer,
    the_one_pending,
)
from perennial.jobs.cycle import promote_and_smoke
from perennial.jobs.results import ApprovalAnswer, OutcomeResult, StepResult
from perennial.jobs.steps import conclude
from perennial.jobs.workspace import Progress, Workspace
from perennial.registry.registry import Registry
from perennial.settings import Settings
from perennial.store import Store

APPROVE, REJECT = "Approve", "Reject"  # the options of Airflow's approval
PARKED = frozenset({"awaiting_input", "deferred"})
GONE = frozenset({"failed", "upstream_failed", "skipped", "removed"})
PATIENCE_SECONDS = 60.0
# An answer that comes while the scheduler still notes that the task has parked can be lost.
SETTLED_SECONDS = 3.0


class Answered(StepResult):
    """What was said, and what came of it: ``outcome`` is None where Airflow goes on with its run."""

    model: str
    version: str
    approved: bool
    by: str
    at: datetime
    reason: str
    through: Literal["airflow", "here"]
    run: str
    outcome: OutcomeResult | None = None

    def summary(self) -> str:
        """A few lines for people."""
        said = f"Version {self.version} of {self.model} was {'approved' if self.approved else 'rejected'} by {self.by}."
        if self.outcome is None:
            return f"{said}\nAnswered; Airflow goes on with run {self.run}."
        return f"{said}\n{self.outcome.summary()}"


def answer(
    store: Store,
    settings: Settings,
    model: str,
    version: str | None,
    *,
    approved: bool,
    by: str,
    reason: str,
    now: Callable[[], datetime],
    progress: Progress,
    env: Mapping[str, str],
) -> Answered:
    """Approve or reject a version that waits; without ``version`` the only one of the model.

    Where Airflow asked, its parked run goes on; else the version is promoted and smoke-tested here, or left as it is.
    The same answer again finishes what an earlier try began.

    Raises:
        NotFoundError: nothing waits, or nobody was asked about this version.
        AnswerStands: it has been answered otherwise, or its time is over.
        SettingsError: Airflow asked, and it is not known where it is.
        SchedulerUnavailable: Airflow does not answer, or refuses access.
        PromotionRefused: another champion has come since the version was compared.
    """
    request = find_request(store, model, version) if version else the_one_pending(store, model)
    first = find_answer(store, model, request.version)
    if first is not None and first.approved != approved:
        raise AnswerStands(model, first)
    if request.asked_by is not None:
        if first is None:
            said = _by_airflow(request, request.asked_by, settings, approved, (reason, by), now, env)
            first = record_answer(store, model, said)  # as the run does when it goes on, which may take a while
            if first.approved != approved:
                raise AnswerStands(model, first)
        return _answered(request, first, request.asked_by.run_id, None)
    w = _workspace(store, settings, request, now, progress)
    if first is None and now() >= request.until:
        late = ApprovalAnswer(version=request.version, approved=False, by=NOBODY, at=request.until)
        first = record_answer(store, model, late)
        if approved:
            conclude(w)
            raise AnswerStands(model, first)
    given = first or answer_approval(w, approved=approved, by=by, reason=reason)
    return _answered(request, given, w.run, _carry_out(w, given))


def _carry_out(w: Workspace, given: ApprovalAnswer) -> OutcomeResult:
    if given.approved:
        with lock.held(w):
            try:
                promote_and_smoke(w)
            finally:
                lock.release(w.store, w.spec.name, w.run, w.now())
    return conclude(w)


def _by_airflow(
    request: ApprovalRequest,
    place: TaskPlace,
    settings: Settings,
    approved: bool,
    words: tuple[str, str],
    now: Callable[[], datetime],
    env: Mapping[str, str],
) -> ApprovalAnswer:
    """Have Airflow take the answer; ``words`` are the reason and who gives it. Returns the answer that it has."""
    if settings.airflow_url is None:
        raise SettingsError(
            f"Run {place.run_id} of Airflow's DAG {place.dag_id} asked for the answer.",
            remedy="Give it there, or set PERENNIAL_AIRFLOW_URL to Airflow's address.",
        )
    rest = AirflowRest.connect(settings.airflow_url, env)
    asked = _await_parked(rest, place, now)
    if not asked["response_received"]:
        with suppress(ConflictError):  # somebody else was faster
            rest.answer(place, APPROVE if approved else REJECT, *words)
        asked = rest.request_of(place)
    return _said(request, asked)


def _await_parked(rest: AirflowRest, place: TaskPlace, now: Callable[[], datetime]) -> dict[str, Any]:
    """The request as Airflow has it, once the task waits for an answer or has one. Raises NotFoundError."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        state = rest.state_of(place)
        if state in GONE:
            raise NotFoundError(
                f"Airflow's task {place} waits no more: it is {state}.", remedy="Clear it to ask again."
            )
        asked = rest.request_of(place) if state in PARKED or state == "success" else None
        if asked is not None and asked["response_received"]:
            return asked
        if asked is not None:
            age = (now() - datetime.fromisoformat(asked["created_at"])).total_seconds()
            time.sleep(min(max(SETTLED_SECONDS - age, 0.0), SETTLED_SECONDS))
            return asked
        if time.monotonic() > deadline:
            raise NotFoundError(f"Airflow's task {place} does not wait for an answer yet: it is {state}.")
        time.sleep(0.5)


def _said(request: ApprovalRequest, asked: Mapping[str, Any]) -> ApprovalAnswer:
    """Airflow's answer as ours."""
    form = asked["params_input"] or {}
    return ApprovalAnswer(
        version=request.version,
        approved=asked["chosen_options"] == [APPROVE],
        by=answered_by(asked["responded_by_user"], form.get("by")) or NOBODY,
        at=datetime.fromisoformat(asked["responded_at"]),
        reason=form.get("reason") or "",
    )


def _workspace(
    store: Store, settings: Settings, request: ApprovalRequest, now: Callable[[], datetime], progress: Progress
) -> Workspace:
    """The run that asked, under the very spec it ran with."""
    manifest = Registry(store).manifest(request.model, request.version)
    return Workspace(
        spec=manifest.spec,
        store=store,
        run=request.run,
        code=manifest.code,
        api_url=settings.api_url,
        progress=progress,
        now=now,
        settings=settings,
    )


def _answered(request: ApprovalRequest, given: ApprovalAnswer, run: str, outcome: OutcomeResult | None) -> Answered:
    return Answered(
        model=request.model,
        version=given.version,
        approved=given.approved,
        by=given.by,
        at=given.at,
        reason=given.reason,
        through="airflow" if request.asked_by else "here",
        run=run,
        outcome=outcome,
    )
