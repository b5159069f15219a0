"""One scoring DAG for each model spec with a `batch.schedule`: what is new is scored, checked and summed up.

Wiring only: each task runs one step of ``perennial.jobs``. Functions on AWS Lambda score the files, or Spark where they
are too large for that: on EMR Serverless where ``PERENNIAL_SPARK_APPLICATION`` names an application (and
``PERENNIAL_SPARK_ROLE`` its role), else on this machine. Every task may be cleared and repeated.
"""

from __future__ import annotations

import logging
import os
from functools import cache
from typing import Any

from airflow.sdk import DAG, Context, PokeReturnValue, TriggerRule, task
from perennial_wiring import (
    ERROR,
    POLICY,
    REGION,
    SPARK_MINUTES,
    WAITING,
    Result,
    keep_error,
    place_of,
    report_failures,
    runs,
    specs,
    step,
    steps_of,
    unanswered,
)

from perennial.jobs import JobFailed, SpecFile
from perennial.spec import ModelSpec

log = logging.getLogger(__name__)
APPLICATION = os.environ.get("PERENNIAL_SPARK_APPLICATION")
ROLE = os.environ.get("PERENNIAL_SPARK_ROLE") or ""
ENTRY = "local:///opt/perennial/score.py"  # infra/spark/score.py, as its image has it
LOOK_SECONDS = 60
ENGINES = {"lambda": "request", "spark": "hand_over"}
DOC = """### Scoring of `{name}`

Scores the files of `{source}` that have no result yet by the champion, and waits for them. Engine: {engine}.
Spec: `{path}`.

- **A file** is one version of one object, and is scored once, however many runs see it. Names that begin with `_` or
  `.` are no data.
- **A file that cannot be read** has its reason in the summary, people are told, and it stops no other. It is tried
  again once it is replaced.
- **A run fails** where a file has no result in time, which it names, and where a result does not hold. The next run
  does not wait for such a file again.
- **Retry**: a run is about the files it saw first, so clearing any task scores nothing twice.
"""


@task
def find(place: str) -> Result:
    """Lists what is new, and chooses who scores it."""
    return step(place, "scoring-list")


@task.branch
def engine(plan: Result) -> str:
    return ENGINES.get(plan["engine"], "nothing_new")


@task
def nothing_new(plan: Result) -> None:
    """Ends the run: no file is new, or there is no champion to score it."""
    log.info("%s", plan["blocked"] or "No file is new.")


@task
def request(place: str) -> Result:
    """Asks for each file: its request starts a function."""
    return step(place, "scoring-request")


@task.sensor(**WAITING)
def wait(place: str) -> PokeReturnValue:
    """Waits until every file has its result, taking no worker meanwhile."""
    try:
        found = step(place, "scoring-await")
    except JobFailed as error:
        if unanswered(error):
            return PokeReturnValue(is_done=False)
        raise
    if found["open"]:
        keep_error(f"{found['open']} of {found['files']} files are not scored yet: {', '.join(found['names'])}")
    return PokeReturnValue(is_done=not found["open"], xcom_value=found)


@task
def hand_over(place: str) -> Result:
    """Puts down what the job of Spark is to score."""
    return step(place, "scoring-hand-over")


@task(task_id="spark")
def spark_here(place: str) -> Result:
    """Scores the files by Spark on this machine."""
    return step(place, "scoring-spark")


@cache
def on_emr() -> Any:
    """The provider's operator, saying why a job failed: its own looks for a job in an event that has none then."""
    from airflow.providers.amazon.aws.operators.emr import EmrServerlessStartJobOperator  # brings boto3

    class ScoreOnEmr(EmrServerlessStartJobOperator):
        def execute_complete(self, context: Context, event: Result | None = None) -> None:
            if event is None or event["status"] != "success":
                reason = event["message"] if event else "nothing was said of its end"
                said = f"The job of Spark failed: {reason}"
                context["ti"].xcom_push(key=ERROR, value=said)
                raise RuntimeError(said)
            return super().execute_complete(context, event)

    return ScoreOnEmr


def spark_there(name: str, handed: Any) -> Any:
    """The task that scores the files by Spark on EMR Serverless; ``handed`` is what the task before it returned."""
    return on_emr()(
        task_id="spark",
        doc_md="Scores the files by Spark on EMR Serverless, taking no worker meanwhile.",
        name=f"perennial {name}",
        application_id=APPLICATION,
        execution_role_arn=ROLE,
        job_driver={"sparkSubmit": {"entryPoint": ENTRY, "entryPointArguments": handed["arguments"]}},
        config={"executionTimeoutMinutes": SPARK_MINUTES},
        deferrable=True,
        waiter_delay=LOOK_SECONDS,
        waiter_max_attempts=SPARK_MINUTES * 60 // LOOK_SECONDS,
        aws_conn_id=None,  # the credentials that the steps use too
        region_name=REGION,
    )


@task(trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS)
def check(place: str) -> Result:
    """Checks that each file has one result, that its rows add up, and that its outputs are there."""
    return step(place, "scoring-check")


@task
def summary(place: str) -> Result:
    """Sums the run up, and tells people of files that could not be scored."""
    return step(place, "scoring-summary")


def wire(place: str, spec: ModelSpec) -> None:
    """The tasks of a scoring, in their order."""
    on = runs(spec)
    plan, handed = on(find)(place), on(hand_over)(place)
    spark = spark_there(spec.name, handed) if APPLICATION else spark_here(place)
    asked = on(request)(place)
    engine(plan) >> [nothing_new(plan), asked, handed]
    asked >> (waited := wait(place))
    handed >> spark
    [waited, spark] >> on(check)(place) >> on(summary)(place)


def scoring_dag(file: SpecFile, spec: ModelSpec) -> DAG:
    """The DAG ``score_<model>`` of one spec."""
    batch = spec.batch
    with DAG(
        dag_id=f"score_{spec.name}",
        schedule=batch.schedule,
        tags=["perennial", "scoring", spec.name],
        doc_md=DOC.format(
            name=spec.name, source=batch.source or "batch/waiting/", engine=batch.engine or "by size",
            path=file.path.name,
        ),
        **POLICY,
    ) as made:  # fmt: skip
        wire(place_of(file), spec)
    report_failures(made, steps_of(file))
    return made


for each in specs():
    if each.spec and each.spec.batch.schedule:  # a spec that cannot be read is shown once, beside the training DAGs
        made = scoring_dag(each, each.spec)
        globals()[made.dag_id] = made
