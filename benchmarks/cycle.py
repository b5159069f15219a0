"""A whole cycle beside the same scikit-learn fits alone, in one run: seconds, and how many fits each did.

`python -m benchmarks.cycle` writes a CSV of 30,000 rows and 20 mixed columns, drafts its spec (three candidates, each
with a search by successive halving), and notes every fit of one cycle: pipeline, settings, rows. Then it runs in fresh
processes, in turns, the cycle (import, read, validate, split, search, score, fit, export, prove, evaluate, charts,
register, gate, rehearse, promote, smoke) and those same fits and nothing else, on rows that are encoded already, with
everything imported: by two threads, as the cycle does, and by two processes, as scikit-learn's `n_jobs=2` does; the
faster of them counts. The store is in-process: S3's own speed is no part of it. Both sides count their fits.
"""

from __future__ import annotations

import argparse
import csv
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import mixed
from benchmarks.figures import Beside, Figure, Key, add_options, write
from benchmarks.measuring import spread

ROWS = 30_000
NAME = "bench"
CYCLE, THREADS, PROCESSES = "whole cycle", "the fits alone, two threads", "the fits alone, two processes"
SIDES = (CYCLE, THREADS, PROCESSES)
PLAN = "plan"
COMMAND = "python -m benchmarks.cycle"


@dataclass(frozen=True)
class Report:
    """What one process did: seconds, those of its processors, peak memory in bytes, fits of each estimator.

    Processor seconds are those of its children too.
    """

    seconds: float
    cpu: float
    peak: int
    fits: dict[str, int]


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="fresh processes of each")
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--child", choices=(PLAN, *SIDES), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    add_options(parser)
    options = parser.parse_args(arguments)
    if options.child:
        sys.stdout.write(json.dumps(asdict(_work(options.child, options.folder))) + "\n")
        return 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_data(folder / "data.csv", options.rows)
        _child(PLAN, folder)
        reports: dict[str, list[Report]] = {side: [] for side in SIDES}
        for _ in range(1 if options.short else options.runs):
            for side, found in reports.items():
                found.append(_child(side, folder))
    same_fits(reports)
    figure, beside = summarise(reports, options.rows)
    write(options.figures, [figure], beside)
    print(f"{figure.sides}\n{figure.includes}\n{figure.key}: {figure.value:.3f}")
    for one in beside:
        print(f"{one.name}: {one.text}")
    return 0


def write_data(path: Path, rows: int) -> None:
    records, classes = mixed.records(rows)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*records[0], mixed.TARGET])
        writer.writerows([*record.values(), answer] for record, answer in zip(records, classes, strict=True))


def same_fits(reports: dict[str, list[Report]]) -> None:
    """Stop where any process did other fits than any other: then there is nothing to compare."""
    distinct = {json.dumps(report.fits, sort_keys=True) for found in reports.values() for report in found}
    if len(distinct) > 1:
        raise SystemExit(f"not the same fits: {' and '.join(sorted(distinct))}")


def summarise(reports: dict[str, list[Report]], rows: int) -> tuple[Figure, list[Beside]]:
    """The ratio to the faster way to do the fits, and what else was seen."""
    seconds = {side: spread([report.seconds for report in found]) for side, found in reports.items()}
    faster = min((THREADS, PROCESSES), key=lambda side: seconds[side]["median"])
    texts = {side: "{median:.1f} s ({low:.1f} to {high:.1f})".format(**one) for side, one in seconds.items()}
    fits = reports[CYCLE][0].fits
    each = ", ".join(f"{count} of {name}" for name, count in fits.items())
    includes = (
        f"ours: importing, reading and checking a landed CSV of {rows:,} rows, split, search and cross-validation of "
        f"{len(fits)} candidates, export and its proof, evaluation, charts, card, registering, gate, first run in a "
        f"confined process, promotion, smoke test; alone: the same {sum(fits.values())} fits ({each}), counted on both "
        "sides, and nothing else: all imported, rows encoded, nothing scored"
    )
    sides = f"{CYCLE} {texts[CYCLE]}, {faster} {texts[faster]}"
    ratio = seconds[CYCLE]["median"] / seconds[faster]["median"]
    work = {side: spread([report.cpu for report in found])["median"] for side, found in reports.items()}
    peak = max(report.peak for report in reports[CYCLE]) / 1e9
    beside = [Beside(side, texts[side], COMMAND) for side in (THREADS, PROCESSES) if side != faster]
    processors = ", ".join(f"{side} {work[side]:.1f} s" for side in (CYCLE, THREADS))  # pools end after their count
    started = f"{processors}, start and drafting included"
    beside.append(Beside("processor seconds of a cycle and of its fits", started, COMMAND))
    beside.append(Beside("peak memory of a whole cycle", f"{peak:.2f} GB, {rows:,} rows of 21 columns", COMMAND))
    return Figure(Key.CYCLE, ratio, sides, includes, COMMAND), beside


def _child(kind: str, folder: Path) -> Report:
    command = [sys.executable, "-m", "benchmarks.cycle", "--child", kind, "--folder", str(folder)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return Report(**json.loads(done.stdout))


def _work(kind: str, folder: Path) -> Report:
    """What a process of its own does."""
    fits: Counter[str] = Counter()
    if kind == PLAN:
        seconds = _note_fits(folder)
    elif kind == CYCLE:
        seconds = _cycle(folder, fits)
    else:
        from benchmarks.cycle_fits import Plan, repeat

        seconds, fits = repeat(Plan.read(folder / PLAN), "threads" if kind == THREADS else "processes")
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    cpu = own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime
    return Report(seconds, cpu, own.ru_maxrss * 1024, dict(sorted(fits.items())))


def _note_fits(folder: Path) -> float:
    from benchmarks.cycle_fits import Recorder

    recorder = Recorder()
    with recorder.noting():
        seconds = _cycle(folder, Counter(), recorder.phase)
    recorder.plan().write(folder / PLAN)
    return seconds


def _cycle(folder: Path, fits: Counter[str], progress: Callable[[str], None] = lambda line: None) -> float:
    """Draft a spec and land the file; then run the whole cycle, which is timed, and count its fits."""
    from perennial.datasets.draft import draft_spec
    from perennial.datasets.landing import land
    from perennial.spec_source import parse_spec
    from perennial.store import memory_store

    spec, store = parse_spec(draft_spec(folder / "data.csv", target=mixed.TARGET, name=NAME).text), memory_store()
    land(store, spec, folder / "data.csv")
    started = time.perf_counter()
    from benchmarks.cycle_fits import counting  # it imports scikit-learn, which the cycle would
    from perennial.jobs.cycle import run_cycle
    from perennial.jobs.workspace import Workspace

    with counting(fits):
        w = Workspace(spec, store, "only", "bench", None, progress, lambda: datetime.now(UTC))
        outcome = run_cycle(w)
    assert outcome.promoted, outcome.reasons
    return time.perf_counter() - started


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
