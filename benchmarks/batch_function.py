"""One large CSV through the deployed function: put into the bucket of a local stack, scored in parts, and waited for.

`python -m benchmarks.batch_function --megabytes 1000` brings up a stack of its own with `template.yaml` as it is (parts
of the default size), makes a model champion, uploads the file in parts under `batch/in`, and watches what becomes of
it: the seconds from the end of the upload to the result, the parts and how often each was worked on, the rows, how
many versions S3 keeps of what was written, and the peak memory of each process of the function, which the emulator
does not enforce. It fails where a row is missing, something was written twice, or a process outgrew the function.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
from boto3.s3.transfer import TransferConfig

from benchmarks import mixed
from benchmarks.batch_world import PIECE, piece
from benchmarks.measuring import family
from benchmarks.mixed_models import ROWS, publish
from benchmarks.mixed_spec import make_spec
from perennial import keys
from perennial.deploy.up import LocalStack, running_stack
from perennial.serving.batch_job import BatchInput, BatchPlan, BatchResult
from perennial.store import Store
from perennial.store_opening import open_store

MODEL = "logistic"
FUNCTION_MEGABYTES = 1769  # as in template.yaml
REFUSED = "no number"
GENTLY = TransferConfig(multipart_chunksize=16 << 20, max_concurrency=1)
"""Small parts, one at a time: the emulator answers nobody else while it takes one."""


@dataclass(frozen=True)
class Given:
    """What was written: ``rows`` data rows, of which the row numbers ``refused`` (from 1) hold no number."""

    rows: int
    refused: tuple[int, ...]


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.batch_function", description=__doc__)
    parser.add_argument("--megabytes", type=int, default=1000, help="size of the file, in millions of bytes")
    parser.add_argument("--seconds", type=float, default=1800.0, help="how long to wait for the result")
    parser.add_argument("--json", type=Path, help="write the figures there")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name, running_stack(site=False) as stack:
        path = Path(name) / "large.csv"
        given = write_csv(path, options.megabytes * 1_000_000)
        store = open_store(stack.aws().settings(stack.bucket))
        publish(store, make_spec(MODEL), *mixed.records(ROWS))
        with watched(stack.score) as peaks:
            found = upload(stack, store, path)
            started = time.monotonic()
            result = await_result(store, found, options.seconds)
            seconds = time.monotonic() - started
        verify(stack, result, given, Path(name))
        figures = figures_of(stack, store, result, seconds, peaks)
    print(table(figures))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")
    return 0


def write_csv(path: Path, size: int, seed: int = 0) -> Given:
    """The columns of ``mixed.records`` until ``size`` bytes are written; in each piece one row cannot be scored."""
    rng = np.random.default_rng(seed)
    rows, refused = 0, []
    with path.open("wb") as file:
        while file.tell() < size:
            table = piece(rng, PIECE)
            first = pc.cast(table.column(0), pa.string()).to_pylist()
            place = int(rng.integers(PIECE))
            first[place] = REFUSED
            table = table.set_column(0, table.column_names[0], pa.array(first))
            options = pa_csv.WriteOptions(include_header=rows == 0, quoting_style="none")
            pa_csv.write_csv(table, file, options)
            refused.append(rows + place + 1)
            rows += PIECE
    return Given(rows, tuple(refused))


def upload(stack: LocalStack, store: Store, path: Path) -> BatchInput:
    """Put the file where it is scored by itself."""
    key = keys.batch_in(MODEL, path.name)
    stack.aws().client("s3").upload_file(str(path), stack.bucket, key, Config=GENTLY)
    head = store.head(key)
    return BatchInput(bucket=stack.bucket, key=key, version=head.version, etag=head.etag, size=head.size)


def await_result(store: Store, found: BatchInput, seconds: float) -> BatchResult:
    key = keys.batch_result(MODEL, found.work)
    deadline = time.monotonic() + seconds
    while (answer := store.find(key)) is None:
        if time.monotonic() > deadline:
            raise SystemExit(f"{found.key} was not scored within {seconds:.0f} s")
        time.sleep(0.2)
    return BatchResult.from_bytes(answer.data, key)


@contextmanager
def watched(function: str) -> Iterator[dict[int, float]]:
    """Process id -> peak memory in MB of each process that runs a function, for the length of the block."""
    peaks: dict[int, float] = {}
    over, marker = threading.Event(), f"ministack-lambda-{function}-".encode()

    def look() -> None:
        while not over.wait(0.1):
            for pid in family(os.getpid()):
                with suppress(OSError):
                    if marker in Path(f"/proc/{pid}/cmdline").read_bytes():
                        peaks[pid] = max(peaks.get(pid, 0.0), peak_megabytes(pid))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield peaks
    finally:
        over.set()
        thread.join()


def peak_megabytes(pid: int) -> float:
    """The most that a process ever had in memory; none where it has just ended."""
    lines = (line.split() for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM:"))
    return next((int(line[1]) * 1024 / 1e6 for line in lines), 0.0)


def verify(stack: LocalStack, result: BatchResult, given: Given, folder: Path) -> None:
    """Every row is there once, in its place, scored or refused."""
    expected = {"rows": given.rows, "scored": given.rows - len(given.refused), "quarantined": len(given.refused)}
    if result.state != "done" or result.counts.model_dump() != expected:
        raise SystemExit(f"{result.state} ({result.reason}): {result.counts}, and {expected} was given")
    assert result.scored is not None and result.quarantined is not None
    numbers = {}
    for output in (result.scored, result.quarantined):
        path = folder / "output.csv"
        stack.aws().client("s3").download_file(stack.bucket, output.key, str(path), Config=GENTLY)
        only = pa_csv.ConvertOptions(include_columns=["row"])
        numbers[output.key] = pa_csv.read_csv(path, convert_options=only).column(0).to_numpy()
    refused = np.array(given.refused)
    everything = np.arange(1, given.rows + 1)
    assert np.array_equal(numbers[result.quarantined.key], refused)
    assert np.array_equal(numbers[result.scored.key], np.delete(everything, refused - 1))


def figures_of(
    stack: LocalStack, store: Store, result: BatchResult, seconds: float, peaks: dict[int, float]
) -> dict[str, Any]:
    """What is reported. Raises AssertionError where something was written twice, or memory would not have sufficed."""
    work = result.input.work
    key = keys.batch_plan(MODEL, work)
    parts = len(BatchPlan.from_bytes(store.get(key).data, key).parts)
    worked = Counter(step_of(line) for line in log_of(stack) if line.get("work") == work)
    cut = {"join", *(f"part {number}" for number in range(parts))} if parts > 1 else set()
    assert worked.keys() == {"file"} | cut, worked
    versions = versions_of(stack, work)
    assert set(versions.values()) == {1}, {key: count for key, count in versions.items() if count > 1}
    assert peaks and max(peaks.values()) < FUNCTION_MEGABYTES, f"a function has {FUNCTION_MEGABYTES} MB: {peaks}"
    return {
        "bytes": result.input.size,
        "seconds": seconds,
        "rows_per_second": result.counts.rows / seconds,
        "counts": result.counts.model_dump(),
        "parts": parts,
        "worked_on": dict(sorted(worked.items())),
        "keys": len(versions),
        "peak_mb": sorted(peaks.values(), reverse=True),
    }


def step_of(line: dict[str, Any]) -> str:
    """Which piece of work a line of the log is about: the file as it came, one part of it, or the join of all."""
    if "part" not in line:
        return "file"
    return "join" if line["part"] is None else f"part {line['part']}"


def log_of(stack: LocalStack) -> list[dict[str, Any]]:
    """The lines that the function wrote, one for each piece of work."""
    pages = stack.aws().client("logs").get_paginator("filter_log_events")
    group = "/perennial/local/score"
    texts = [event["message"].strip() for page in pages.paginate(logGroupName=group) for event in page["events"]]
    return [json.loads(text) for text in texts if text.startswith("{")]


def versions_of(stack: LocalStack, work: str) -> Counter[str]:
    """How many versions S3 has of each key that the work wrote, but for its progress, which is there to be replaced."""
    found: Counter[str] = Counter()
    pages = stack.aws().client("s3").get_paginator("list_object_versions")
    for prefix in ("batch/status/", "batch/out/", "batch/quarantine/", "batch/tasks/"):
        for page in pages.paginate(Bucket=stack.bucket, Prefix=f"{MODEL}/{prefix}"):
            found.update(version["Key"] for version in page.get("Versions", []))
    for page in pages.paginate(Bucket=stack.bucket, Prefix=f"_perennial/staging/{MODEL}/batch/{work}/"):
        found.update(version["Key"] for version in page.get("Versions", []))
    del found[keys.batch_progress(MODEL, work)]
    return found


def table(figures: dict[str, Any]) -> str:
    counts, peaks = figures["counts"], ", ".join(f"{peak:.0f}" for peak in figures["peak_mb"])
    times = ", ".join(f"{name}: {count}" for name, count in figures["worked_on"].items())
    return "\n".join(
        [
            "",
            f"a CSV of {figures['bytes'] / 1e6:,.0f} MB through the function",
            f"seconds from the end of the upload   {figures['seconds']:.1f}",
            f"rows a second                        {figures['rows_per_second'] / 1000:,.0f} k",
            f"rows                                 {counts['rows']:,} = {counts['scored']:,} scored"
            f" + {counts['quarantined']:,} refused",
            f"parts, and lines of the log of each   {figures['parts']} ({times})",
            f"keys written, one version each       {figures['keys']}",
            f"peak memory of its processes, MB     {peaks} (of {FUNCTION_MEGABYTES})",
        ]
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
