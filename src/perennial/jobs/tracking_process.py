"""``python -m perennial.jobs.tracking_process FOLDER SECONDS``: writes the record in a folder to its MLflow server.

The one module that knows MLflow, in a process that MLflow may have to itself: its settings, its threads, its memory.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from perennial.jobs.tracking_data import RECORD, Logged, Record, TrackedRun

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

ALIAS = "champion"
VERSION_TAG = "perennial.version"
MAX_PARAM, MAX_TAG = 6000, 5000  # characters that MLflow stores
PARAMS_AT_ONCE = 100


def main() -> int:
    folder, seconds = Path(sys.argv[1]), int(sys.argv[2])
    signal.alarm(seconds)  # whoever waits for us may have been killed
    record = Record.model_validate_json((folder / RECORD).read_text())
    try:
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException
    except ImportError:
        return _fail("mlflow-skinny is not installed; install perennial[mlflow].")
    try:
        logged = write(MlflowClient(record.uri, record.uri), record, folder)
    except (MlflowException, OSError) as error:  # what requests raises is an OSError
        return _fail(" ".join(str(error).split()))
    sys.stdout.write(logged.model_dump_json() + "\n")
    return 0


def write(client: MlflowClient, record: Record, folder: Path) -> Logged:
    """Log every run once, register the version once, and let the alias name the champion.

    Raises:
        MlflowException: the server does not answer, or refuses.
    """
    found = {run.key: _write_run(client, record, run, folder) for run in record.runs}
    version = champion = None
    if record.version is not None and record.version_key in found:
        version = _register(client, record, found[record.version_key])
    if record.champion is not None:
        champion = _version_of(client, record.model, record.champion)
        if champion is not None:
            client.set_registered_model_alias(record.model, ALIAS, champion)
    return Logged(runs=len(found), version=version, champion=champion)


def _write_run(client: MlflowClient, record: Record, run: TrackedRun, folder: Path) -> Run:
    """Find the run by its key, or begin it; complete it unless it was ended."""
    from mlflow.entities import Metric, Param, RunTag

    experiment = _experiment(client, record.model)
    known = client.search_runs([experiment], f"tags.`perennial.key` = '{run.key}'", max_results=1)
    begun = known[0] if known else client.create_run(experiment, record.at_ms, _tags(run), run.name)
    identifier, started = begun.info.run_id, begun.info.start_time
    client.log_batch(identifier, tags=[RunTag(name, value) for name, value in _tags(run).items()])
    if begun.info.status != "RUNNING":
        return begun
    params = [Param(name, value[:MAX_PARAM]) for name, value in run.params.items()]
    for start in range(0, len(params), PARAMS_AT_ONCE):
        client.log_batch(identifier, params=params[start : start + PARAMS_AT_ONCE])
    # The time of the run's start, not of now: MLflow keeps one of several equal values.
    client.log_batch(identifier, metrics=[Metric(each.name, each.value, started, each.step) for each in run.metrics])
    if run.files is not None:
        client.log_artifacts(identifier, str(folder / run.files))
    client.set_terminated(identifier, "FAILED" if run.refused else "FINISHED", record.at_ms)
    return begun


def _experiment(client: MlflowClient, name: str) -> str:
    from mlflow.exceptions import MlflowException

    known = client.get_experiment_by_name(name)
    if known is not None:
        return str(known.experiment_id)
    try:
        return str(client.create_experiment(name))
    except MlflowException as error:
        known = client.get_experiment_by_name(name) if _exists(error) else None
        if known is None:
            raise
        return str(known.experiment_id)


def _register(client: MlflowClient, record: Record, run: Run) -> str:
    """The number of the version that the run made; registered where it is not."""
    from mlflow.exceptions import MlflowException

    assert record.version is not None
    try:
        client.create_registered_model(record.model)
    except MlflowException as error:
        if not _exists(error):
            raise
    known = _version_of(client, record.model, record.version)
    if known is not None:
        return known
    tags = {name: value for name, value in run.data.tags.items() if name.startswith("perennial.")}
    made = client.create_model_version(
        record.model, str(run.info.artifact_uri), run.info.run_id, tags | {VERSION_TAG: record.version}
    )
    return str(made.version)


def _version_of(client: MlflowClient, model: str, version: str) -> str | None:
    """MLflow's number of one of our versions; None where it was never registered there."""
    found = client.search_model_versions(f"name = '{model}' and tags.`{VERSION_TAG}` = '{version}'", max_results=1)
    return str(found[0].version) if found else None


def _tags(run: TrackedRun) -> dict[str, str]:
    return {name: value[:MAX_TAG] for name, value in (run.tags | {"mlflow.note.content": run.note}).items()}


def _exists(error: Exception) -> bool:
    return getattr(error, "error_code", "") == "RESOURCE_ALREADY_EXISTS"


def _fail(problem: str) -> int:
    sys.stderr.write(problem + "\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
