"""One monitoring DAG for each model spec: quality, drift and performance of a window, and whether to train again.

Wiring only: each task runs one step of ``perennial.jobs``. Every task may be cleared and repeated: a pass is about the
time of its run, never about the time of its execution.
"""

from __future__ import annotations

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import DAG, get_current_context, task
from perennial_wiring import POLICY, Result, place_of, report_failures, runs, specs, step, steps_of

from perennial.jobs import SpecFile
from perennial.spec import ModelSpec

DOC = """### Monitoring of `{name}`

Looks at the predictions of the last {window} and at what turned out true: can they be relied on, have the features
moved, does the champion still hold? Reports are kept for the newest {keep} passes, short summaries for ever.
Spec: `{path}`.

- **Too little to judge** is "unknown" in the summary, never "fine", and no error.
- **A trial** of a challenger is stopped, and people are told, where it fails or disagrees more than the spec allows.
- **Training** is started where the summary says so, with its reasons; only its gate promotes anything.
- **Retry**: a pass looks at the window before the time of its run, so a repeated one sees the same window and starts
  the same training, once.
"""


def look(place: str, name: str) -> Result:
    """One step of the pass that is about the time of this run."""
    run = get_current_context()["dag_run"]
    return step(place, f"monitor-{name}", at=(run.data_interval_end or run.run_after).isoformat())


@task
def check(place: str) -> Result:
    """Reads the window: what was predicted, and what turned out true."""
    return look(place, "check")


@task
def quality(place: str) -> Result:
    """Whether the window can be relied on: losses, missing and impossible values."""
    return look(place, "quality")


@task
def drift(place: str) -> Result:
    """Which features have moved away from the champion's training data."""
    return look(place, "drift")


@task
def performance(place: str) -> Result:
    """How the champion does on what turned out true."""
    return look(place, "performance")


@task
def trial(place: str) -> Result:
    """How the challenger on trial does, where one is."""
    return look(place, "trial")


@task.branch
def judge_trial(found: Result) -> str:
    return "stop_trial" if found["report"] and found["report"]["status"] == "stop" else "trial_goes_on"


@task
def stop_trial(place: str) -> Result:
    """Ends the trial that broke a bound of the spec, and tells people; the champion serves on."""
    return step(place, "trial-check")


@task
def trial_goes_on() -> None:
    """There is no trial, or it keeps its bounds."""


@task
def retain(place: str) -> Result:
    """Keeps the files of the newest passes."""
    return look(place, "retain")


@task
def summary(place: str) -> Result:
    """Says what was found, and whether to train again."""
    return look(place, "summary")


@task.branch
def decide(found: Result) -> str:
    return "retrain" if found["retrain"] else "no_training"


@task
def no_training() -> None:
    """Ends the pass: there is no reason to train, or something stands against it."""


def retraining(name: str) -> TriggerDagRunOperator:
    """The task that starts the model's training for the reasons of the summary."""
    return TriggerDagRunOperator(
        task_id="retrain",
        trigger_dag_id=f"train_{name}",
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


def wire(place: str, spec: ModelSpec) -> None:
    """The tasks of a pass, in their order."""
    on = runs(spec)
    found = on(summary)(place)
    tried = on(trial)(place)
    looks = [on(quality)(place), on(drift)(place), on(performance)(place), tried]
    on(check)(place) >> looks >> on(retain)(place) >> found
    judge_trial(tried) >> [on(stop_trial)(place), trial_goes_on()]
    decide(found) >> [retraining(spec.name), no_training()]


def monitoring_dag(file: SpecFile, spec: ModelSpec) -> DAG:
    """The DAG ``monitor_<model>`` of one spec."""
    with DAG(
        dag_id=f"monitor_{spec.name}",
        schedule=spec.monitor.schedule,
        tags=["perennial", "monitoring", spec.name],
        doc_md=DOC.format(
            name=spec.name, window=spec.monitor.window, keep=spec.monitor.keep_reports, path=file.path.name
        ),
        **POLICY,
    ) as made:
        wire(place_of(file), spec)
    report_failures(made, steps_of(file))
    return made


for each in specs():
    if each.spec:  # a spec that cannot be read is shown once, beside the training DAGs
        made = monitoring_dag(each, each.spec)
        globals()[made.dag_id] = made
