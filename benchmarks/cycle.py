"""A whole cycle beside the same cross-validated fits by scikit-learn alone, in one run: seconds and peak memory.

`python -m benchmarks.cycle` writes a CSV of 30,000 rows and 20 mixed columns, drafts its spec, and runs in fresh
processes, in turns: the cycle (read, validate, split, search, fit, export, prove, evaluate, charts, register, gate,
promote, smoke) and the fits (encoded rows at hand; the candidates' pipelines with the settings the cycle found,
cross-validated on five folds and fitted once). The store is in-process: S3's own speed is no part of it.
"""

from __future__ import annotations

import argparse
import csv
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import mixed

ROWS = 30_000
NAME = "bench"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cycle", description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="fresh processes of each")
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--child", choices=("cycle", "fits"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.child:
        seconds = {"cycle": run_cycle_once, "fits": run_fits_once}[options.child](options.folder)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        sys.stdout.write(json.dumps({"seconds": seconds, "bytes": peak}) + "\n")
        return 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_data(folder / "data.csv", options.rows)
        figures: dict[str, list[dict[str, float]]] = {"cycle": [], "fits": []}
        for _ in range(options.runs):
            for kind, found in figures.items():
                found.append(_child(kind, folder))
    _report(figures, options.rows)
    return 0


def write_data(path: Path, rows: int) -> None:
    records, classes = mixed.records(rows)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*records[0], mixed.TARGET])
        writer.writerows([*record.values(), answer] for record, answer in zip(records, classes, strict=True))


def run_cycle_once(folder: Path) -> float:
    """Draft, land and run the whole cycle; leaves the settings it found for the fits."""
    from perennial.datasets.draft import draft_spec
    from perennial.datasets.landing import land
    from perennial.jobs.cycle import run_cycle
    from perennial.jobs.state import candidate_of
    from perennial.jobs.workspace import Workspace
    from perennial.spec_source import parse_spec
    from perennial.store import memory_store
    from perennial.training.outcome import CandidateReport

    text = draft_spec(folder / "data.csv", target=mixed.TARGET, name=NAME).text
    (folder / "model.yaml").write_text(text)
    spec, store = parse_spec(text), memory_store()
    land(store, spec, folder / "data.csv")
    started = time.perf_counter()
    w = Workspace(spec, store, "only", "bench", None, lambda line: None, lambda: datetime.now(UTC))
    outcome = run_cycle(w)
    seconds = time.perf_counter() - started
    assert outcome.promoted, outcome.reasons
    reports = [candidate_of(w, name) for name in spec.candidates]
    found = {report.name: report.params for report in reports if isinstance(report, CandidateReport)}
    (folder / "found.json").write_text(json.dumps(found))
    return seconds


def run_fits_once(folder: Path) -> float:
    """The same candidates with the settings found: five folds and one fit each, on rows that are encoded already."""
    from sklearn.model_selection import cross_val_score
    from threadpoolctl import threadpool_limits

    from perennial.datasets.landing import land
    from perennial.datasets.load import load_split
    from perennial.datasets.snapshot import snapshot
    from perennial.records import columns
    from perennial.spec import load_spec
    from perennial.store import memory_store
    from perennial.training.allowed import resolve
    from perennial.training.preprocess import build_pipeline

    spec, store = load_spec(folder / "model.yaml"), memory_store()
    land(store, spec, folder / "data.csv")
    rows = load_split(store, spec, snapshot(store, spec).manifest, "train")
    found = json.loads((folder / "found.json").read_text())
    y = rows.y.astype(int)
    started = time.perf_counter()
    with threadpool_limits(1):
        for name, params in found.items():
            pipeline = build_pipeline(columns(spec), resolve(spec.candidates[name].estimator, params, 42))
            cross_val_score(pipeline, rows.x, y, cv=5, scoring="roc_auc", n_jobs=1)
            pipeline.fit(rows.x, y)
    return time.perf_counter() - started


def _child(kind: str, folder: Path) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.cycle", "--child", kind, "--folder", str(folder)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def _report(figures: dict[str, list[dict[str, float]]], rows: int) -> None:
    middle = {kind: statistics.median(one["seconds"] for one in found) for kind, found in figures.items()}
    peak = max(one["bytes"] for one in figures["cycle"]) / 1e9
    spread = [one["seconds"] for one in figures["cycle"]]
    print(f"{rows:,} rows, three candidates, {len(spread)} runs in turns; medians")
    print(f"whole cycle                      {middle['cycle']:6.1f} s  ({min(spread):.1f} to {max(spread):.1f})")
    print(f"the fits alone, one thread       {middle['fits']:6.1f} s")
    print(f"ratio                            {middle['cycle'] / middle['fits']:6.2f}")
    print(f"peak memory of the cycle         {peak:6.2f} GB")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
