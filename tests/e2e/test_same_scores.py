"""One record, one version, one answer: the API, the command, the scoring function and Spark agree bit for bit."""

from __future__ import annotations

import csv
import io
import json
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from perennial import keys
from perennial.deploy.up import LocalStack
from perennial.jobs.scoring_results import ScoringSummary
from perennial.scoring.batch.records import find_result
from perennial.serving.batch_job import BatchInput, BatchResult
from perennial.spec_policy import Batch
from perennial.store import Store
from tests.support.models import CLASSES, MIXED, build, make_spec, promote

MODEL = "same-scores"
ROWS = 10_000
AT_ONCE = 1_000
FINISHED_SECONDS = 60.0

Answer = tuple[str, str, tuple[float, ...]]  # model version, class, probabilities


def records() -> list[dict[str, Any]]:
    """Numbers with all their digits, values unseen and missing, dates with and without a time."""
    rng = np.random.default_rng(4)
    cities, since = ["Pune", "Goa", "Zürich", 'say "hm", or\nnot'], ["2026-11-21", "1969-12-31T23:59:59.5", None]
    return [
        {
            "Age": int(rng.integers(10, 101)),
            "CGPA": None if rng.random() < 0.1 else float(rng.normal(0, 10.0 ** rng.integers(-3, 3))),
            "Sleep Duration": str(rng.choice(MIXED["Sleep Duration"]["values"])),
            "City": cities[rng.integers(len(cities))],
            "Since": since[rng.integers(len(since))],
        }
        for _ in range(ROWS)
    ]


def csv_of(rows: list[dict[str, Any]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(MIXED))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def parquet_of(rows: list[dict[str, Any]]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), sink, row_group_size=3_000)
    return sink.getvalue()


def answers(table: pa.Table) -> Iterator[Answer]:
    """The rows of an output file, which are all there and in order."""
    assert table.column("row").to_pylist() == list(range(1, ROWS + 1))
    probabilities = zip(
        *(table.column(f"probability_{name}").to_pylist() for name in CLASSES["multiclass"]), strict=True
    )
    return zip(
        table.column("model_version").to_pylist(), table.column("prediction").to_pylist(), probabilities, strict=True
    )


def read_csv(data: bytes) -> pa.Table:
    """By Python's own reader, whose numbers are exact."""
    rows = list(csv.DictReader(io.StringIO(data.decode(), newline="")))
    kinds: dict[str, Callable[[str], Any]] = {"row": int, "prediction": str, "model_version": str}
    return pa.table({name: [kinds.get(name, float)(row[name]) for row in rows] for name in rows[0]})


def by_api(stack: LocalStack, rows: list[dict[str, Any]]) -> Iterator[Answer]:
    for first in range(0, ROWS, AT_ONCE):
        body = json.dumps({"instances": rows[first : first + AT_ONCE]}).encode()
        request = urllib.request.Request(
            f"{stack.api_url}/models/{MODEL}/predict", body, {"content-type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as response:
            answer = json.load(response)
        for each in answer["predictions"]:
            yield answer["model"]["version"], each["prediction"], tuple(each["probabilities"].values())


def by_function(store: Store, bucket: str, name: str, data: bytes) -> BatchResult:
    """Put a file where it is scored by itself, and wait."""
    key = keys.batch_in(MODEL, name)
    store.put_new(key, data)
    work = placed(store, bucket, key).work
    deadline = time.monotonic() + FINISHED_SECONDS
    while time.monotonic() < deadline:
        if result := find_result(store, MODEL, work):
            return result
        time.sleep(0.2)
    raise AssertionError(f"{name} was not scored within {FINISHED_SECONDS:.0f} s")


def by_spark(perennial: Callable[..., Any], spec: Path, store: Store) -> dict[str, BatchResult]:
    """Score what waits as the command does on a schedule without Airflow, which starts a job of Spark here."""
    summary = ScoringSummary.model_validate(perennial("score-new", spec, code=4))
    assert summary.engine == "spark"
    states = {end.name: end.state for end in summary.files}
    assert states == {"rows.csv": "done", "rows.parquet": "done", "bad.csv": "failed"}
    found = {end.name: find_result(store, MODEL, end.work) for end in summary.files}
    return {name: result for name, result in found.items() if result is not None}


def placed(store: Store, bucket: str, key: str) -> BatchInput:
    head = store.head(key)
    return BatchInput(bucket=bucket, key=key, version=head.version, etag=head.etag, size=head.size)


def stored(store: Store, result: BatchResult) -> bytes:
    assert result.scored is not None and result.counts.model_dump() == {"rows": ROWS, "scored": ROWS, "quarantined": 0}
    return store.get(result.scored.key).data


def test_the_same_rows_have_the_same_scores_by_every_way(
    stack: LocalStack,
    store: Store,
    perennial: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spec = make_spec(MODEL, "multiclass", MIXED).model_copy(update={"batch": Batch(engine="spark")})
    path = tmp_path / "model.yaml"
    path.write_text(spec.model_dump_json())
    version = promote(store, build(spec, scale=0.05)).version
    rows = records()
    files = {"rows.csv": csv_of(rows), "rows.parquet": parquet_of(rows)}
    expected = list(by_api(stack, rows))
    assert {one[0] for one in expected} == {version} and len({one[2] for one in expected}) > ROWS // 2

    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    perennial("score", MODEL, "rows.csv", "from_csv.parquet")
    perennial("score", MODEL, "rows.parquet", "from_parquet.csv")
    assert list(answers(pq.read_table(tmp_path / "from_csv.parquet"))) == expected
    assert list(answers(read_csv((tmp_path / "from_parquet.csv").read_bytes()))) == expected

    results = {name: by_function(store, stack.bucket, name, data) for name, data in files.items()}
    assert list(answers(read_csv(stored(store, results["rows.csv"])))) == expected
    assert list(answers(pq.read_table(pa.BufferReader(stored(store, results["rows.parquet"]))))) == expected

    for name, data in (files | {"bad.csv": b""}).items():
        store.put_new(keys.batch_waiting(MODEL) + name, data)
    monkeypatch.setenv("PERENNIAL_PART_BYTES", "200000")
    results = by_spark(perennial, path, store)
    assert len(list(store.list(keys.batch_parts(MODEL, results["rows.csv"].input.work)))) > 1
    assert list(answers(read_csv(stored(store, results["rows.csv"])))) == expected
    assert list(answers(pq.read_table(pa.BufferReader(stored(store, results["rows.parquet"]))))) == expected
