"""Files of a table in another bucket, scored by the function of a real stack through the DAG in real Airflow."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from perennial import keys
from perennial.deploy.up import LocalStack
from perennial.jobs.scoring_results import FileEnd, ScoringSummary, ScoringTotals
from perennial.serving.batch_job import BatchCounts
from perennial.spec import load_spec
from perennial.store import Store
from tests.support.airflow import Airflow, airflow
from tests.support.models import MEASURES, Built, answer, build, promote
from tests.support.stack import LAKE

__all__ = ["airflow"]

pytestmark = pytest.mark.timeout(600)  # Airflow starts here, and each of its tasks is a process

MODEL, TABLE = "nightly-flowers", "tables/flowers/"
SPEC = f"""
name: {MODEL}
task: multiclass
target: {{column: target, classes: [setosa, versicolor, virginica]}}
features: {{{", ".join(f"{name}: {{type: number, min: 0, max: 10}}" for name in MEASURES)}}}
candidates: {{linear: {{estimator: sklearn.linear_model.LogisticRegression}}}}
retrain: {{schedule: null}}
monitor: {{schedule: null}}
batch: {{schedule: "@yearly", source: "s3://{LAKE}/{TABLE}", output: csv}}
"""
SCORE = f"score_{MODEL}"
ROWS = np.random.default_rng(4).uniform(0.1, 9.9, (400, len(MEASURES))).round(2)
Run = Callable[..., Any]


@pytest.fixture
def lake(store: Store) -> Any:
    """A client of S3, with a bucket beside the stack's own that keeps versions, as a table's is."""
    client = boto3.client("s3")
    client.create_bucket(Bucket=LAKE)
    client.put_bucket_versioning(Bucket=LAKE, VersioningConfiguration={"Status": "Enabled"})
    return client


def as_csv(rows: Any, *, names: tuple[str, ...] = MEASURES) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows([names, *rows.tolist()])
    return text.getvalue().encode()


def as_parquet(rows: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table(dict(zip(MEASURES, rows.T, strict=True))), sink)
    return sink.getvalue()


def land(lake: Any, name: str, data: bytes) -> None:
    lake.put_object(Bucket=LAKE, Key=f"{TABLE}{name}", Body=data)


def scores(store: Store, end: FileEnd) -> Any:
    """The probabilities of a file's rows, as they lie in the bucket."""
    rows = csv.DictReader(io.StringIO(store.get(end.outputs[0]).data.decode()))
    return np.array(
        [[float(row[f"probability_{name}"]) for name in ("setosa", "versicolor", "virginica")] for row in rows]
    )


def test_new_files_of_a_table_are_scored_once_and_summed_up(
    perennial: Run, airflow: Airflow, stack: LocalStack, store: Store, lake: Any, tmp_path: Path
) -> None:
    path = tmp_path / "model.yaml"
    path.write_text(SPEC)
    built: Built = build(load_spec(path))
    promote(store, built)
    dear = ROWS[:100].copy()
    dear[7] = 11.0  # more than the spec allows
    land(lake, "dt=2026-11-20/", b"")
    land(lake, "dt=2026-11-20/part-0.parquet", as_parquet(ROWS[100:]))
    land(lake, "dt=2026-11-21/part-0.csv", as_csv(dear))
    land(lake, "dt=2026-11-21/part-1.csv", as_csv(ROWS[:5], names=("a", "b", "c", "d")))
    land(lake, "dt=2026-11-21/_SUCCESS", b"")
    airflow.serve(path)

    (scheduled,) = airflow.wait(lambda: airflow.runs(SCORE), "the run of this year", 60)
    run = scheduled["dag_run_id"]
    assert airflow.await_run(SCORE, run, 150) == "success"
    states = airflow.task_states(SCORE, run)
    assert {name for name, state in states.items() if state == "skipped"} == {
        "nothing_new", "hand_over", "spark", "report_failure",
    }  # fmt: skip
    totals = ScoringTotals.model_validate(airflow.xcom(SCORE, run, "summary"))
    assert (totals.files, totals.failed) == (3, 1)
    assert totals.counts == BatchCounts(rows=400, scored=399, quarantined=1)
    (reason,) = totals.reasons
    assert reason.startswith("dt=2026-11-21/part-1.csv, column 'sepal_length': ")
    assert reason in airflow.log(SCORE, run, "summary")
    summary = ScoringSummary.model_validate_json(store.get(totals.key).data)
    ends = {end.name: end for end in summary.files}
    assert np.allclose(scores(store, ends["dt=2026-11-20/part-0.parquet"]), answer(built, ROWS[100:]), atol=1e-12)
    assert np.allclose(
        scores(store, ends["dt=2026-11-21/part-0.csv"]), answer(built, np.delete(dear, 7, 0)), atol=1e-12
    )

    again = airflow.trigger(SCORE)
    assert airflow.await_run(SCORE, again, 150) == "success"
    assert airflow.task_states(SCORE, again)["check"] == "skipped"
    plan = airflow.xcom(SCORE, again, "find")
    assert (plan["engine"], plan["files"], plan["done"], plan["failed"]) == (None, 0, 2, 1)

    land(lake, "dt=2026-11-21/part-1.csv", as_csv(ROWS[:5]))
    mended = ScoringSummary.model_validate(perennial("score-new", path))
    assert [(end.name, end.state) for end in mended.files] == [("dt=2026-11-21/part-1.csv", "done")]
    assert np.allclose(scores(store, mended.files[0]), answer(built, ROWS[:5]), atol=1e-12)
    works = [entry.key for entry in store.list(keys.batch_works(MODEL)) if entry.key.endswith("/result.json")]
    assert len(works) == 4  # the three files, and the one that was replaced
