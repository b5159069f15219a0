"""Runs DAGs one after the other in one process of Airflow's environment, as ``airflow dags test`` runs one.

Started by :class:`tests.support.dag_runs.DagRuns`: takes the id of a DAG a line, answers with a line of JSON, and logs
to standard error.
"""

import json
import os
import sys
from pathlib import Path

from airflow.dag_processing.dagbag import BundleDagBag


def main(folder: Path) -> None:
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    bag = BundleDagBag(str(folder), bundle_path=folder, bundle_name="dags-folder")
    for line in sys.stdin:
        run = bag.dags[line.strip()].test()
        states = {each.task_id: str(each.state) for each in run.get_task_instances()}
        answers.write(json.dumps({"run": run.run_id, "state": str(run.state), "tasks": states}) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
