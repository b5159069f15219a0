"""Rows a second that a job of Spark scores with each processor of this machine, beside one process without Spark.

`python -m benchmarks.spark` trains a model over the mixed data, puts files of it into a local S3, as CSV and as
Parquet, and has the job of `perennial.scoring.spark_job` score them on all processors; then one process, by the same
code. What counts is the processor time of the tasks, because the S3 beside them takes its own. From the rates follows
what 1 M, 1 G and 100 G rows would take and cost on AWS, with every assumption.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3

from benchmarks import mixed
from benchmarks.batch_cost import Data, Rates, assumptions, table
from benchmarks.batch_world import World, write_data
from benchmarks.measuring import local_s3
from benchmarks.mixed_models import BUCKET, ROWS, publish
from benchmarks.mixed_spec import make_spec
from benchmarks.spark_process import MODEL
from perennial import keys
from perennial.scoring.dialect import sniff
from perennial.scoring.plan import plan_parts
from perennial.scoring.source import LocalSource
from perennial.serving.batch_job import BatchInput, BatchOptions, BatchResult, SparkRequest
from perennial.serving.champion import read_champion
from perennial.settings import Settings
from perennial.store import Store
from perennial.store_opening import open_store

ROOT = Path(__file__).parents[1]
PYTHON = ROOT / ".local/envs/spark/bin/python"
KINDS, WAYS = ("csv", "parquet"), ("spark", "alone")


@dataclass(frozen=True)
class Figures:
    """Of one way to score the files of one kind: ``rate`` in rows a processor second, the median of its tasks.

    ``seconds`` of the whole, ``setting_up`` of them until Spark was there; ``peak_mb`` of a process; ``out_bytes`` of
    what is written of a row.
    """

    rate: float
    seconds: float
    setting_up: float
    peak_mb: float
    out_bytes: float


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.spark", description=__doc__)
    parser.add_argument("--rows", type=int, default=500_000, help="rows of each file")
    parser.add_argument("--files", type=int, default=4)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name, local_s3() as endpoint:
        world = prepare(Path(name), endpoint, options.rows)
        scanned = scanning(world.data(options.rows, "csv"))
        row_bytes = world.data(options.rows, "csv").stat().st_size / options.rows
        found = {(kind, way): measured(world, way, kind, options.rows, options.files) for kind in KINDS for way in WAYS}
    print(f"{options.files} files of {options.rows:,} rows of 20 columns, logistic; {os.cpu_count()} processors")
    heads = ("", "rows a processor second", "whole", "until Spark was there", "peak of a process")
    print("", f"| {' | '.join(heads)} |", "|---" * len(heads) + "|", sep="\n")
    for (kind, way), one in found.items():
        print(f"| {kind}, {way} | {one.rate / 1000:,.0f} k | {one.seconds:.1f} s | {one.setting_up:.1f} s "
              f"| {one.peak_mb:.0f} MB |")  # fmt: skip
    rates = Rates(found["csv", "spark"].rate, scanned)
    data = Data(row_bytes=row_bytes, out_bytes=found["csv", "spark"].out_bytes)
    print("", table(rates, data), "", assumptions(rates, data), sep="\n")
    return 0


def prepare(folder: Path, endpoint: str, rows: int) -> World:
    """A champion in a bucket, and the data in a folder."""
    client = boto3.client(
        "s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
    )
    client.create_bucket(Bucket=BUCKET)
    records, classes = mixed.records(ROWS)
    publish(opened(endpoint), make_spec(MODEL), records, classes)
    world = World(folder, endpoint)
    write_data(world, rows)
    return world


def measured(world: World, way: str, kind: str, rows: int, files: int) -> Figures:
    """Ask for so many copies of the file, each of which is scored anew, and have them scored in a fresh process."""
    store, run = opened(world.endpoint), f"{kind}-{way}"
    data = world.data(rows, kind).read_bytes()
    inputs = []
    for number in range(files):
        key = f"{keys.batch_waiting(MODEL)}{run}/{number}.{kind}"
        store.put_new(key, data)
        head = store.head(key)
        inputs.append(BatchInput(bucket=BUCKET, key=key, version=head.version, etag=head.etag, size=head.size))
    request = SparkRequest(
        model=MODEL, version=read_champion(store, MODEL).entry.version, inputs=tuple(inputs),
        names=tuple(f"{run}/{number}.{kind}" for number in range(files)), options=BatchOptions(),
    )  # fmt: skip
    store.put_new(keys.batch_spark_request(MODEL, run), request.to_bytes())
    figures = scored(world, way, run)
    assert figures["rows"] == rows * files, figures
    return Figures(
        rate=rows / statistics.median(task["processor"] for task in figures["tasks"]),
        seconds=figures["seconds"],
        setting_up=figures["setting_up"],
        peak_mb=max(task["peak_mb"] for task in figures["tasks"]),
        out_bytes=sum(written(store, one) for one in inputs) / (rows * files),
    )


def scored(world: World, way: str, run: str) -> dict[str, Any]:
    """What a fresh process in Spark's environment says of its job."""
    folder = world.folder / run
    folder.mkdir()
    note = ROOT / ".local/java"
    environment = {
        "PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "PYTHONPATH": str(ROOT),
        "JAVA_HOME": os.environ.get("JAVA_HOME") or note.read_text().strip(),
        "AWS_ENDPOINT_URL": world.endpoint, "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test", "PERENNIAL_BUCKET": BUCKET, "OPENBLAS_NUM_THREADS": "1",
    }  # fmt: skip
    command = [str(PYTHON), "-m", "benchmarks.spark_process", way, run, str(folder)]
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return said


def written(store: Store, found: BatchInput) -> int:
    """Bytes of the rows that came of an input."""
    key = keys.batch_result(MODEL, found.work)
    result = BatchResult.from_bytes(store.get(key).data, key)
    assert result.state == "done" and result.scored is not None, result.reason
    return result.scored.size


def scanning(path: Path) -> float:
    """Bytes of CSV that a processor looks through in a second, to plan its parts."""
    spec, source = make_spec(MODEL), LocalSource(path)
    dialect = sniff(source, spec)
    started = time.process_time()
    plan_parts(source, dialect, 16 << 20)
    return source.size / (time.process_time() - started)


def opened(endpoint: str) -> Store:
    return open_store(Settings(bucket=BUCKET, aws_endpoint_url=endpoint))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
