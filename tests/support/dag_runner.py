"""Runs DAGs one after the other in one process of Airflow's environment, as ``airflow dags test`` runs one.

Started by :class:`tests.support.dag_runs.DagRuns`: takes a line of JSON for each run, with the id of its DAG and its
logical date, answers with a line of JSON, and logs to standard error. With a number of seconds as its second argument,
tasks that failed are tried again after so long, not after what our DAGs say.
"""

import json
import os
import sys
import time
from datetime import datetime, timedelta
from importlib import import_module
from pathlib import Path

from airflow.dag_processing.dagbag import BundleDagBag


def main(folder: Path, retry_seconds: str = "") -> None:
    look_more_often()
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    if retry_seconds:
        try_again_after(folder, timedelta(seconds=float(retry_seconds)))
    bag = BundleDagBag(str(folder), bundle_path=folder, bundle_name="dags-folder")
    for line in sys.stdin:
        dag_id, date = json.loads(line)
        at = datetime.fromisoformat(date) if date else None
        run = bag.dags[dag_id].test(**({"logical_date": at, "run_after": at} if at else {}))
        done = run.get_task_instances()
        states = {each.task_id: str(each.state) for each in done}
        tries = {name_of(each.task_id, each.map_index): each.try_number for each in done}
        answers.write(json.dumps({"run": run.run_id, "state": str(run.state), "tasks": states, "tries": tries}) + "\n")


def name_of(task_id: str, map_index: int) -> str:
    return task_id if map_index < 0 else f"{task_id} [{map_index}]"


def look_more_often() -> None:
    """``test`` sleeps for a second wherever nothing can be run, though the next look may show what can."""
    sleep = time.sleep
    time.sleep = lambda seconds: sleep(0.2 if seconds == 1 else seconds)


def try_again_after(folder: Path, delay: timedelta) -> None:
    sys.path.insert(0, str(folder))
    wiring = import_module("perennial_wiring")
    soon = {"retry_delay": delay, "retry_exponential_backoff": False}
    wiring.POLICY["default_args"].update(soon)
    wiring.PATIENT.update(soon)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
