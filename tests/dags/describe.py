"""Prints what the DAG files define, as JSON; runs in Airflow's own environment."""

import json
import sys
from pathlib import Path
from typing import Any

from airflow.dag_processing.dagbag import BundleDagBag


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
                "tasks": {
                    task.task_id: {
                        "retries": task.retries,
                        "mapped": task.is_mapped,
                        "downstream": sorted(task.downstream_task_ids),
                        "doc": task.doc_md or (getattr(task, "python_callable", None) and task.python_callable.__doc__),
                    }
                    for task in dag.tasks
                },
            }
            for dag in bag.dags.values()
        },
    }


if __name__ == "__main__":
    modules = set(sys.modules)
    found = describe(Path(sys.argv[1]))
    found["imported"] = sorted({name.split(".")[0] for name in set(sys.modules) - modules})
    Path(sys.argv[2]).write_text(json.dumps(found))
