"""Without a tracking server nothing is logged, nothing is imported and nothing is waited for."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from perennial.jobs.tracking import record_run
from perennial.jobs.workspace import Workspace
from perennial.settings import Settings
from perennial.spec_source import parse_spec
from perennial.store import memory_store
from tests.support.shop import SPEC
from tests.support.stores import Bucket


@pytest.fixture
def w() -> Workspace:
    return Workspace(
        spec=parse_spec(SPEC),
        store=memory_store(),
        run="one",
        code="0123abc",
        api_url=None,
        progress=lambda line: None,
        now=lambda: datetime(2026, 11, 21, tzinfo=UTC),
    )


@pytest.mark.parametrize("settings", [None, Settings(bucket="data")])
def test_without_a_server_nothing_is_logged(w: Workspace, settings: Settings | None) -> None:
    logged = record_run(replace(w, settings=settings))
    assert logged.problem is None and "MLFLOW_TRACKING_URI" in logged.note
    assert "mlflow" not in sys.modules


@pytest.mark.parametrize("uri", ["sqlite:///mlflow.db", "/var/mlruns", "databricks", "file:///tmp/mlruns"])
def test_only_a_server_is_written_to(w: Workspace, uri: str) -> None:
    """MLflow would make a folder or a database of it, right where the run happens to work."""
    said: list[str] = []
    logged = record_run(replace(w, settings=Settings(bucket="data", mlflow_uri=uri), progress=said.append))
    assert logged.problem == "MLFLOW_TRACKING_URI is not the http address of a server."
    assert said == [f"not logged to MLflow: {logged.problem}"]


def test_a_bucket_that_does_not_answer_fails_no_run(w: Workspace) -> None:
    bucket = Bucket()
    bucket.down = True
    settings = Settings(bucket="data", mlflow_uri="http://127.0.0.1:9")
    logged = record_run(replace(w, store=bucket.store, settings=settings))
    assert logged.problem is not None and "connection refused" in logged.problem
