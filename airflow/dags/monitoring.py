"""One monitoring DAG for each model spec: quality, drift and performance of a window, and whether to train again.

Wiring only: each task runs one step of ``perennial.jobs``. Every task may be cleared and repeated: a pass is about the
time of its run, never about the time of its execution.
"""

from __future__ import annotations

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import DAG, dag, get_current_context, task
from perennial_wiring import POLICY, Result, report_failures, specs, steps_of

from perennial.jobs import SpecFile
from perennial.spec import ModelSpec

DOC = """### Monitoring of `{name}`

Looks at the predictions of the last {window} and at what turned out true: can they be relied on, have the features
moved, does the champion still hold? Reports are kept for the newest {keep} passes, short summaries for ever.
Spec: `{path}`.

- **Too little to judge** is "unknown" in the summary, never "fine", and no error.
- **Training** is started where the summary says so, with its reasons; only its gate promotes anything.
- **Retry**: a pass looks at the window before the time of its run, so a repeated one sees the same window and starts
  the same training, once.
"""


def monitoring_dag(file: SpecFile, spec: ModelSpec) -> DAG:
    """The DAG ``monitor_<model>`` of one spec."""
    step = steps_of(file)

    @dag(
        dag_id=f"monitor_{spec.name}",
        schedule=spec.monitor.schedule,
        tags=["perennial", "monitoring", spec.name],
        doc_md=DOC.format(
            name=spec.name, window=spec.monitor.window, keep=spec.monitor.keep_reports, path=file.path.name
        ),
        **POLICY,
    )
    def monitoring() -> None:
        def look(name: str) -> Result:
            run = get_current_context()["dag_run"]
            return step(f"monitor-{name}", at=(run.data_interval_end or run.run_after).isoformat())

        @task
        def check() -> Result:
            """Reads the window: what was predicted, and what turned out true."""
            return look("check")

        @task
        def quality() -> Result:
            """Whether the window can be relied on: losses, missing and impossible values."""
            return look("quality")

        @task
        def drift() -> Result:
            """Which features have moved away from the champion's training data."""
            return look("drift")

        @task
        def performance() -> Result:
            """How the champion does on what turned out true."""
            return look("performance")

        @task
        def retain() -> Result:
            """Keeps the files of the newest passes."""
            return look("retain")

        @task
        def summary() -> Result:
            """Says what was found, and whether to train again."""
            return look("summary")

        @task.branch
        def decide(found: Result) -> str:
            return "retrain" if found["retrain"] else "no_training"

        @task
        def no_training() -> None:
            """Ends the pass: there is no reason to train, or something stands against it."""

        retrain = TriggerDagRunOperator(
            task_id="retrain",
            trigger_dag_id=f"train_{spec.name}",
            trigger_run_id="monitor__{{ run_id }}",
            conf={
                "cause": "monitor",
                "because": "{{ ti.xcom_pull(task_ids='summary')['reasons'] | join('; ') }}",
            },
            logical_date=None,
            skip_when_already_exists=True,
            openlineage_inject_parent_info=False,
            doc_md="Starts the training, once, and does not wait for it.",
        )
        found = summary()
        check() >> [quality(), drift(), performance()] >> retain() >> found
        decide(found) >> [retrain, no_training()]

    made = monitoring()
    report_failures(made, step)
    return made


for each in specs():
    if each.spec:  # a spec that cannot be read is shown once, beside the training DAGs
        made = monitoring_dag(each, each.spec)
        globals()[made.dag_id] = made
