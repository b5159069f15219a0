"""A monitoring pass over 100,000 predictions of 20 mixed columns with 20,000 labels: seconds, and peak memory.

`python -m benchmarks.monitoring` trains a champion, has it answer, captures the answers in deliveries of 50 lines and
stores the labels; then a fresh process runs the whole pass, HTML reports included. The store is a folder: S3's own
speed is no part of it. Memory is that of all processes together, looked at ten times a second.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from obstore.store import LocalStore

from benchmarks import cycle, mixed
from benchmarks.measuring import family
from perennial import keys
from perennial.datasets.draft import draft_spec
from perennial.datasets.landing import land
from perennial.jobs.cycle import run_cycle
from perennial.jobs.watch import PassResult, run_pass
from perennial.jobs.workspace import Workspace
from perennial.registry.registry import Registry
from perennial.serving.batches import batches
from perennial.serving.captured import CapturedPrediction
from perennial.serving.ids import day_of, uuid7
from perennial.serving.labels import Label
from perennial.serving.load import load
from perennial.spec import ModelSpec, canonical
from perennial.spec_source import parse_spec
from perennial.store import Store, memory_store

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
DELIVERY = 50
ANSWERED_AT_ONCE = 1000
MODEL = "bench"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.monitoring", description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--labels", type=int, default=20_000)
    parser.add_argument("--training-rows", type=int, default=20_000)
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.child:
        sys.stdout.write(json.dumps(watch(options.child)) + "\n")
        return 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder, options.training_rows, options.rows, options.labels)
        figures, peak = measured(folder)
    print(
        f"{options.rows:,} predictions, {len(mixed.NUMBERS) + len(mixed.CATEGORIES)} columns, {options.labels:,} labels"
    )
    for part, (seconds, processor) in figures.items():
        print(f"{part:<32} {seconds:6.1f} s, {processor:.1f} s of processor time")
    print(f"{'peak memory of all processes':<32} {peak / 1e9:6.2f} GB")
    return 0


def watch(folder: Path) -> dict[str, tuple[float, float]]:
    """The pass, in this process: its seconds, and those of processors, with HTML reports and then without."""
    spec, store = parse_spec((folder / "model.yaml").read_text()), opened(folder)
    whole, with_html = timed(lambda: run_pass(workspace(spec, store, "whole", NOW)))
    bare, without = timed(lambda: run_pass(workspace(spec, store, "bare", NOW), html=False))
    assert bare.rows == whole.rows and bare.performance.labels == whole.performance.labels > 0
    assert len(whole.html) == 3, whole.html
    return {"whole pass": with_html, "without HTML reports": without}


def timed(act: Callable[[], PassResult]) -> tuple[PassResult, tuple[float, float]]:
    """What a pass found, its seconds, and the processor time of this process and its children."""
    started, before = time.perf_counter(), os.times()
    found = act()
    after = os.times()
    return found, (time.perf_counter() - started, sum(after[:4]) - sum(before[:4]))


def prepare(folder: Path, training_rows: int, rows: int, labels: int) -> None:
    """Leave a bucket in ``folder`` with a champion, its predictions of the last week, and labels of some of them."""
    cycle.write_data(folder / "data.csv", training_rows)
    text = draft_spec(folder / "data.csv", target=mixed.TARGET, name=MODEL).text
    (folder / "model.yaml").write_text(text)
    spec, store = parse_spec(text), memory_store()
    land(store, spec, folder / "data.csv")
    quick = spec.model_copy(update={"candidates": {"logistic": spec.candidates["logistic"]}})
    assert run_cycle(workspace(quick, store, "first", NOW - timedelta(days=10))).promoted
    for number, line in enumerate(answers(store, quick, rows)):
        for batch in batches(line):
            store.put_new(batch.key, batch.data)
        for each in line if number * DELIVERY < labels else ():
            said = CapturedPrediction.model_validate_json(each)
            label = Label(model=MODEL, prediction_id=said.prediction_id, truth=said.prediction, at=NOW - timedelta(1))
            key = keys.label(MODEL, day_of(said.prediction_id), said.prediction_id)
            store.put_new(key, canonical(label.model_dump(mode="json")))
    into = opened(folder)
    for entry in store.list(""):
        into.put_new(entry.key, store.get(entry.key).data)


def answers(store: Store, spec: ModelSpec, rows: int) -> list[list[str]]:
    """What the champion answered in the last week, in deliveries of captured lines, in no order of labels."""
    head = Registry(store).head(spec.name)
    assert head is not None
    champion = load(store, spec.name, head.version)
    records, _ = mixed.records(rows, seed=1)
    found: list[str] = []
    for start in range(0, rows, ANSWERED_AT_ONCE):
        asked = records[start : start + ANSWERED_AT_ONCE]
        given = champion.predict([champion.schema.validate(record) for record in asked])
        for place, (record, answer) in enumerate(zip(asked, given, strict=True), start):
            moment = NOW - timedelta(seconds=(rows - place) * 6)
            found.append(
                CapturedPrediction(
                    prediction_id=uuid7(moment.timestamp(), place.to_bytes(10, "big")),
                    model=spec.name, version=head.version, generation=1, time=moment, instance="one",
                    number=place + 1, served=place + 1, request_id=f"request-{place}", record=dict(record),
                    prediction=answer.prediction, probabilities=answer.probabilities,
                ).model_dump_json()
            )  # fmt: skip
    return [found[start : start + DELIVERY] for start in range(0, rows, DELIVERY)]


def measured(folder: Path) -> tuple[dict[str, tuple[float, float]], int]:
    """Run the pass in a fresh process: its figures, and the peak of resident bytes of it and its children."""
    command = [sys.executable, "-m", "benchmarks.monitoring", "--child", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        peak = 0
        while process.poll() is None:
            peak = max(peak, sum(map(resident, family(process.pid))))
            time.sleep(0.1)
        assert process.stdout is not None and process.returncode == 0
        figures: dict[str, tuple[float, float]] = json.loads(process.stdout.read())
    return figures, peak


def resident(process: int) -> int:
    """Resident bytes of a process; none where it has ended."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0
    lines = (line.split() for line in status.splitlines() if line.startswith("VmRSS:"))
    return next((int(line[1]) * 1024 for line in lines), 0)


def workspace(spec: ModelSpec, store: Store, run: str, now: datetime) -> Workspace:
    return Workspace(spec, store, run, "bench", None, lambda text: None, lambda: now)


def opened(folder: Path) -> Store:
    bucket = folder / "bucket"
    bucket.mkdir(exist_ok=True)
    return Store(LocalStore(bucket))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
