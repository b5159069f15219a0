"""One training DAG for each model spec: snapshot, train candidates side by side, select, gate, promote.

Specs are found in ``PERENNIAL_SPECS`` (files or folders, separated like PATH), by default the folder
``specs`` beside this file. Wiring only: each task runs one step of ``perennial.jobs`` in a process of its own,
in the interpreter ``PERENNIAL_PYTHON``. Every step may be cleared and repeated.
"""

from __future__ import annotations

import logging
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, Param, TriggerRule, dag, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException

from perennial.jobs import JobFailed, SpecFile, find_specs, run_step
from perennial.spec import ModelSpec

log = logging.getLogger(__name__)
SPECS = os.environ.get("PERENNIAL_SPECS") or str(Path(__file__).parent / "specs")
POLICY: dict[str, Any] = {
    "start_date": datetime(2026, 1, 1, tzinfo=UTC),
    "catchup": False,
    "max_active_runs": 1,
    "params": {"force": Param(False, type="boolean", description="Train even where there is nothing new")},
    "default_args": {
        "owner": "perennial",
        "retries": 2,
        "retry_delay": timedelta(seconds=30),
        "retry_exponential_backoff": True,
    },
}
DOC = """### Training of `{name}`

Turns what has landed into a dataset version, trains every candidate on it, and registers the best one.
It becomes champion only if the gate passes it. Metric: `{metric}`. Spec: `{path}`.

- **Nothing to do** when this dataset has been trained with this spec before; `force: true` trains all the same.
- **Retry**: each step finds its own earlier result, so clearing any task is safe.
- **A refused version** stays in the registry with the gate's reasons: `perennial versions {name}`.
"""


def training_dag(file: SpecFile, spec: ModelSpec) -> DAG:
    """The DAG ``train_<model>`` of one spec."""
    place = str(file.path.resolve())

    @dag(
        dag_id=f"train_{spec.name}",
        schedule=spec.retrain.schedule,
        tags=["perennial", "training", spec.name],
        doc_md=DOC.format(name=spec.name, metric=spec.metric, path=file.path.name),
        **POLICY,
    )
    def training() -> None:
        def step(name: str, **arguments: str | bool) -> dict[str, Any]:
            try:
                return run_step(name, place, get_current_context()["run_id"], **arguments)
            except JobFailed as error:
                raise (AirflowFailException(str(error)) if error.final else error) from error

        @task
        def snapshot() -> dict[str, Any]:
            return step("snapshot", force=get_current_context()["params"]["force"])

        @task.branch
        def anything_to_do(found: dict[str, Any]) -> str:
            return "train" if found["work"] else "nothing_to_do"

        @task
        def nothing_to_do() -> None:
            """Ends the run: this dataset has been trained with this spec before."""

        @task(map_index_template="{{ candidate }}")
        def train(candidate: str) -> dict[str, Any]:
            get_current_context()["candidate"] = candidate  # type: ignore[typeddict-unknown-key]
            return step("train", candidate=candidate)

        @task
        def select() -> dict[str, Any]:
            return step("select")

        @task
        def register() -> dict[str, Any]:
            return step("register")

        @task
        def gate() -> dict[str, Any]:
            return step("gate")

        @task.branch
        def passed(decision: dict[str, Any]) -> str:
            return "promote" if decision["promote"] else "not_promoted"

        @task
        def not_promoted(decision: dict[str, Any]) -> None:
            """The champion stays: the gate failed the version, or the spec leaves the promotion to a person."""
            for reason in decision["reasons"]:
                log.warning("%s", reason)

        @task
        def promote() -> dict[str, Any]:
            return step("promote")

        @task
        def smoke() -> dict[str, Any]:
            return step("smoke")

        @task(trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS)
        def conclude() -> dict[str, Any]:
            return step("conclude")

        found = snapshot()
        trained = train.expand(candidate=list(spec.candidates))
        decision = gate()
        anything_to_do(found) >> [nothing_to_do(), trained]
        trained >> select() >> register() >> decision
        verdict, end = passed(decision), conclude()
        verdict >> promote() >> smoke() >> end
        verdict >> not_promoted(decision) >> end

    return training()


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


for found in find_specs(SPECS):
    made = training_dag(found, found.spec) if found.spec else broken_spec_dag(found)
    globals()[made.dag_id] = made
