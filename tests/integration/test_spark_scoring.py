"""A real job of Spark over files in the embedded AWS: the answers of ``Scorer`` in this process, bit for bit.

One driver does it all: a job one of whose workers is killed, the same job again, and the rows of a frame.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from perennial import keys
from perennial.scoring.dialect import sniff
from perennial.scoring.results import Refused
from perennial.scoring.scorer import Scorer
from perennial.scoring.source import LocalSource
from perennial.scoring.stream import score_units
from perennial.scoring.units import units
from perennial.serving.batch_job import BatchInput, BatchOptions, BatchResult, SparkRequest
from perennial.serving.load import load
from perennial.serving.predictor import Predictor
from perennial.settings import Settings
from perennial.store import Store
from perennial.store_opening import open_store
from tests.support.endpoint import client
from tests.support.models import MIXED, MIXED_RECORD, build, make_spec, promote
from tests.support.spark import FRAME, run_driver, spark_environment
from tests.support.stack import shared_stack

MODEL = "spark-mixed"
PART_BYTES = 1_000_000
ROWS = 60_000
ELSEWHERE = "a-bucket-that-nobody-has"


def table(rows: int, seed: int) -> pa.Table:
    """Rows that the model takes, and every thousandth that it does not."""
    rng = np.random.default_rng(seed)
    age = rng.integers(10, 101, rows).astype(float)
    age[::1000] = 9
    note = [f'say "{i}", or\nnot; é' if i % 7 == 0 else f"note {i}" for i in range(rows)]
    return pa.table(
        {
            "Age": age,
            "CGPA": pa.array(rng.normal(7, 1, rows), mask=rng.random(rows) < 0.1),
            "Sleep Duration": rng.choice(["Less than 5 hours", "5-6 hours", "7-8 hours"], rows),
            "City": rng.choice(["Pune", "Goa", "Oslo"], rows),
            "Since": rng.choice(["2026-11-21", "1999-01-01"], rows),
            "note": pa.array([text * 3 for text in note]),
        }
    )


def csv_of(rows: pa.Table) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(rows.column_names)
    writer.writerows(zip(*(column.to_pylist() for column in rows.columns), strict=True))
    return text.getvalue().encode()


def parquet_of(rows: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(rows, sink, row_group_size=9_000, compression="none", use_dictionary=False)
    return sink.getvalue()


def files() -> dict[str, bytes]:
    small = csv_of(table(300, 3))
    return {
        "day/quotes.csv": csv_of(table(ROWS, 1)),
        "groups.parquet": parquet_of(table(ROWS, 2)),
        "small.csv": small,
        "cut.csv.gz": gzip.compress(small)[:-200],
        "lacks.csv": b"Age,City\n33,Pune\n",
        "empty.csv": b"",
    }


@dataclass
class Scored:
    """What the driver left behind. ``given`` are the files by name, ``inputs`` what became of them in the bucket."""

    store: Store
    predictor: Predictor
    given: dict[str, bytes]
    inputs: dict[str, BatchInput]
    told: dict[str, Any]
    said: str
    folder: Path

    @cached_property
    def results(self) -> dict[str, BatchResult]:
        found = {name: keys.batch_result(MODEL, one.work) for name, one in self.inputs.items()}
        return {name: BatchResult.from_bytes(self.store.get(key).data, key) for name, key in found.items()}

    def expected(self, name: str) -> tuple[pa.Table, list[Refused]]:
        """What ``Scorer`` makes of the whole file, here."""
        path = self.folder / "given"
        path.write_bytes(self.given[name])
        source = LocalSource(path)
        dialect = sniff(source, self.predictor.manifest.spec)
        scorer = Scorer(self.predictor, names=dialect.names, keep=True)
        blocks = list(score_units(scorer, units(source, dialect, scorer.spec)))
        return pa.concat_tables(block.table for block in blocks), [one for block in blocks for one in block.refused]


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scored]:
    stack, folder = shared_stack(), tmp_path_factory.mktemp("spark")
    settings = Settings.load(stack.environment())
    patch = pytest.MonkeyPatch()
    for name, value in stack.environment().items():
        patch.setenv(name, value)
    store = open_store(settings)
    version = promote(store, build(make_spec(MODEL, "binary", MIXED))).version
    given, inputs = files(), {}
    for name, data in given.items():
        key = keys.batch_waiting(MODEL) + name
        store.put_new(key, data)
        head = store.head(key)
        inputs[name] = BatchInput(
            bucket=settings.bucket, key=key, version=head.version, etag=head.etag, size=head.size
        )  # fmt: skip
    elsewhere = inputs["small.csv"].model_copy(update={"bucket": ELSEWHERE})
    for run, asked in (("one", inputs), ("two", {**inputs, "elsewhere.csv": elsewhere})):
        request = SparkRequest(
            model=MODEL, version=version, inputs=tuple(asked.values()), names=tuple(asked),
            options=BatchOptions(keep=True),
        )  # fmt: skip
        store.put_new(keys.batch_spark_request(MODEL, run), request.to_bytes())
    env = spark_environment(stack.inhabit(os.environ), PERENNIAL_PART_BYTES=str(PART_BYTES))
    out = folder / "told.json"
    done = run_driver(env, out, MODEL, ["one", "two", "absent"])
    assert done.returncode == 0, done.stderr
    told = json.loads(out.read_text())
    yield Scored(store, load(store, MODEL, version), given, inputs, told, done.stdout + done.stderr, folder)
    patch.undo()


def test_a_worker_that_is_killed_costs_an_attempt_and_nothing_else(scored: Scored) -> None:
    assert scored.told["killed"] == 2, "one part each of the two files that have several"
    assert scored.told["codes"][0] == 0
    states = {name: result.state for name, result in scored.results.items()}
    assert states == {
        "day/quotes.csv": "done", "groups.parquet": "done", "small.csv": "done",
        "cut.csv.gz": "failed", "lacks.csv": "failed", "empty.csv": "failed",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["day/quotes.csv", "small.csv"])
def test_rows_of_csv_are_the_scorer_s_own(scored: Scored, name: str) -> None:
    result, (expected, refused) = scored.results[name], scored.expected(name)
    assert result.scored is not None and result.quarantined is not None
    text = scored.store.get(result.scored.key).data.decode()
    found = list(csv.reader(io.StringIO(text, newline="")))
    assert found[0] == expected.column_names
    for place, column in enumerate(expected.columns):
        if pa.types.is_floating(column.type):
            cells = [float(row[place]) if row[place] else None for row in found[1:]]
        else:
            cells = [row[place] or None for row in found[1:]]  # type: ignore[misc]
            column = column.cast(pa.string())
        assert cells == column.to_pylist(), expected.column_names[place]
    quarantined = list(csv.DictReader(io.StringIO(scored.store.get(result.quarantined.key).data.decode(), newline="")))
    assert [(int(row["row"]), row["column"], row["reason"]) for row in quarantined] == [
        (one.row, one.column or "", one.reason) for one in refused
    ]
    rows = result.counts.rows
    assert (rows, result.counts.quarantined) == (expected.num_rows + len(refused), len(refused))
    assert [one.row for one in refused] == list(range(1, rows + 1, 1000))


def test_rows_of_parquet_are_the_scorer_s_own(scored: Scored) -> None:
    result, (expected, refused) = scored.results["groups.parquet"], scored.expected("groups.parquet")
    assert result.scored is not None
    found = pq.read_table(pa.BufferReader(scored.store.get(result.scored.key).data))
    assert found.equals(expected)
    assert result.counts.model_dump() == {"rows": ROWS, "scored": ROWS - len(refused), "quarantined": len(refused)}


def test_files_of_several_parts_were_scored_in_several_tasks(scored: Scored) -> None:
    for name in ("day/quotes.csv", "groups.parquet"):
        parts = list(scored.store.list(keys.batch_parts(MODEL, scored.inputs[name].work)))
        assert len(parts) > 1, name


def test_a_bad_file_says_why(scored: Scored) -> None:
    reasons = {name: result.reason for name, result in scored.results.items() if result.state == "failed"}
    assert "Sleep Duration" in str(reasons["lacks.csv"])
    assert all(reasons.values()) and "Traceback" not in str(reasons)


def test_the_same_files_again_are_found_done(scored: Scored) -> None:
    first, second = (line for line in scored.said.splitlines() if " files: " in line)
    rows = 2 * ROWS + 300
    refused = 2 * ROWS // 1000 + 1
    counts = f"3 scored, 3 could not be; {rows:,} rows = {rows - refused:,} scored + {refused:,} quarantined"
    assert (first, second) == (f"6 files: {counts}", f"7 files: {counts}")
    s3 = client(shared_stack(), "s3")
    for prefix in (keys.batch_works(MODEL), f"{MODEL}/batch/out/", f"{MODEL}/batch/quarantine/"):
        found = s3.list_object_versions(Bucket=shared_stack().bucket, Prefix=prefix)["Versions"]
        written = [one["Key"] for one in found if not one["Key"].endswith("progress.json")]
        assert len(written) == len(set(written)), prefix


def test_a_file_that_cannot_be_reached_stops_no_other_and_fails_the_job(scored: Scored) -> None:
    assert scored.told["codes"][1] == 1
    assert [line for line in scored.said.splitlines() if line.startswith("elsewhere.csv: ")], scored.said


def test_a_job_that_nobody_asked_for_says_so(scored: Scored) -> None:
    assert scored.told["codes"][2] == 5
    assert keys.batch_spark_request(MODEL, "absent") in scored.said


def test_rows_of_a_frame_come_back_with_the_endpoint_s_answers(scored: Scored) -> None:
    names = ("Age", "CGPA", "Sleep Duration", "City", "Since")
    rows = [dict(zip(("Age", "CGPA", "Sleep Duration", "City", "Since", "tags"), row, strict=True)) for row in FRAME[1]]
    found = scored.told["frame"]
    assert [{name: row[name] for name in rows[0]} for row in found] == rows
    refused = [row["refused"] for row in found]
    assert [bool(reason) for reason in refused] == [False, True, False, True, True, False]
    assert refused[3].startswith("Age: ") and refused[4].startswith("City: ")
    for row, answer in zip(rows, found, strict=True):
        if answer["refused"]:
            assert (answer["prediction"], answer["probability_1"], answer["model_version"]) == (None, None, None)
            continue
        record = {name: row[name] for name in names if row[name] is not None}
        (endpoint,) = scored.predictor.predict([scored.predictor.schema.validate(record)])
        assert endpoint.probabilities is not None
        assert answer["prediction"] == endpoint.prediction
        assert [answer["probability_0"], answer["probability_1"]] == list(endpoint.probabilities.values())
    assert set(MIXED_RECORD) == set(names)
