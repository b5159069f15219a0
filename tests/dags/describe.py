"""Writes what the DAG files define, as JSON; runs in Airflow's own environment.

Started by :mod:`tests.support.dag_files`: each line of JSON names what to do, the variables to do it under, and an
argument, and is done in a process of its own, forked off this one, which has imported Airflow.
"""

import json
import os
import sys
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from airflow.dag_processing.dagbag import BundleDagBag
from airflow.sdk import DAG

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


def dags(folder: str) -> None:
    """What the files in a folder define, as ``out.json`` in this one."""
    modules = set(sys.modules)
    found = describe(Path(folder))
    found["imported"] = sorted({name.split(".")[0] for name in set(sys.modules) - modules})
    Path("out.json").write_text(json.dumps(found))


def schedules(texts: list[str]) -> None:
    """Raises where Airflow does not take one of them."""
    for text in texts:
        DAG("x", schedule=text, start_date=datetime(2026, 1, 1, tzinfo=UTC)).validate()


def main() -> None:
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    for line in sys.stdin:
        asked = json.loads(line)
        pid = os.fork()
        if pid == 0:
            os._exit(_done(asked))
        answers.write(f"{os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}\n")


def _done(asked: dict[str, Any]) -> int:
    os.chdir(asked["cwd"])
    said = os.open("said", os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
    os.dup2(said, 1)
    os.dup2(said, 2)
    os.environ.clear()
    os.environ.update(asked["env"])
    work: dict[str, Callable[[Any], None]] = {"dags": dags, "schedules": schedules}
    try:
        work[asked["what"]](asked["argument"])
        code = 0
    except Exception:  # noqa: BLE001 - as the interpreter does
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return code


if __name__ == "__main__":
    main()
