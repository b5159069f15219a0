"""Prints what the DAG files define, as JSON; runs in Airflow's own environment."""

import json
import sys
from pathlib import Path
from typing import Any

from airflow.dag_processing.dagbag import BundleDagBag

TOLD = (
    "application_id", "conf", "defaults", "deferrable", "execution_role_arn", "exponential_backoff", "job_driver",
    "logical_date", "max_wait", "mode", "poke_interval", "response_timeout", "skip_when_already_exists", "timeout",
    "trigger_dag_id", "trigger_run_id", "wait_for_completion",
)  # fmt: skip


def describe(folder: Path) -> dict[str, Any]:
    bag = BundleDagBag(str(folder), bundle_path=folder, bundle_name="dags-folder")
    return {
        "import_errors": {Path(file).name: error for file, error in bag.import_errors.items()},
        "dags": {
            dag.dag_id: {
                "doc": dag.doc_md,
                "tags": sorted(dag.tags),
                "owner": dag.owner,
                "schedule": str(dag.schedule),
                "catchup": dag.catchup,
                "max_active_runs": dag.max_active_runs,
                "file": Path(dag.fileloc).name,
                "tasks": {task.task_id: describe_task(task) for task in dag.tasks},
            }
            for dag in bag.dags.values()
        },
    }


def describe_task(task: Any) -> dict[str, Any]:
    return {
        "retries": task.retries,
        "mapped": task.is_mapped,
        "downstream": sorted(task.downstream_task_ids),
        "rule": task.trigger_rule.value,
        "operator": task.task_type,
        "kinds": [kind.__name__ for kind in type(task).__mro__],
        "doc": task.doc_md or (getattr(task, "python_callable", None) and task.python_callable.__doc__),
        "settings": {name: str(getattr(task, name)) for name in TOLD if hasattr(task, name)},
    }


if __name__ == "__main__":
    modules = set(sys.modules)
    found = describe(Path(sys.argv[1]))
    found["imported"] = sorted({name.split(".")[0] for name in set(sys.modules) - modules})
    Path(sys.argv[2]).write_text(json.dumps(found))
