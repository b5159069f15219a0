"""Runs a step's task on AWS Batch as a worker and then a triggerer would; in Airflow's environment.

Takes what to do, as words: ``run`` the task to its end, ``submit`` its job and leave it there, ``kill`` the task that
waits. Answers with a line of JSON each: what came of it.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from importlib import import_module
from typing import Any
from uuid import uuid4

from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred
from airflow.sdk.execution_time.context import set_current_context

from perennial.jobs import JobFailed


class TaskInstance:
    """As much of one as the task uses."""

    def __init__(self, task: Any) -> None:
        self.task, self.task_id, self.dag_id, self.map_index = task, task.task_id, "train_shop", -1
        self.id, self.try_number, self.max_tries = uuid4(), 1, task.retries
        self.said: dict[str, str] = {}

    def xcom_push(self, key: str, value: Any) -> None:
        self.said[key] = value


def task_of(place: str) -> Any:
    """The task ``select`` of the spec at a place."""
    wiring, training = import_module("perennial_wiring"), import_module("training")
    (file,) = wiring.specs()
    with DAG("train_shop", schedule=None, default_args={"retries": 2}):
        return wiring.runs(file.spec)(training.select)(place).operator


def trigger_of(deferred: TaskDeferred) -> Any:
    """From its serialized form, as a triggerer makes it."""
    module, _, name = deferred.trigger.serialize()[0].rpartition(".")
    return getattr(import_module(module), name)(**deferred.trigger.serialize()[1])


def act(word: str) -> dict[str, Any]:
    task = task_of(os.environ["PERENNIAL_SPECS"])
    ti = TaskInstance(task)
    context: Any = {"ti": ti, "task": task, "run_id": "manual__1", "params": {}}
    with set_current_context(context):
        try:
            return followed(word, task, context)
        except (AirflowFailException, JobFailed) as error:
            final = isinstance(error, AirflowFailException)
            return {"job": task.job_id, "failed": str(error), "final": final, "kept": ti.said.get("error")}


def followed(word: str, task: Any, context: Any) -> dict[str, Any]:
    try:
        task.execute(context)
    except TaskDeferred as deferred:
        trigger = trigger_of(deferred)
        if word == "submit":
            return {"job": task.job_id, "trigger": type(trigger).__name__, "seconds": trigger.attempts}
        if word == "kill":
            asyncio.run(trigger.on_kill())
        event = asyncio.run(anext(trigger.run()))
        method = getattr(task, deferred.method_name)
        return {"job": task.job_id, "result": method(context, event=event.payload, **deferred.kwargs or {})}
    raise AssertionError("The task was not deferred.")


if __name__ == "__main__":
    sys.path.insert(0, sys.argv[1])
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    for line in sys.stdin:
        answers.write(json.dumps(act(line.strip())) + "\n")
