"""A large file through our scorer, and through pandas or polars with scikit-learn, in one run: rows a second, memory.

`python -m benchmarks.batch` trains the same kinds of model for both on the same data, writes the same rows as CSV and
as Parquet, and has each side read, score and write them in fresh processes, in turns. A process is timed from its
start to its end: imports, loading the model (ours from a local S3) and writing Parquet included. Beside it stand
processes that only read. Then ours score files of ten times as many rows, for their memory. `--short` measures once,
on files as large, without polars, readers and the larger files; so its ratios mean the same, and memory has none.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet as pq

from benchmarks.batch_sides import Report, Side, sides
from benchmarks.batch_table import AGREEING, COMMAND, LARGE, beside, figures, table
from benchmarks.batch_world import World, prepare, write_data
from benchmarks.figures import add_options, write
from benchmarks.measuring import RIVALS, local_s3
from benchmarks.mixed_models import BUCKET
from perennial.scoring.files import cpus

ROOT = Path(__file__).parents[1]
PROCESS = ROOT / "benchmarks/batch_process.py"
LARGER = 10


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the file that all read")
    parser.add_argument("--runs", type=int, default=5, help="fresh processes of each")
    parser.add_argument("--threads", type=int, default=cpus(), help="threads of ours that parse and score (one a core)")
    add_options(parser)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder, local_s3() as endpoint:
        world = prepare(Path(folder), endpoint, RIVALS / "bin/python")
        found = measure(world, options)
        same = agreeing(found)
        if not options.short:
            found |= larger(world, options)
    print(table(found, options.rows, same))
    for name, share in same.items():
        if share < 0.98:
            raise SystemExit(f"{name} and its rival answer alike for {share:.1%} of the rows only")
    write(options.figures, figures(found, options.rows), beside(found, options.rows))
    return 0


def measure(world: World, options: Namespace) -> dict[str, Side]:
    """All sides in turns, after a turn that fills the disk's cache."""
    write_data(world, options.rows)
    found = sides(world, options.rows, options.threads, short=options.short)
    runs = 1 if options.short else options.runs
    for run in range(0 if options.short else -1, runs):
        for side in found.values():
            report = start(side.command, world)
            if run >= 0:
                side.reports.append(report)
        print(f"\rrun {run + 1} of {runs}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return found


def larger(world: World, options: Namespace) -> dict[str, Side]:
    """Ours on files of ten times as many rows. They take the place of the others, and what comes of them too."""
    write_data(world, LARGER * options.rows)
    found = sides(world, LARGER * options.rows, options.threads, short=True)
    for kind in ("csv", "parquet"):
        found[kind].reports.append(start(found[kind].command, world))
    return {f"{kind}{LARGE}": found[kind] for kind in ("csv", "parquet")}


def start(command: Sequence[str | Path], world: World) -> Report:
    """One fresh process, from its start to its end."""
    environment = {
        "PATH": os.environ["PATH"], "AWS_ENDPOINT_URL": world.endpoint, "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "PERENNIAL_BUCKET": BUCKET,
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-I", "-S", PROCESS, *command], env=environment, check=True, stdout=subprocess.PIPE, cwd=ROOT
    )
    report = json.loads(done.stdout)
    if code := report.pop("exit"):
        raise SystemExit(f"{' '.join(map(str, command))} ended with {code}")
    return Report(**report)


def agreeing(found: dict[str, Side]) -> dict[str, float]:
    """The share of rows to which ours and the rival's model, fitted apart on the same records, give the same class."""
    shares = {}
    for name, rival in AGREEING.items():
        mine, theirs = (pq.read_table(found[side].out, columns=["prediction"]) for side in (name, rival))
        shares[name] = float((mine.column(0).to_numpy() == theirs.column(0).to_numpy()).mean())
    return shares


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
