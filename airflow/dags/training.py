"""One training DAG for each model spec: collect, snapshot, train side by side, select, gate, ask, promote, smoke-test.

Wiring only: each task runs one step of ``perennial.jobs``. Every task may be cleared and repeated.
"""

from __future__ import annotations

import logging
from typing import Any

from airflow.sdk import DAG, Param, TriggerRule, XComArg, dag, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from perennial_wiring import (
    PATIENT,
    POLICY,
    TRAINING,
    Approval,
    Result,
    place_of,
    report_failures,
    runs,
    specs,
    states,
    step,
    steps_of,
    why,
)

from perennial.jobs import SpecFile
from perennial.jobs.airflow_rest import answered_by
from perennial.spec import ModelSpec

log = logging.getLogger(__name__)
CAUSES = {"scheduled": "schedule", "backfill": "schedule", "asset_triggered": "files"}
PARAMS = {"force": Param(False, type="boolean", description="Train even where there is no reason to")}
ANSWER = {
    "reason": Param("", type=["null", "string"], title="Reason", description="Kept with the answer"),
    "by": Param("", type=["null", "string"], title="Your name", description="Kept beside the one that Airflow knows"),
}
DOC = """### Training of `{name}`

Turns what has landed and what turned out true into a dataset version, trains every candidate on it, and registers the
best one. It becomes champion only if the gate passes it{human}. Metric: `{metric}`. Spec: `{path}`.

- **Nothing to do** when there is no reason to train; the task `nothing_to_do` says why. `force: true` trains all the
  same. A run that another one starts says `{{"cause": "monitor", "because": "..."}}` in its configuration.
- **Retry**: each step finds its own earlier result, so clearing any task is safe.
- **A refused version** stays in the registry with the gate's reasons: `perennial versions {name}`.
- **A run that waits for a person** holds up no other run; a run whose turn has not come waits.
- **A version that fails its smoke test** is rolled back, and the run ends as failed.
"""


def cause() -> dict[str, str]:
    """What started this run, and why: its configuration says, or else its kind."""
    run = get_current_context()["dag_run"]
    conf: dict[str, Any] = run.conf or {}
    return {
        "cause": str(conf.get("cause") or CAUSES.get(str(run.run_type), "manual")),
        "because": str(conf.get("because") or ""),
    }


@task(**PATIENT)
def acquire(place: str) -> Result:
    """Waits for this run's turn: one training at a time for each model."""
    return step(place, "acquire")


@task
def collect(place: str) -> Result:
    """Lands the predictions whose truth has become known."""
    return step(place, "collect")


@task
def snapshot(place: str) -> Result:
    """Makes a dataset version of what has landed, and decides whether to train on it."""
    return step(place, "snapshot", force=get_current_context()["params"]["force"], **cause())


@task.branch
def anything_to_do(found: Result) -> str:
    return "train" if found["work"] else "nothing_to_do"


@task
def nothing_to_do(found: Result) -> None:
    """Ends the run: there is no reason to train, or something stands against it."""
    log.info("%s", found.get("blocked") or "There is no reason to train.")


@task(map_index_template="{{ candidate }}")
def train(place: str, candidate: str) -> Result:
    """Trains one candidate."""
    get_current_context()["candidate"] = candidate  # type: ignore[typeddict-unknown-key]
    return step(place, "train", candidate=candidate)


@task
def select(place: str) -> Result:
    """Chooses the best candidate by cross-validation."""
    return step(place, "select")


@task
def register(place: str) -> Result:
    """Evaluates it once on the holdout, and registers it as a version."""
    return step(place, "register")


@task
def gate(place: str) -> Result:
    """Judges the version against the policy and the champion."""
    return step(place, "gate")


@task.branch
def passed(decision: Result) -> str:
    if decision["promote"]:
        return "promote"
    return "request_approval" if decision["approval"] else "not_promoted"


@task
def not_promoted(decision: Result) -> None:
    """The champion stays: the gate failed the version."""
    for reason in decision["reasons"]:
        log.warning("%s", reason)


@task
def request_approval(place: str) -> Result:
    """Asks a person, and says where they find both models side by side."""
    context = get_current_context()
    return step(place, "request-approval", **{"asked-by": f"{context['dag'].dag_id}/{context['run_id']}/approve"})


@task
def answer(place: str, said: Result) -> Result:
    """Records what the person said; no answer in time is a rejection."""
    approved = list(said["chosen_options"]) == [Approval.APPROVE]
    form = said["params_input"] or {}
    return step(
        place,
        "answer-approval",
        approved=approved,
        rejected=not approved,
        by=answered_by(said["responded_by_user"], form.get("by")),
        because=form.get("reason"),
    )


@task.branch
def verdict(said: Result) -> str:
    return "promote" if said["approved"] else "rejected"


@task
def rejected(said: Result) -> None:
    """The champion stays: a person rejected the version, or nobody answered in time."""
    log.warning("Rejected by %s. %s", said["by"], said["reason"])


@task(trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS, **PATIENT)
def promote(place: str) -> Result:
    """Makes the version champion."""
    return step(place, "promote")


@task
def smoke(place: str) -> Result:
    """Asks the real endpoint for a prediction."""
    return step(place, "smoke")


@task(trigger_rule=TriggerRule.ONE_FAILED)
def rollback(place: str) -> Result:
    """Goes back to the champion before, where the smoke test failed."""
    if states().get("smoke") != "failed":
        raise AirflowSkipException("Nothing was promoted.")
    return step(place, "rollback", because=why("smoke"))


@task(retries=0)
def rolled_back(done: Result) -> None:
    """Fails, so that the run does: the version that was promoted does not work."""
    raise AirflowFailException(f"Version {done['version']} failed its smoke test: {done['why']}")


@task(trigger_rule=TriggerRule.ONE_SUCCESS)
def conclude(place: str) -> Result:
    """Notes how the run ended."""
    return step(place, "conclude")


@task(trigger_rule=TriggerRule.ALL_DONE)
def release(place: str) -> Result:
    """Ends this run's turn, however it went."""
    return step(place, "release")


def asking(spec: ModelSpec, asked: XComArg) -> Approval:
    """The task in which a run waits for a person; ``asked`` is the request."""
    return Approval(
        task_id="approve",
        subject=asked["subject"],
        body=asked["body"],
        defaults=Approval.REJECT,
        response_timeout=spec.gate.approval_timeout,
        params=ANSWER,
        doc_md="Waits for a person: here, by Airflow's REST API, or by `perennial approve`.",
    )


def wire(place: str, spec: ModelSpec) -> None:
    """The tasks of a training, in their order."""
    on = runs(spec)
    found, decision, asked = on(snapshot)(place), on(gate)(place), on(request_approval)(place)
    approve = asking(spec, asked)
    answered = on(answer)(place, approve.output)
    trained = on(train).partial(place=place).expand(candidate=list(spec.candidates))
    nothing, promoted, end = nothing_to_do(found), on(promote)(place), on(conclude)(place)
    choice, chosen = passed(decision), verdict(answered)

    acquire(place) >> on(collect)(place) >> found
    anything_to_do(found) >> [nothing, trained]
    trained >> on(select)(place) >> on(register)(place) >> decision
    choice >> [promoted, asked, (kept := not_promoted(decision))]
    chosen >> [promoted, (refused := rejected(answered))]
    promoted >> (smoked := on(smoke)(place)) >> (back := on(rollback)(place))
    rolled_back(back)
    [smoked, back, kept, refused] >> end
    [nothing, end] >> release(place)


def training_dag(file: SpecFile, spec: ModelSpec) -> DAG:
    """The DAG ``train_<model>`` of one spec."""
    human = f", and a person approves it within {spec.gate.approval_timeout}" if spec.gate.approval == "human" else ""
    with DAG(
        dag_id=f"train_{spec.name}",
        schedule=spec.retrain.schedule,
        tags=["perennial", "training", spec.name],
        doc_md=DOC.format(name=spec.name, metric=spec.metric, path=file.path.name, human=human),
        params=PARAMS,
        **TRAINING,
    ) as made:
        wire(place_of(file), spec)
    report_failures(made, steps_of(file), but=("smoke", "rolled_back", "release"))
    return made


def broken_spec_dag(file: SpecFile) -> DAG:
    """A DAG that shows, and fails with, the mistake in a spec: one bad file must not hide the other models."""

    @dag(
        dag_id=f"broken_{file.name}",
        schedule=None,
        tags=["perennial", "broken-spec"],
        doc_md=f"### This spec cannot be used\n\n```\n{file.error}\n```",
        **POLICY,
    )
    def broken() -> None:
        @task(retries=0)
        def mend_the_spec() -> None:
            raise AirflowFailException(file.error)

        mend_the_spec()

    return broken()


for each in specs():
    made = training_dag(each, each.spec) if each.spec else broken_spec_dag(each)
    globals()[made.dag_id] = made
