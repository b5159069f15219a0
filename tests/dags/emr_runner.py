"""Runs the task that starts Spark on EMR Serverless, as a worker and then a triggerer would; in Airflow's environment.

Takes the folder of the DAG files, the arguments of the job as JSON, and where to write what came of it.
"""

import asyncio
import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from airflow.sdk.exceptions import TaskDeferred


class TaskInstance:
    """As much of one as the task uses: what it says of its failure."""

    def __init__(self) -> None:
        self.said: dict[str, str] = {}

    def xcom_push(self, key: str, value: str) -> None:
        self.said[key] = value


def run(arguments: list[str]) -> dict[str, Any]:
    task, ti = import_module("scoring").spark_there("second", {"arguments": arguments}), TaskInstance()
    try:
        task.execute({"ti": ti})
    except TaskDeferred as deferred:
        place, values = deferred.trigger.serialize()
        module, _, name = place.rpartition(".")
        trigger = getattr(import_module(module), name)(**values)  # from its serialized form, as a triggerer makes it
        event = asyncio.run(anext(trigger.run()))
        came = {"trigger": name, "timeout": deferred.timeout.total_seconds(), "said": ti.said}
        try:
            return {**came, "job": getattr(task, deferred.method_name)({"ti": ti}, event.payload)}
        except RuntimeError as error:
            return {**came, "failed": str(error)}
    raise AssertionError("The task was not deferred.")


if __name__ == "__main__":
    sys.path.insert(0, sys.argv[1])
    Path(sys.argv[3]).write_text(json.dumps(run(json.loads(sys.argv[2]))))
