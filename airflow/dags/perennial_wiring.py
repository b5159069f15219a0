"""What the DAG files share: where specs are found, the policy of every DAG, and how a task runs a step.

Specs are found in ``PERENNIAL_SPECS`` (files or folders, separated like PATH), by default the folder ``specs`` beside
this file. Each step runs in a process of its own, in the interpreter ``PERENNIAL_PYTHON``, or where a spec says
``job: {runner: batch}`` as a job on AWS Batch (``PERENNIAL_JOB_QUEUE`` and its fellows name queue and definitions).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import DAG, Context, TriggerRule, get_current_context, task
from airflow.sdk.bases.decorator import task_decorator_factory
from airflow.sdk.exceptions import AirflowFailException

from perennial.jobs import JobFailed, SpecFile, find_specs, run_step
from perennial.jobs.asked import Asked
from perennial.jobs.scoring_policy import PATIENCE, PAUSE
from perennial.spec import ModelSpec
from perennial_airflow import failures
from perennial_airflow.failures import ERROR, WAITS, failure

__all__ = [
    "ERROR", "PATIENT", "POLICY", "REGION", "SPARK_MINUTES", "TRAINING", "WAITING", "Approval", "Result", "keep_error",
    "place_of", "report_failures", "runs", "specs", "states", "step", "steps_of", "unanswered", "why",
]  # fmt: skip

POLICY: dict[str, Any] = {
    "start_date": datetime(2026, 1, 1, tzinfo=UTC),
    "catchup": False,
    "max_active_runs": 1,
    "default_args": {
        "owner": "perennial",
        "retries": 2,
        "retry_delay": timedelta(seconds=30),
        "retry_exponential_backoff": True,
    },
}
# A run that waits for a person holds up no other: only one trains at a time, by the model's lease (jobs/lock.py).
TRAINING: dict[str, Any] = {**POLICY, "max_active_runs": 8}
# Another run may train this model, for hours: its turn ends, or lapses within minutes where it was killed.
PATIENT: dict[str, Any] = {
    "retries": 720,
    "retry_delay": timedelta(minutes=1),
    "retry_exponential_backoff": False,
}
# A small file takes seconds, a large one hours: the task looks again and again, less and less often, and is no process
# meanwhile.
WAITING: dict[str, Any] = {
    "mode": "reschedule",
    "poke_interval": 5.0,
    "exponential_backoff": True,
    "max_wait": PAUSE,
    "timeout": PATIENCE.total_seconds(),
}
SPARK_MINUTES = 12 * 60  # EMR Serverless ends a job by then, which is its own limit too
REGION = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
JOB_LOOK_SECONDS = int(os.environ.get("PERENNIAL_JOB_SECONDS") or 15)  # between two looks at a job

Result = dict[str, Any]


class Approval(ApprovalOperator):
    """Airflow's own approval, which hands on either answer: a rejection is recorded by the next task, not skipped."""

    def execute_complete(self, context: Context, event: Result) -> Any:
        return super(ApprovalOperator, self).execute_complete(context, event)

    def validate_params_input(self, params_input: Mapping[str, Any]) -> None:
        """An answer by REST may leave out what it has nothing to say on; Airflow wants every field or none."""
        super().validate_params_input({**dict.fromkeys(self.params, ""), **params_input})


def specs() -> list[SpecFile]:
    """Every spec that Airflow serves; one that cannot be read comes with its error."""
    return find_specs(os.environ.get("PERENNIAL_SPECS") or str(Path(__file__).parent / "specs"))


def step(place: str, name: str, **arguments: str | bool | None) -> Result | Asked:
    """Run a step for the spec at ``place``, in the run of the task that calls it; or have its task run it as a job.

    Its errors fail the task: at once, where trying again cannot help.
    """
    context = get_current_context()
    if getattr(context["ti"].task, "on_batch", False):
        return Asked(name, place, arguments)
    try:
        return run_step(name, place, context["run_id"], **arguments)
    except JobFailed as error:
        raise failure(context, error) from error


def runs(spec: ModelSpec) -> Callable[[Any], Any]:
    """Where steps of a spec run: makes of a task that ends with :func:`step` the one that runs it there."""
    if spec.job.runner == "local":
        return lambda made: made
    from perennial_airflow.batch_step import StepOnBatch  # brings boto3

    def on_batch(made: Any) -> Any:
        where = {"region_name": REGION, "poll_interval": JOB_LOOK_SECONDS}
        return task_decorator_factory(
            made.function, multiple_outputs=made.multiple_outputs, decorated_operator_class=StepOnBatch,
            **made.kwargs, **where,
        )  # fmt: skip

    return on_batch


def steps_of(file: SpecFile) -> Callable[..., Result]:
    """:func:`step` for one spec: ``step(name, **arguments)``."""
    return partial(step, place_of(file))


def place_of(file: SpecFile) -> str:
    """Where a spec is, as tasks are told."""
    return str(file.path.resolve())


def keep_error(reason: str) -> None:
    """Keep why the task that calls it fails, or would if it ended now."""
    failures.keep_error(get_current_context(), reason)


def unanswered(error: JobFailed) -> bool:
    """Whether a step only met an S3 that does not answer, or another who is faster: there is nothing wrong with it."""
    return error.exit_code in WAITS


def states() -> dict[str, str]:
    """Task -> state, of this run; instances of a mapped task have their number behind its name."""
    context = get_current_context()
    run = context["run_id"]
    found: dict[str, dict[str, str]] = context["ti"].get_task_states(dag_id=context["dag"].dag_id, run_ids=[run])
    return found.get(run, {})


def why(task_id: str) -> str:
    """Why a task of this run failed, as far as it could say."""
    said = [text for text in get_current_context()["ti"].xcom_pull(task_ids=[task_id], key=ERROR) if text]
    return "; ".join(said) or f"{task_id} ended without a word; see its log."


def report_failures(dag: DAG, step: Callable[..., Result], but: Collection[str] = ()) -> None:
    """Add the task that tells people, once, of a task that failed for good, and has the run end as failed.

    ``but`` names the tasks it does not follow: their failure is answered, and told, otherwise.
    """
    watched = [each for each in dag.tasks if each.task_id not in but]

    @task(trigger_rule=TriggerRule.ONE_FAILED)
    def report_failure() -> None:
        """Tells of the task that failed, and fails, so that the run does."""
        failed = (name for name, state in states().items() if state == "failed")
        names = sorted({name if name in dag.task_ids else name.rpartition("_")[0] for name in failed})
        because = "; ".join(f"{name}: {why(name)}" for name in names)
        step("report-failure", because=because)
        raise AirflowFailException(because)

    with dag:
        told = report_failure()
    watched >> told
